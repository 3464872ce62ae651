"""Schema: the collections and indexes, and the check that they are what this version expects.

https://hl7.org/fhir/R4/resourcelist.html

Indexes are only ever made on empty collections (docs/decisions/0001): the embedded engine never finishes a multikey
index over 100,000 documents. So a new search parameter adds entries to existing arrays, and a changed index list means
a new collection, copied and switched, under the next VERSION.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from fhir_server.store.database import Database

VERSION = 3
"""Of the index list below; stored in the database at its first boot."""

LOG = "AuditEvent"
SHEETS = "sheets"
"""Where the access log is, besides the AuditEvents that are documents of their own (sheets.py)."""

Key = tuple[str, ...]

CURRENT: tuple[Key, ...] = (
    ("tk", "h"),
    ("rk",),
    ("lu", "_id"),
    ("_id", "vid"),
    ("h",),
    ("pt", "h"),
    ("org", "h"),
)
"""Indexes of a type's current versions. No index spans two arrays: MongoDB refuses such documents, the embedded engine
does not. `h` after an array key lets one selective key be walked in windows of `h`. Strings stand folded in `tk`."""

DROPPED: dict[int, tuple[Key, ...]] = {1: (("st",),), 2: ()}
"""Indexes of current versions that an earlier VERSION had and the next no longer has: dropped when it is opened. What
an index needs in its place, `reindex` puts into existing arrays (edition.py)."""

HISTORY: tuple[Key, ...] = (("rid", "vid"),)
SYSTEM: dict[str, tuple[Key, ...]] = {
    "claims": (),
    "idempotency": (("exp",),),
    "outbox": (("lu",),),
    "feed": (("t", "_id"),),
    "members": (("g", "n"), ("m",)),
    "leases": (),
    "jobs": (("due",),),
    "job_pieces": (),
    "card_revocations": (),
    "links": (("p",),),
    "link_uses": (("l",),),
    "clients": (),
    "users": (("s",), ("external",), ("patient",)),
    "grants": (("s",), ("c",), ("exp",)),
    "passing": (("exp",),),
    "meta": (),
    "relations": (("due",),),
    "seals": (),
    # Access is decided on it as on the Patients it is about.
    "call_list": (*CURRENT, ("day",), ("n",)),
    SHEETS: (("k", "_id"), ("k", "a", "_id")),
}
ARRAYS = frozenset({"tk", "hs", "st", "rk", "d", "pt", "org", "lb", "m", "k"})


class SchemaError(Exception):
    """The database holds another version's indexes; the sentence says which."""


def history_of(resource_type: str) -> str:
    """The name of the collection with a type's superseded versions and tombstones."""
    return f"{resource_type}_history"


def layout(types: Iterable[str]) -> dict[str, tuple[Key, ...]]:
    """Collection name -> its indexes, besides the one on `_id` that every collection has."""
    collections = dict(SYSTEM)
    for resource_type in sorted(types):
        collections[resource_type] = CURRENT
        collections[history_of(resource_type)] = HISTORY
    return collections


async def ensure(database: Database, types: Iterable[str]) -> None:
    """Make what is missing, each collection with all its indexes while it is empty.

    What an earlier version had too many is dropped. SchemaError where the database was made by a later version of the
    index list, or where a collection that already holds documents lacks an index: that is for `reindex`, never for a
    start.
    """
    wanted = layout(types)
    meta = database.collection("meta")
    recorded = await meta.find_one({"_id": "schema"})
    while recorded is not None and recorded["version"] in DROPPED:
        await _drop(database, recorded)
        recorded = await meta.find_one({"_id": "schema"})
    if recorded is not None and recorded["version"] != VERSION:
        raise SchemaError(
            f"This database has index list {recorded['version']}, this version of the server expects {VERSION}. "
            "Start the version that made it, or migrate the data."
        )
    made = set(recorded["collections"]) if recorded is not None else set()
    missing = sorted(wanted.keys() - made)
    for name in missing:
        await _make(database, name, wanted[name])
    if missing:
        await meta.replace_one(
            {"_id": "schema"},
            {"_id": "schema", "version": VERSION, "collections": sorted(made | wanted.keys())},
            upsert=True,
        )


async def differences(database: Database, types: Iterable[str]) -> list[str]:
    """A sentence for each collection whose indexes are not the listed ones."""
    found = []
    for name, keys in layout(types).items():
        present = {tuple(index["key"]) for index in await database.driver.indexes(database.collection(name))}
        expected = {("_id",), *keys}
        if present != expected:
            found.append(f"{name}: missing {sorted(expected - present)}, unknown {sorted(present - expected)}")
    return found


async def _drop(database: Database, recorded: Mapping[str, Any]) -> None:
    """Take the database one version further; whoever is interrupted, or comes second, finds nothing left to drop."""
    version = recorded["version"]
    for name in recorded["collections"]:
        if name in SYSTEM or history_of("") in name:
            continue
        collection = database.collection(name)
        present = await database.driver.indexes(collection)
        for index in present:
            if tuple(index["key"]) in DROPPED[version]:
                with contextlib.suppress(OperationFailure):
                    await collection.drop_index(index["name"])
    await database.collection("meta").update_one(
        {"_id": "schema", "version": version}, {"$set": {"version": version + 1}}
    )


async def _make(database: Database, name: str, keys: tuple[Key, ...]) -> None:
    collection = database.collection(name)
    if not keys:
        # Made beforehand, because a transaction would have to make it otherwise.
        with contextlib.suppress(CollectionInvalid):
            await database.create(name)
        return
    if await collection.find_one({}, {"_id": 1}) is not None:
        present = {tuple(index["key"]) for index in await database.driver.indexes(collection)}
        if not set(keys) <= present:
            raise SchemaError(f"The collection {name} holds data but lacks indexes; it was not made by this server.")
        return
    await collection.create_indexes([IndexModel([(part, 1) for part in key]) for key in keys])
