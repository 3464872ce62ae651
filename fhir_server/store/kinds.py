"""Kinds: index keys that many events of the access log have in common, stored once and stood for by one key.

https://hl7.org/fhir/R4/auditevent.html#search

Two thirds of an event's keys say no more than that somebody read something and was given it; in the index they would
cost as much as all else. So an event has one key for them, `kind␟<digest>`, and the kind's document in `meta` has the
keys: {_id: "kind/<digest>", tk, st, hs}. A condition on events is widened to the kinds that satisfy it, as one on
Groups is to members out of line. An event that is indexed anew (reindex.py) has all keys itself, and is found by the
same condition.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import get_args

from fhir_server.caller import Access, Predicate, Verb
from fhir_server.fhir import json
from fhir_server.fhir.condition import SEPARATOR, All, Condition, Contains, Keys, Not, Prefix
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.satisfies import satisfies
from fhir_server.store.built import META
from fhir_server.store.database import Database
from fhir_server.store.driver import Document

LOG = "AuditEvent"
KIND = f"kind{SEPARATOR}"
"""Begins the key of a kind. No search parameter has this name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Keys in common, and the key that stands for them."""

    key: str
    tk: tuple[str, ...]
    st: tuple[str, ...]
    hs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """An event to be logged: its id and bytes, and its index entries, which are its own and those of its kind."""

    id: str
    raw: bytes
    entries: Entries
    kind: Kind | None = None


def kind(tk: Iterable[str], st: Iterable[str], hs: Iterable[str]) -> Kind:
    """The kind with these keys."""
    parts = tuple(tuple(sorted(set(keys))) for keys in (tk, st, hs))
    return Kind(KIND + blake2b(json.dump(parts), digest_size=9).hexdigest(), *parts)


@dataclass
class Kinds:
    """The kinds of one database."""

    database: Database
    _kept: set[str] = field(default_factory=set)

    async def keep(self, kinds: Iterable[Kind]) -> None:
        """Store those that are new, before any event has their key."""
        for each in {kind for kind in kinds if kind.key not in self._kept}:
            document = {"tk": list(each.tk), "st": list(each.st), "hs": list(each.hs)}
            where = {"_id": _id(each.key)}
            await self.database.collection(META).replace_one(where, {**where, **document}, upsert=True)
            self._kept.add(each.key)

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
