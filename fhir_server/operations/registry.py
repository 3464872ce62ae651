"""The registry: one row per operation; routes, parameter checks and the CapabilityStatement come from it.

https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from fhir_server.access import policy
from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.interactions.reply import Reply
from fhir_server.operations.arguments import Arguments

Level = Literal["system", "type", "instance"]


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation. `type` and `id` are those of the address; `body` is the unread body where the operation
    takes other media types than FHIR (`accepts`), then `media_type` names it; `language` is `en` or `es`."""

    context: Context
    caller: Caller
    predicate: Predicate
    arguments: Arguments
    type: str | None = None
    id: str | None = None
    body: AsyncIterator[bytes] | None = None
    media_type: str = ""
    language: str = "en"
    prefer: Mapping[str, str] | None = None
    page: str | None = None
    """The token of a page link, where the operation answers in pages."""
    shape: tuple[tuple[str, str], ...] = ()
    """`_format` and `_pretty` as given, for links to other pages."""


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A row. `definition` is the id of the OperationDefinition, in operations/definitions/<id>.json.

    `accepts` names media types of bodies that are no FHIR; they reach the handler unread, up to `max_upload` bytes.
    `paged`: the answer is a searchset whose `next` link leads on. `asynchronous`: it may answer 202 and go on as a job.
    """

    code: str
    definition: str
    levels: frozenset[Level]
    types: frozenset[str]
    affects_state: bool
    handler: Handler
    accepts: frozenset[str] = frozenset()
    paged: bool = False
    asynchronous: bool = False
    judges: bool = False
    """Whether it says what is wrong with its `resource`, which so may be anything; other input may stand in the
    address then."""
    only_post: bool = False
    """Whether the input must not stand in an address, which others log."""
    needs: tuple[tuple[str, str], ...] | None = None
    """Scopes the caller must have: type and verbs (`("Patient", "r")`). None: to read resources of its types, or to
    update them where it changes data; of an operation without types, any scope."""
    roles: frozenset[str] = frozenset()
    """Roles of which the caller must have one; none named: any will do."""

    @property
    def methods(self) -> frozenset[str]:
        """The HTTP methods it can be called by."""
        return frozenset({"POST"} if self.affects_state or self.only_post else {"GET", "HEAD", "POST"})

    def require(self, caller: Caller, predicate: Predicate) -> None:
        """FhirError 403 unless this caller may call it at all."""
        verb = "u" if self.affects_state else "r"
        needs = self.needs if self.needs is not None else tuple((each, verb) for each in sorted(self.types))
        policy.require(caller, predicate, needs, self.roles)

    any_spelling: bool = False
    """Whether names of parameters may be in any case, and a date may come without one (see `arguments.spelled`)."""


class Registry:
    """All operations, found by code and level. Raises ValueError if a row disagrees with its OperationDefinition."""

    def __init__(self, rows: Iterable[Operation]) -> None:
        self.rows = tuple(rows)
        self._found: dict[tuple[str, Level, str | None], Operation] = {}
        self._definitions = {row.definition: definition(row.definition) for row in self.rows}
        for row in self.rows:
            _require_agreement(row, self._definitions[row.definition])
            for level in row.levels:
                for resource_type in row.types if level != "system" else (None,):
                    self._found[row.code, level, resource_type] = row

    def find(self, code: str, level: Level, resource_type: str | None) -> Operation | None:
        """The operation at this address, or None. An operation on `Resource` is found on every type."""
        return self._found.get((code, level, resource_type)) or self._found.get((code, level, "Resource"))

    def at(self, code: str, resource_type: str | None, resource_id: str | None) -> Operation | None:
        """The operation called at the base, at a type or at a resource, or None."""
        level: Level = "system" if resource_type is None else "type" if resource_id is None else "instance"
        return self.find(code, level, resource_type)

    def definition_of(self, row: Operation) -> dict[str, Any]:
        """The row's OperationDefinition, as a JSON value."""
        return self._definitions[row.definition]


def definition(name: str) -> dict[str, Any]:
    """The OperationDefinition with this id, from operations/definitions."""
    return json.parse((files(__package__) / "definitions" / f"{name}.json").read_bytes())


def _require_agreement(row: Operation, found: dict[str, Any]) -> None:
    declared: dict[str, Any] = {
        "id": found.get("id"),
        "code": found.get("code"),
        "levels": frozenset(level for level in ("system", "type", "instance") if found.get(level)),
        "types": frozenset(found.get("resource", ())),
        "affects_state": bool(found.get("affectsState", False)),
    }
    actual: dict[str, Any] = {
        "id": row.definition,
        "code": row.code,
        "levels": row.levels,
        "types": row.types,
        "affects_state": row.affects_state,
    }
    for name, value in declared.items():
        if value != actual[name]:
            raise ValueError(
                f"operation ${row.code}: its row says {name} {actual[name]!r}, its OperationDefinition {value!r}"
            )
