"""Seals: a digest of every day of the access log, each made over the one before, so that no event is changed unseen.

https://hl7.org/fhir/R4/auditevent.html#provenance

A seal is {_id: "2026-11-23", n, digest, before}: the number of the day's events and SHA-256 over the seal before and,
in the order they were recorded, id and bytes of each AuditEvent that is a document of its own and then of each sheet
(sheets.py), which hold all that its events are made of. One process makes it, by lease, once the day (UTC) is over.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pymongo.errors import PyMongoError

from fhir_server.store import failures
from fhir_server.store.access_log import sheets
from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match
from fhir_server.store.schema import LOG

SEALS = "seals"
GRACE_SECONDS = 600
"""After midnight, for what was recorded before it and is still on its way."""
LEASE_SECONDS = 300
AT_ONCE = 1_000
_SECOND = 1_000_000
_LEASE = {"_id": "seals"}


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal of a day (`2026-11-23`): the number of its events, its digest and that of the seal before, in hex."""

    day: str
    events: int
    digest: str
    before: str


@dataclass
class Seals:
    """The seals of one database's access log."""

    database: Database
    _name: str = field(default_factory=lambda: secrets.token_hex(8))

    async def seal(self) -> list[Seal]:
        """Seal every day that is over and not sealed yet; the new seals. None where another process is doing it."""
        if not await self._hold():
            return []
        made: list[Seal] = []
        last = await self.last()
        day = await self._first_day() if last is None else _next(last.day)
        over = _day_of(self.database.clock() - GRACE_SECONDS * _SECOND)
        while day is not None and day < over:
            last = await self._sealed(day, "" if last is None else last.digest)
            made.append(last)
            document = {"_id": last.day, "n": last.events, "digest": last.digest, "before": last.before}
            try:
                await self.database.collection(SEALS).insert_one(document)
            except PyMongoError as error:
                if failures.code_of(error) != failures.DUPLICATE_KEY:
                    raise
            day = _next(day)
        return made

    async def broken(self, newest: int | None = None) -> str | None:
        """The first day whose seal is not what its events now come to, or that does not follow the seal before; of the
        `newest` seals only, where a number is given."""
        seals = [seal async for seal in self._all()]
        for number, seal in enumerate(seals):
            before = seals[number - 1].digest if number else ""
            if seal.before != before:
                return seal.day
            if (newest is None or number >= len(seals) - newest) and await self._sealed(seal.day, before) != seal:
                return seal.day
        return None

    async def _sealed(self, day: str, before: str) -> Seal:
        digest, count = hashlib.sha256(f"{before}|{day}".encode()), 0
        start = _midnight(day)
        position: tuple[int, str] = (start, "")
        end = _midnight(_next(day))
        while True:
            behind: Match = {"$or": [{"lu": {"$gt": position[0]}}, {"lu": position[0], "_id": {"$gt": position[1]}}]}
            pipeline: list[Match] = [
                {"$match": {"lu": {"$gte": position[0], "$lt": end}}},
                {"$match": behind},
                {"$sort": {"lu": 1, "_id": 1}},
                {"$limit": AT_ONCE},
                {"$project": {"raw": 1, "lu": 1}},
            ]
            rows = await self.database.rows(LOG, pipeline)
            for row in rows:
                digest.update(row["_id"].encode() + b"\0" + hashlib.sha256(row["raw"]).digest())
            count += len(rows)
            if len(rows) < AT_ONCE:
                break
            position = (int(rows[-1]["lu"]), rows[-1]["_id"])
        async for sheet in sheets.between(self.database, start, end, {"n": 1, "raw": 1}):
            digest.update(sheet["_id"].encode() + b"\0" + hashlib.sha256(sheet["raw"]).digest())
            count += int(sheet["n"])
        return Seal(day, count, digest.hexdigest(), before)

    async def begun(self) -> int:
        """A moment before which nothing was logged, as far as seals tell; some days ago where there are none."""
        oldest: list[Match] = [{"$match": {"_id": {"$gte": ""}}}, {"$sort": {"_id": 1}}, {"$limit": 1}]
        rows = await self.database.rows(SEALS, oldest)
        return _midnight(rows[0]["_id"]) if rows else self.database.clock() - 2 * 86_400 * _SECOND

    async def _first_day(self) -> str | None:
        pipeline: list[Match] = [
            {"$match": {"lu": {"$gte": 0}}},
            {"$sort": {"lu": 1}},
            {"$limit": 1},
            {"$project": {"lu": 1}},
        ]
        rows = await self.database.rows(LOG, pipeline)
        found = [int(row["lu"]) for row in rows]
        first = await sheets.first(self.database)
        found += [] if first is None else [first]
        return _day_of(min(found)) if found else None

    async def last(self) -> Seal | None:
        """The newest seal."""
        newest: list[Match] = [{"$match": {"_id": {"$gte": ""}}}, {"$sort": {"_id": -1}}, {"$limit": 1}]
        rows = await self.database.rows(SEALS, newest)
        return _seal(rows[0]) if rows else None

    async def _all(self) -> AsyncIterator[Seal]:
        for row in await self.database.rows(SEALS, [{"$match": {"_id": {"$gte": ""}}}, {"$sort": {"_id": 1}}]):
            yield _seal(row)

    async def _hold(self) -> bool:
        """Take the lease, where nobody has it; it ends by itself."""
        leases, now = self.database.collection("leases"), self.database.clock()
        await leases.update_one(_LEASE, {"$setOnInsert": {"holder": "", "until": 0}}, upsert=True)
        free = {**_LEASE, "$or": [{"holder": self._name}, {"until": {"$lt": now}}]}
        until = now + LEASE_SECONDS * _SECOND
        taken = await leases.update_one(free, {"$set": {"holder": self._name, "until": until}})
        return bool(taken.matched_count == 1)


def _seal(document: Document) -> Seal:
    return Seal(document["_id"], int(document["n"]), document["digest"], document["before"])


def _day_of(instant: int) -> str:
    return datetime.fromtimestamp(instant // _SECOND, UTC).date().isoformat()


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * _SECOND
