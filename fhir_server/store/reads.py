"""Reads: the current and earlier versions of a resource, for a caller for whom it exists.

https://hl7.org/fhir/R4/http.html#read

`visible` is the access predicate of the resource's type. A version exists for a caller if it satisfies the predicate
and so does the newest one (current version or tombstone): whoever lost sight of a resource lost its history, too.
Hidden and absent give the same FhirError 404.
"""

from collections.abc import Iterable, Sequence

from fhir_server.fhir.condition import EVERYTHING, Condition
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.store.access_log import log
from fhir_server.store.database import Database
from fhir_server.store.documents import RAW, stored, version_key
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import IDS_AT_ONCE, NATURAL, remainder
from fhir_server.store.query.sieve import Sieve
from fhir_server.store.records import Stored
from fhir_server.store.schema import LOG, history_of


async def read(database: Database, visible: Condition, resource_type: str, id: str) -> Stored:
    """The current version. FhirError 404 where there is none, 410 where it was deleted."""
    document = await _one(database, resource_type, {"_id": id}, visible)
    if document is not None:
        return stored(resource_type, document)
    if await is_deleted(database, visible, resource_type, id):
        raise gone(resource_type, id)
    raise absent(resource_type, id)


async def vread(database: Database, visible: Condition, resource_type: str, id: str, version: int) -> Stored:
    """This version. FhirError 404 where there is none, 410 where this version is the deletion."""
    newest = await _one(database, resource_type, {"_id": id}, visible)
    if newest is not None and newest["vid"] == version:
        return stored(resource_type, newest)
    if newest is None and not await is_deleted(database, visible, resource_type, id):
        raise absent(resource_type, id)
    document = await _one(database, history_of(resource_type), {"_id": version_key(id, version)}, visible)
    if document is None:
        text = f"{resource_type}/{id} has no version {version}."
        raise refuse(404, "not-found", "unknown-version", text)
    if document["raw"] is None:
        raise gone(resource_type, id)
    return stored(resource_type, {**document, "rid": id})


async def read_many(
    database: Database, visible: dict[str, Condition], wanted: Sequence[tuple[str, str]]
) -> list[Stored]:
    """The current versions of those that exist, each once, in the order asked for. Never an error for the others."""
    by_type: dict[str, list[str]] = {}
    for resource_type, id in dict.fromkeys(wanted):
        by_type.setdefault(resource_type, []).append(id)
    found: dict[tuple[str, str], Stored] = {}
    for resource_type, ids in by_type.items():
        for document in await by_ids(database, resource_type, ids, visible[resource_type], RAW):
            found[resource_type, document["_id"]] = stored(resource_type, document)
    return [found[each] for each in dict.fromkeys(wanted) if each in found]


async def by_ids(
    database: Database, collection: str, ids: Iterable[str], visible: Condition, keep: Match
) -> list[Document]:
    """The documents with these `_id`s that satisfy `visible`, in no order."""
    found: list[Document] = []
    asked = list(ids)
    for start in range(0, len(asked), IDS_AT_ONCE):
        first = {"_id": {"$in": asked[start : start + IDS_AT_ONCE]}}
        found += await database.rows(collection, [{"$match": first}, *remainder(visible), {"$project": keep}])
    return found if collection != LOG else [*found, *await log.by_ids(database, asked, visible)]


async def is_deleted(database: Database, visible: Condition, resource_type: str, id: str) -> bool:
    """Whether the newest version is a deletion that this caller may know of."""
    newest: list[Match] = [{"$match": {"rid": id}}, {"$sort": {"vid": -1}}, {"$limit": 1}]
    rows = await database.rows(history_of(resource_type), [*newest, *remainder(visible), {"$project": RAW}])
    if not rows or rows[0]["raw"] is not None:
        return False
    return await database.collection(resource_type).find_one({"_id": id}, {"vid": 1}) is None


async def _one(database: Database, collection: str, first: Match, visible: Condition) -> Document | None:
    if collection == LOG:
        events = await by_ids(database, LOG, [first["_id"]], visible, RAW)
        return events[0] if events else None
    if visible == EVERYTHING:
        document: Document | None = await database.collection(collection).find_one(first, RAW)
        return document
    # One document is decided on in memory: stages cost the database as much again as finding it.
    sieve = Sieve(visible, NATURAL)
    document = await database.collection(collection).find_one(first, sieve.fields(RAW))
    return document if document is not None and sieve.holds(document) else None


def absent(resource_type: str, id: str) -> FhirError:
    """404: it never was, or not for this caller."""
    return refuse(404, "not-found", "unknown-resource", f"There is no {resource_type}/{id}.")


def gone(resource_type: str, id: str) -> FhirError:
    """410: it was deleted; earlier versions stay."""
    return refuse(410, "deleted", "deleted", f"{resource_type}/{id} was deleted.")
