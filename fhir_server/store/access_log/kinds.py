"""Kinds: index keys that older events of the access log have in common, stored once and stood for by one key.

https://hl7.org/fhir/R4/auditevent.html#search

Before there were sheets (sheets.py) each event was a document in the collection of AuditEvents, where other AuditEvents
still are, and two thirds of its keys stood in the document of its kind in `meta`: {_id: "kind/<digest>", tk, st, hs}.
The event has one key for them, `kind␟<digest>`. A condition on events is widened to the kinds that satisfy it, as one
on Groups is to members out of line. An event that is indexed anew (reindex.py) has all keys itself, and is found by
the same condition.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from fhir_server.caller import Access, Predicate, Verb
from fhir_server.fhir.condition import SEPARATOR, All, Condition, Contains, Keys, Not, Prefix
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.satisfies import satisfies
from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.rebuild.built import META
from fhir_server.store.schema import LOG

KIND = f"kind{SEPARATOR}"
"""Begins the key of a kind. No search parameter has this name."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of one database."""

    database: Database

    async def resolved(self, condition: Condition) -> Condition:
        """`condition` on events, true also for those whose kind satisfies it."""
        return _widened(condition, await self._all()) if _asks(condition) else condition

    async def within(self, predicate: Predicate) -> Predicate:
        """The predicate, deciding on events by their kinds, too."""
        if not isinstance(predicate, Access):
            found = predicate(LOG)
            if not _asks(found):
                return predicate
            wide = _widened(found, await self._all())
            return lambda resource_type: wide if resource_type == LOG else predicate(resource_type)
        verbs: tuple[Verb | None, ...] = (None, *get_args(Verb))
        rules = predicate.rules
        asked = {verb: rules(verb, LOG) for verb in verbs}
        if not any(_asks(each) for each in asked.values() if each is not None):
            return predicate
        kinds = await self._all()
        widened = {verb: None if each is None else _widened(each, kinds) for verb, each in asked.items()}
        return replace(predicate, rules=lambda verb, each: widened[verb] if each == LOG else rules(verb, each))

    async def _all(self) -> Sequence[Document]:
        span = {"_id": {"$gte": _id(KIND), "$lt": _id(KIND) + "g"}}
        return await self.database.rows(META, [{"$match": span}])


def _id(key: str) -> str:
    return f"kind/{key.removeprefix(KIND)}"


def _asks(condition: Condition) -> bool:
    """Whether a kind could satisfy any part of it."""
    match condition:
        case Keys(field, _) | Prefix(field, _) | Contains(field, _, _):
            return field in ("tk", "st", "hs")
        case Not(inner):
            return _asks(inner)
        case All(parts) | AnyOf(parts):
            return any(_asks(part) for part in parts)
    return False


def _widened(condition: Condition, kinds: Sequence[Document]) -> Condition:
    match condition:
        case Keys() | Prefix() | Contains() if _asks(condition):
            found = (each for each in kinds if satisfies(_entries(each), "", 0, condition))
            keys = tuple(KIND + each["_id"].removeprefix(_id(KIND)) for each in found)
            if not keys:
                return condition
            if isinstance(condition, Keys) and condition.field == "tk":
                return Keys("tk", (*condition.keys, *keys))
            return AnyOf((condition, Keys("tk", keys)))
        case Not(inner):
            return Not(_widened(inner, kinds))
        case All(parts):
            return All(tuple(_widened(part, kinds) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_widened(part, kinds) for part in parts))
    return condition


def _entries(document: Document) -> Entries:
    return Entries(tk=document["tk"], st=document["st"], hs=document["hs"])
