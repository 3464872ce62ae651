"""Call list: whom somebody has to call on a day, kept so that a page of them costs no look at everybody.

https://hl7.org/fhir/R4/list.html

Derived: it can be thrown away and is made again. A document is {_id: the Patient's id, day, n, lu, h, hs, ...}, with
the index entries of the Patient, so that what a caller may see is a condition on it as on the Patient, and the same
indexes answer it; `hs` has one key more, for the day, and `n` is the number of the feed by which they came onto it. It
is a superset of what is due: who is found is read again as a Patient, within what the caller may see by then. That it
stands, and until when it was kept up, is left with the turn of those who make it (turns.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pymongo import ReplaceOne

from fhir_server.fhir.condition import SEPARATOR, All, Condition, Keys
from fhir_server.store import feed
from fhir_server.store.database import Database
from fhir_server.store.documents import version_key
from fhir_server.store.driver import Document
from fhir_server.store.query.plan import IDS_AT_ONCE
from fhir_server.store.query.search import Search
from fhir_server.store.schema import history_of
from fhir_server.store.sequencer import Sequencer
from fhir_server.store.turns import Turn

CALL_LIST = "call_list"
_KEPT = ("vid", "lu", "h", "tk", "hs", "st", "rk", "d", "pt", "org", "lb")
_OWN = "Patient/"


@dataclass(frozen=True, slots=True)
class Standing:
    """The list that stands: its day, the instant of which it tells (microseconds since 1970), and the number of the
    feed up to which changes are in it."""

    day: date
    as_of: int
    number: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of the Patients that something changed about, those of Groups that changed, and the number of the feed that
    was reached."""

    patients: tuple[str, ...]
    groups: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class CallList:
    """The call list of one database. All of it may raise FhirError 503."""

    database: Database
    _search: Search
    _sequencer: Sequencer

    def turn(self, seconds: float) -> Turn:
        """The turn to make the list, or to keep it up."""
        return Turn(self.database, CALL_LIST, seconds)

    async def standing(self) -> Standing | None:
        """The list that stands; None while there is none."""
        left = await self.turn(0).left()
        if not left.get("day"):
            return None
        return Standing(date.fromisoformat(left["day"]), int(left["as_of"]), int(left["number"]))

    async def page(
        self, visible: Condition, day: date, limit: int, after: tuple[str | int, ...] | None
    ) -> tuple[list[str], tuple[str | int, ...] | None]:
        """Ids of the next `limit` people on the list of that day that satisfy the condition, and where to go on."""
        # The day comes last: nearly all of the collection is of that day, and no index is asked for it.
        where = All((visible, Keys("hs", (_key(day),))))
        return await self._search.places(CALL_LIST, where, limit, after)

    async def put(self, day: date, ids: Sequence[str], number: int) -> None:
        """Put these people on the list of that day, as their Patients stand now; `number` is that of the feed up to
        which they were looked at, at least."""
        keep = dict.fromkeys(_KEPT, 1)
        async with self.database.reading():
            rows = await self._by_ids("Patient", ids, keep)
        writes = [ReplaceOne({"_id": row["_id"]}, _document(row, day, number), upsert=True) for row in rows]
        if writes:
            async with self.database.writing(len(writes)):
                await self.database.collection(CALL_LIST).bulk_write(writes, ordered=False)

    async def strike(self, ids: Sequence[str]) -> None:
        """Take these people off."""
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = {"_id": {"$in": list(ids[start : start + IDS_AT_ONCE])}}
            async with self.database.writing():
                await self.database.collection(CALL_LIST).delete_many(some)

    async def clear(self, day: date, number: int) -> None:
        """Remove what is left of lists before that day, and of what was known before that number of the feed."""
        async with self.database.writing():
            await self.database.collection(CALL_LIST).delete_many({"day": {"$lt": day.isoformat()}})
            await self.database.collection(CALL_LIST).delete_many({"n": {"$lt": number}})

    async def reached(self) -> int:
        """The number of the newest change in the feed, which holds all that was committed before this call."""
        async with self.database.reading():
            await self._sequencer.settle()
            return await feed.last(self.database)

    async def changes(self, number: int, types: Iterable[str], limit: int) -> Changes:
        """Whom up to `limit` changes behind this number of the feed are about, of those to resources of these types;
        all that was committed before this call is in the feed."""
        async with self.database.reading():
            await self._sequencer.settle()
            rows = await feed.after(self.database, number, limit)
            patients = {row["id"]: None for row in rows if row["t"] == "Patient"}
            for resource_type in set(types) - {"Patient"}:
                of_type = [row for row in rows if row["t"] == resource_type]
                for document in await self._versions(resource_type, of_type):
                    subjects = (each for each in document["pt"] if each.startswith(_OWN))
                    patients.update((each.removeprefix(_OWN), None) for each in subjects)
        groups = dict.fromkeys(row["id"] for row in rows if row["t"] == "Group")
        return Changes(tuple(patients), tuple(groups), int(rows[-1]["_id"]) if rows else number)

    async def _versions(self, resource_type: str, rows: Sequence[Document]) -> list[Document]:
        """What changed as it is now, and as it was: a correction may have made it somebody else's."""
        keep = {"pt": 1}
        past = [version_key(row["id"], int(row["v"]) - back) for row in rows if row["v"] > 1 for back in (0, 1)]
        current = list(dict.fromkeys(row["id"] for row in rows))
        return [
            *await self._by_ids(resource_type, current, keep),
            *await self._by_ids(history_of(resource_type), past, keep),
        ]

    async def _by_ids(self, name: str, ids: Sequence[str], keep: Mapping[str, Any]) -> list[Document]:
        found: list[Document] = []
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = list(ids[start : start + IDS_AT_ONCE])
            found += await self.database.find(name, {"_id": {"$in": some}}, dict(keep), len(some))
        return found


def _key(day: date) -> str:
    return f"{CALL_LIST}{SEPARATOR}{day.isoformat()}"


def _document(row: Document, day: date, number: int) -> Document:
    kept = {name: row[name] for name in _KEPT if name in row}
    day_key = [*row.get("hs", []), _key(day)]
    return {"_id": row["_id"], **kept, "hs": day_key, "day": day.isoformat(), "n": number}
