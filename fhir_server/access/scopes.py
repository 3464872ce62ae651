"""Scopes: what a client was granted, in the words of SMART; parsed, required, narrowed.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html

Pure. `patient/*.read` and `user/Immunization.write` are scopes of version 1, `patient/Immunization.rs?status=completed`
one of version 2; both become a Scope: for what, of which type, to do what, and which resources of the type.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

from fhir_server.caller import Verb
from fhir_server.fhir.condition import All, Condition
from fhir_server.fhir.criteria import filter
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.pairs import pairs
from profiles.definitions import RESOURCE_TYPES

Level = Literal["patient", "user", "system"]

_SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(read|write|\*|(?=[cruds])c?r?u?d?s?)(?:\?(\S+))?")
_VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
_VERBS = "cruds"
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope on resources. `type` may be `*`; `verbs` are of c, r, u, d, s in that order; `query` is the search that
    the resources must satisfy, empty for all of them; `old`: it was written as in version 1."""

    level: Level
    type: str
    verbs: str
    query: str = ""
    old: bool = False

    def __str__(self) -> str:
        verbs = next((name for name, verbs in _VERSION_1.items() if self.old and verbs == self.verbs), self.verbs)
        return f"{self.level}/{self.type}.{verbs}{'?' if self.query else ''}{self.query}"

    def covers(self, verb: Verb, resource_type: str) -> bool:
        """Whether it is about doing this with resources of this type."""
        return verb in self.verbs and self.type in ("*", resource_type)

    def where(self, resource_type: str) -> Condition:
        """What a resource of this type must satisfy for the scope to reach it."""
        return _where(resource_type, self.query)


def parse(text: str) -> Scope | None:
    """The scope that this text is; None for what is no scope on resources (`openid`, or nonsense)."""
    match = _SCOPE.fullmatch(text)
    if match is None:
        return None
    level, resource_type, verbs, query = match.groups()
    if resource_type != "*" and resource_type not in RESOURCE_TYPES:
        return None
    old = verbs in _VERSION_1
    if query:
        try:
            _where("Resource" if resource_type == "*" else resource_type, query)
        except FhirError:
            return None
        if old:
            return None
    found: Level = next(each for each in LEVELS if each == level)
    return Scope(found, resource_type, _VERSION_1.get(verbs, verbs), query or "", old)


def parsed(texts: Iterable[str]) -> tuple[Scope, ...]:
    """The scopes about resources among these texts."""
    return tuple(scope for scope in map(parse, texts) if scope is not None)


def grants(scopes: Sequence[Scope], verb: Verb, resource_type: str) -> bool:
    """Whether any of the scopes is about doing this with at least some resources of the type."""
    return any(scope.covers(verb, resource_type) for scope in scopes)


def narrow(asked: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """What may be granted of the scopes asked for (separated by spaces) to somebody who may have `allowed`: their
    intersection, in the order asked, each once.

    `patient/*.rs` of somebody allowed `patient/Patient.rs patient/Immunization.cruds` becomes `patient/Patient.rs
    patient/Immunization.rs`. Of two searches both must hold. Scopes that are not about resources are granted as written
    where they are allowed as written; unknown ones never.
    """
    limits = parsed(allowed)
    granted: dict[str, None] = {}
    for text in asked.split():
        scope = parse(text)
        if scope is None:
            if text in allowed and "/" not in text.removeprefix("launch/"):
                granted[text] = None
            continue
        for common in _largest([each for limit in limits if (each := _common(scope, limit)) is not None]):
            granted[str(common)] = None
    return tuple(granted)


def _common(asked: Scope, limit: Scope) -> Scope | None:
    if asked.level != limit.level:
        return None
    if asked.type != limit.type and "*" not in (asked.type, limit.type):
        return None
    verbs = "".join(verb for verb in _VERBS if verb in asked.verbs and verb in limit.verbs)
    if not verbs:
        return None
    resource_type = limit.type if asked.type == "*" else asked.type
    parts = dict.fromkeys([*_parts(asked), *_parts(limit)])
    common = replace(asked, type=resource_type, verbs=verbs, query="&".join(parts))
    # What a limit's search says of all types need not exist for the type asked for.
    return common if parse(str(common)) is not None else None


def _largest(found: Sequence[Scope]) -> list[Scope]:
    """Those that are not part of another of them."""
    return [
        scope
        for scope in dict.fromkeys(found)
        if not any(_within(scope, other) and not _within(other, scope) for other in found)
    ]


def _within(inner: Scope, outer: Scope) -> bool:
    return (
        outer.type in ("*", inner.type)
        and set(inner.verbs) <= set(outer.verbs)
        and set(_parts(outer)) <= set(_parts(inner))
    )


def _parts(scope: Scope) -> list[str]:
    return scope.query.split("&") if scope.query else []


@lru_cache(maxsize=4_096)
def _where(resource_type: str, query: str) -> Condition:
    """FhirError 400 for a search that is not possible on the type, or that leads through other resources."""
    found: list[Condition] = []
    for name, value in pairs(query) if query else ():
        part = filter(resource_type, name, value)
        if not isinstance(part, Condition):
            raise FhirError(400, ())
        found.append(part)
    return found[0] if len(found) == 1 else All(tuple(found))
