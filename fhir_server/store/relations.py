"""Relations: which organizations have a relationship with a patient, why, and the keys that open the record to them.

https://hl7.org/fhir/R4/security.html

A patient's relationships are one document {_id: "Patient/x", o: [{o, r, by, at}], x, t, due}: `o` the organization's
id, `r` the reason, `by` the resource it was learnt from, `at` when; `x` the active Consents not to share; `t` the types
that hold something about the patient. They are learnt in the transaction of the write that shows them, and stand as
`sees` keys in the entries of everything about the patient, where the access predicate finds them by an index. What was
stored before a relationship began gets its keys right after that transaction, and once more after `due`: by then every
write has ended that began without knowing of it (docs/decisions/0028-relationships.md).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pymongo import UpdateOne

from fhir_server.store.bulk import Bulk
from fhir_server.store.call_list import CALL_LIST
from fhir_server.store.database import Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.plan import IDS_AT_ONCE, KEYS_AT_ONCE
from fhir_server.store.schema import history_of
from fhir_server.store.ties import Ties

RELATIONS = "relations"
SWEPT_AT_ONCE = 500
_KEPT: Mapping[str, Any] = {"$project": {"vid": 1, "org": 1, "pt": 1}}

Act = Callable[[Ties], None]
"""Notes relationships of the patients that were loaded."""


async def load(database: Database, session: Session | None, patients: Iterable[str], now: int) -> Ties:
    """The relationships of these patients."""
    asked = list(dict.fromkeys(patients))
    found: dict[str, Document] = {}
    for start in range(0, len(asked), IDS_AT_ONCE):
        part = asked[start : start + IDS_AT_ONCE]
        first: dict[str, Any] = {"_id": part[0] if len(part) == 1 else {"$in": part}}
        rows = await database.rows(RELATIONS, [{"$match": first}], session)
        found.update({row["_id"]: row for row in rows})
    return Ties(found, now, frozenset(found))


def keep(bulk: Bulk, ties: Ties) -> None:
    """Have stored what was learnt. Conflict where another learnt something of the same patients meanwhile."""
    bulk.contested.add(RELATIONS)
    new = [ties.documents[patient] for patient in sorted(ties.changed - ties.found)]
    if new:
        bulk.insert(RELATIONS, new)
    for patient in sorted(ties.changed & ties.found):
        bulk.replace(RELATIONS, {"_id": patient}, ties.documents[patient])


async def relate(database: Database, organization: str, patients: Iterable[str], reason: str, by: str) -> None:
    """Record that the Organization with this id has a relationship with these patients (`Patient/1`), for one of
    `REASONS`, learnt from the resource `by`; and open what is stored about them. Safe to repeat."""
    asked = sorted(set(patients))
    for start in range(0, len(asked), IDS_AT_ONCE):
        part = asked[start : start + IDS_AT_ONCE]

        def act(ties: Ties, part: Sequence[str] = part) -> None:
            for patient in part:
                ties.tie(patient, organization, reason, by)

        await sweep(database, await learn(database, part, act))


async def learn(database: Database, patients: Iterable[str], act: Act) -> set[str]:
    """Have `act` note what it knows of these patients, in one transaction; those whose keys are others now. Safe to
    repeat, as `act` must be."""
    widened: set[str] = set()

    async def note(session: Session) -> None:
        ties = await load(database, session, patients, database.clock())
        act(ties)
        if ties.changed:
            bulk = Bulk(database)
            keep(bulk, ties)
            await bulk.run(session)
        widened.update(ties.widened)

    async def landed(result: None) -> bool:
        # If it did, the next run finds nothing to be changed.
        return False

    await database.transaction(note, landed)
    return widened


async def sweep(database: Database, patients: Iterable[str]) -> None:
    """Give everything that is stored about these patients the keys it should have. Safe to repeat."""
    asked = sorted(patients)
    for start in range(0, len(asked), KEYS_AT_ONCE):
        part = asked[start : start + KEYS_AT_ONCE]
        ties = await load(database, None, part, 0)
        by_type: dict[str, list[str]] = {}
        for document in ties.documents.values():
            for resource_type in document["t"]:
                by_type.setdefault(resource_type, []).append(document["_id"])
        for resource_type, about in by_type.items():
            await _restamp(database, ties, resource_type, {"pt": about[0] if len(about) == 1 else {"$in": about}})
        # It has the Patients' keys, and is asked in their place.
        listed: Mapping[str, Any] = {"_id": {"$in": [each.partition("/")[2] for each in part]}}
        rows = await database.rows(CALL_LIST, [{"$match": listed}, _KEPT])
        await _restamp_rows(database, ties, "Patient", CALL_LIST, rows)


async def finish(database: Database, limit: int = SWEPT_AT_ONCE) -> int:
    """Look once more after the patients whose `due` has come; how many those were."""
    due: Mapping[str, Any] = {"due": {"$gt": 0, "$lte": database.clock()}}
    rows = await database.rows(RELATIONS, [{"$match": due}, {"$limit": limit}, {"$project": {"due": 1}}])
    await sweep(database, [row["_id"] for row in rows])
    done = [UpdateOne({"_id": row["_id"]}, [{"$set": {"due": _unless_later(row["due"])}}]) for row in rows]
    if done:
        await database.collection(RELATIONS).bulk_write(done, ordered=False)
    return len(rows)


def _unless_later(due: int) -> Mapping[str, Any]:
    # In the change and not in the filter: there the embedded engine looks at all that are due at this moment, for each.
    return {"$cond": [{"$eq": ["$due", due]}, 0, "$due"]}


async def _restamp(database: Database, ties: Ties, resource_type: str, first: Mapping[str, Any]) -> None:
    rows = await database.rows(resource_type, [{"$match": first}, _KEPT])
    await _restamp_rows(database, ties, resource_type, resource_type, rows)
    revised = [row["_id"] for row in rows if row["vid"] > 1]
    for start in range(0, len(revised), IDS_AT_ONCE):
        past: Mapping[str, Any] = {"rid": {"$in": revised[start : start + IDS_AT_ONCE]}}
        older = await database.rows(history_of(resource_type), [{"$match": past}, _KEPT])
        await _restamp_rows(database, ties, resource_type, history_of(resource_type), older)


async def _restamp_rows(
    database: Database, ties: Ties, resource_type: str, collection: str, rows: Sequence[Document]
) -> None:
    strangers = {patient for row in rows for patient in row["pt"]} - ties.documents.keys()
    if strangers:
        ties.documents.update((await load(database, None, strangers, 0)).documents)
    updates = list(_updates(ties, resource_type, rows))
    if updates:
        await database.collection(collection).bulk_write(updates, ordered=False)


def _updates(ties: Ties, resource_type: str, rows: Sequence[Document]) -> Iterator[UpdateOne]:
    for row in rows:
        wanted = ties.stamped(resource_type, row)
        if set(wanted) != set(row["org"]):
            yield UpdateOne({"_id": row["_id"], "vid": row["vid"]}, {"$set": {"org": wanted}})
