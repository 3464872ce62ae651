"""Invocation: an operation found at an address and called, alone or by an entry of a Bundle.

https://hl7.org/fhir/R4/operations.html#executing
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.fhir.query import SHAPING
from fhir_server.interactions import paging
from fhir_server.interactions.entry import Entry
from fhir_server.interactions.incoming import known_type, require_valid
from fhir_server.interactions.reply import Reply
from fhir_server.operations import arguments, judged
from fhir_server.operations.registry import Call, Operation, Registry

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Invocation:
    """How operations are called in one request: by whom, in which language, with which preferences."""

    registry: Registry
    context: Context
    caller: Caller
    predicate: Predicate
    language: str = "en"
    prefer: Mapping[str, str] | None = None

    def found(self, code: str, resource_type: str | None, resource_id: str | None, method: str) -> Operation:
        """The row at this address. FhirError 404 where there is none, 405 where it takes another method."""
        if resource_type is not None:
            known_type(resource_type)
        row = self.registry.at(code, resource_type, resource_id)
        if row is None:
            raise refuse(404, "not-supported", "unknown-operation", f"There is no operation ${code} at this address.")
        if method != "POST" and row.affects_state:
            raise _only_post(f"${code} changes data and must be called by POST.")
        if method != "POST" and row.only_post:
            raise _only_post(f"${code} must be called by POST, for what it takes does not belong in an address.")
        row.require(self.caller, self.predicate)
        return row

    def by_query(self, row: Operation, at: tuple[str | None, str | None], pairs: Pairs, **more: Any) -> Call:
        """The call of a GET, or of a POST whose body is no FHIR (`body`, `media_type`). FhirError 400."""
        shape = tuple(pair for pair in pairs if pair[0] in SHAPING)
        asked = [pair for pair in pairs if pair[0] not in SHAPING]
        page = paging.token(asked) if row.paged else None
        if page is not None:
            asked = [pair for pair in asked if pair[0] != paging.PARAMETER]
        definition = self.registry.definition_of(row)
        if row.any_spelling:
            asked = [(arguments.spelling(name, definition), value) for name, value in asked]
        given = arguments.from_query(asked, definition)
        return self._call(given, at, page=page, shape=shape, **more)

    def by_resource(
        self, row: Operation, at: tuple[str | None, str | None], resource: dict[str, Any] | None, pairs: Pairs = ()
    ) -> Call:
        """The call of a POST with this resource, or nothing. FhirError 400, 422 for what is not valid R4."""
        if row.judges:
            return self._call(judged.arguments(self.registry.definition_of(row), at[0], resource, pairs), at)
        sent = resource if resource is not None else {"resourceType": "Parameters"}
        definition = self.registry.definition_of(row)
        if row.any_spelling:
            sent = arguments.spelled(sent, definition)
        require_valid(sent)
        return self._call(arguments.from_resource(sent, definition), at)

    async def of_entry(self, entry: Entry) -> Reply:
        """What the operation that an entry of a Bundle names answers."""
        row = self._row(entry)
        at = (entry.type, entry.id)
        if entry.method == "POST":
            if entry.criteria:
                text = "A POST of an operation has its parameters in the resource, not in the address."
                raise entry.refuse(400, "not-supported", "unknown-parameter", text, "request.url")
            return await row.handler(self.by_resource(row, at, entry.resource))
        return await row.handler(self.by_query(row, at, entry.pairs))

    def changes(self, entry: Entry) -> bool:
        """Whether the operation that an entry names changes data. FhirError 404, 405 as of `found`."""
        return self._row(entry).affects_state

    def _row(self, entry: Entry) -> Operation:
        if entry.method not in ("GET", "HEAD", "POST"):
            raise _only_post(f"An operation cannot be called by {entry.method}.")
        return self.found(entry.at.operation, entry.type, entry.id, entry.method)

    def _call(self, given: arguments.Arguments, at: tuple[str | None, str | None], **more: Any) -> Call:
        return Call(
            self.context, self.caller, self.predicate, given, *at, language=self.language, prefer=self.prefer, **more
        )


def _only_post(text: str) -> FhirError:
    return FhirError(405, [Issue("not-supported", "wrong-method", text)], {"Allow": "OPTIONS, POST"})
