"""Criteria: the filters of a search, with chains, reverse chains and lists kept apart until they are resolved.

https://hl7.org/fhir/R4/search.html#chaining

A Link (Chain, Has, Listed, Coded) cannot be answered by a resource's own index entries: interactions/search.py follows
it first and puts the condition it comes to in its place. The store only ever sees conditions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from fhir_server.fhir import coded
from fhir_server.fhir.coded import Coded
from fhir_server.fhir.condition import EVERYTHING, SEPARATOR, All, Any, Condition, Ids, Keys, Not, Range, Updated
from fhir_server.fhir.escapes import split, unescape
from fhir_server.fhir.filters import condition, wrong_value
from fhir_server.fhir.keys import escape
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.fhir.pairs import pairs
from fhir_server.fhir.params import Parameter, parameters
from fhir_server.fhir.references import ID, normalise
from profiles.definitions import RESOURCE_TYPES

DEPTH = 3
"""A chain may follow this many references, as may a reverse chain."""

TARGETS = 20
"""A chain through a reference to more types than this must name one."""

UNKNOWN = "unknown-parameter"


class UnknownParameterError(FhirError):
    """400: a type has no such search parameter. Lenient handling may pass over it."""

    def __init__(self, type: str, name: str) -> None:
        text = f"{type} has no search parameter {name}."
        super().__init__(400, (Issue("not-found", UNKNOWN, text, (name,)),))


@dataclass(frozen=True)
class Criteria:
    """What resources of `type` must satisfy: `where`, and every one of `links`."""

    type: str
    where: Condition = EVERYTHING
    links: "tuple[Link, ...]" = ()

    @cached_property
    def canonical(self) -> str:
        """The same text for criteria that mean the same: parameters sorted, values as they are compared."""
        parts = self.where.inner if isinstance(self.where, All) else (self.where,)
        return f"{self.type}?{'&'.join(sorted(repr(part) for part in (*parts, *self.links)))}"


@dataclass(frozen=True)
class Chain:
    """The resource refers by `label` to one that satisfies any of `inner`, which differ in type."""

    label: str
    inner: tuple[Criteria, ...]

    def condition(self, found: Iterable[str]) -> Condition:
        """The condition it comes to once the inner criteria have found these resources (`Patient/1`)."""
        return Keys("tk", tuple(f"{self.label}{SEPARATOR}{escape(reference)}" for reference in found))


@dataclass(frozen=True)
class Has:
    """A resource that satisfies `inner` refers by its parameter `label` to this one, which is of type `target`."""

    target: str
    label: str
    inner: Criteria

    @property
    def prefix(self) -> str:
        """The beginning of the keys by which resources of the inner type refer to the target type."""
        return f"{self.label}{SEPARATOR}{self.target}/"

    def condition(self, found: Iterable[str]) -> Condition:
        """The condition it comes to once the inner resources' keys with `prefix` are known."""
        start = len(self.prefix)
        return Ids(tuple(dict.fromkeys(key[start:].partition("/")[0] for key in found)))


@dataclass(frozen=True)
class Listed:
    """A resource that a current entry of one of the Lists with these ids refers to."""

    target: str
    lists: tuple[str, ...]

    def condition(self, found: Iterable[str]) -> Condition:
        """The condition it comes to once the ids of the resources in the Lists are known."""
        return Ids(tuple(dict.fromkeys(found)))


Link = Chain | Has | Listed | Coded


def filter(type: str, name: str, value: str, base: str = "", depth: int = DEPTH) -> Condition | Link:
    """What one parameter of a search on `type` asks for.

    FhirError 400 naming the parameter; UnknownParameterError where the type does not have it.
    """
    if name.startswith("_has:"):
        return _has(type, name, value, base, depth)
    if name.partition(":")[0] == "_list":
        return _listed(type, name, value, base)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = parameters(type).get(code)
    if parameter is None:
        raise UnknownParameterError(type, code)
    if dot:
        return _chain(type, name, parameter, modifier, rest, value, base, depth)
    if parameter.type == "token" and modifier in coded.MODIFIERS:
        return coded.coded(parameter, modifier, value)
    return condition(parameter, modifier, value, base)


def join(type: str, parts: Iterable[Condition | Link]) -> Criteria:
    """The criteria that ask for all parts."""
    conditions: list[Condition] = []
    links: list[Link] = []
    for part in parts:
        if isinstance(part, Link):
            links.append(part)
        else:
            conditions.append(part)
    where = conditions[0] if len(conditions) == 1 else All(tuple(conditions))
    return Criteria(type, where, tuple(links))


def criteria(type: str, query: str, base: str = "") -> Criteria:
    """The criteria of a conditional interaction: `identifier=s|v` for resources of `type`.

    FhirError 400 for an unknown parameter, one that does not filter, and criteria that are empty or only say what a
    resource must not be, or that it has some value: a condition never means everybody.
    """
    asked_for = pairs(query.lstrip("?"))
    found = join(type, (filter(type, name, value, base) for name, value in asked_for))
    asked = found.where.inner if isinstance(found.where, All) else (found.where,)
    links = [link for link in found.links if not (isinstance(link, Coded) and link.modifier == "not-in")]
    if not links and not any(_selects(part) for part in asked):
        text = "The condition names nothing a resource must be; it could mean every resource."
        raise refuse(400, "invalid", "unselective-criteria", text, *(name for name, _ in asked_for))
    return found


def _selects(part: Condition) -> bool:
    """Whether a condition says what a resource must be, not only what it must not be or that it has some value."""
    match part:
        case Keys(field=field):
            return field != "hs"
        case All(parts):
            return any(_selects(each) for each in parts)
        case Any(parts):
            return all(_selects(each) for each in parts)
        case Range(test=test):
            return test != "ne"
        case _:
            return not isinstance(part, Not | Updated)


def _chain(
    type: str, name: str, parameter: Parameter, target: str, rest: str, value: str, base: str, depth: int
) -> Chain:
    if parameter.type != "reference":
        text = f"{parameter.name} is no reference, so nothing can follow it in {name}."
        raise refuse(400, "invalid", "invalid-chain", text, name)
    if any(branch.type == "Resource" for branch in parameter.branches):
        text = f"What {parameter.name} of {type} finds stands inside it: it cannot be searched by {name}."
        raise refuse(400, "not-supported", "not-supported", text, name)
    if depth == 0:
        raise refuse(400, "too-costly", "invalid-chain", f"{name} follows more than {DEPTH} references.", name)
    if target and (target not in RESOURCE_TYPES or (parameter.targets and target not in parameter.targets)):
        text = f"{parameter.name} of {type} does not refer to {target}, asked for by {name}."
        raise refuse(400, "invalid", "invalid-chain", text, name)
    targets = (target,) if target else parameter.targets
    if not targets or len(targets) > TARGETS:
        text = f"{parameter.name} may refer to many types: write {parameter.name}:Type.{rest}."
        raise refuse(400, "invalid", "invalid-chain", text, name)
    inner = []
    for candidate in targets:
        try:
            inner.append(join(candidate, [filter(candidate, rest, value, base, depth - 1)]))
        except UnknownParameterError:
            # Of several possible types only those that have the parameter can match.
            continue
    if not inner:
        raise UnknownParameterError(" or ".join(targets), f"{rest} (in {name})")
    return Chain(parameter.label, tuple(inner))


def _has(type: str, name: str, value: str, base: str, depth: int) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4 or parts[1] not in RESOURCE_TYPES:
        text = f"{name} is not written _has:Type:reference:parameter."
        raise refuse(400, "invalid", "invalid-chain", text, name)
    if depth == 0:
        raise refuse(400, "too-costly", "invalid-chain", f"{name} follows more than {DEPTH} references.", name)
    _, source, code, rest = parts
    parameter = parameters(source).get(code)
    if parameter is None:
        raise UnknownParameterError(source, code)
    if parameter.type != "reference" or (parameter.targets and type not in parameter.targets):
        text = f"{code} of {source} does not refer to {type}, asked for by {name}."
        raise refuse(400, "invalid", "invalid-chain", text, name)
    return Has(type, parameter.label, join(source, [filter(source, rest, value, base, depth - 1)]))


def _listed(type: str, name: str, value: str, base: str) -> Listed:
    if name != "_list":
        raise refuse(400, "invalid", "invalid-modifier", f"_list knows no modifier {name.partition(':')[2]}.", name)
    ids = []
    for part in split(value, ","):
        text = normalise(unescape(part), base).removeprefix("List/")
        if text.startswith("$"):
            raise refuse(400, "not-supported", "not-supported", f"The list {text[:200]} is not kept here.", name)
        if not ID.fullmatch(text):
            raise wrong_value(name, value, "a List is named by its id, such as 1 or List/1")
        ids.append(text)
    return Listed(type, tuple(dict.fromkeys(ids)))
