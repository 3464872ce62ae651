"""History: the versions of one resource, of a type, or of everything, newest first.

https://hl7.org/fhir/R4/http.html#history

One resource's versions come from its collection and its history twin. Those of a type or of everything follow the feed:
`since` selects by the time a change was numbered, never by `lastUpdated`, so nothing committed late is missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.caller import Predicate
from fhir_server.fhir.condition import EVERYTHING
from fhir_server.store import feed, reads
from fhir_server.store.access_log import log
from fhir_server.store.database import Database
from fhir_server.store.documents import RAW, stored, version_key
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import remainder
from fhir_server.store.records import Page, Period, Stored
from fhir_server.store.schema import LOG, history_of

ROUNDS = 100
"""Stretches of the feed that one page may look through before it ends short."""


@dataclass(frozen=True, slots=True)
class History:
    """Reads histories from one database. `predicate` decides as in reads.py."""

    database: Database

    async def of_resource(
        self, predicate: Predicate, resource_type: str, id: str, period: Period, limit: int, after: int | None
    ) -> Page:
        """Versions of one resource below version `after`. FhirError 404 where it does not exist for the caller."""
        visible = predicate(resource_type)
        await self._require(predicate, resource_type, id)
        bounds: list[Match] = []
        if period.since is not None:
            bounds.append({"lu": {"$gte": period.since}})
        if period.at is not None:
            first = await self._in_force(resource_type, id, period.at[0])
            bounds += [{"lu": {"$lt": period.at[1]}}, {"vid": {"$gte": first}}]
        if after is not None:
            bounds.append({"vid": {"$lt": after}})
        rest: list[Match] = [{"$match": {"$and": bounds}}] if bounds else []
        keep = {**RAW, "rid": 1}
        tail = [*rest, *remainder(visible), {"$sort": {"vid": -1}}, {"$limit": limit + 1}, {"$project": keep}]
        found = await self.database.rows(resource_type, [{"$match": {"_id": id}}, *tail])
        found += await self.database.rows(history_of(resource_type), [{"$match": {"rid": id}}, *tail])
        if resource_type == LOG and not found:
            found = [each for each in await log.by_ids(self.database, [id], visible) if _is_within(each, period, after)]
        rows = tuple(stored(resource_type, document) for document in found[:limit])
        return Page(rows, (rows[-1].version,) if len(found) > limit else None)

    async def of_all(
        self, predicate: Predicate, resource_type: str | None, period: Period, limit: int, after: int | None
    ) -> Page:
        """Versions of a type, or of everything, numbered below `after`."""
        high = after if after is not None else await feed.last(self.database) + 1
        floor = 1
        if period.since is not None:
            floor = await feed.first_since(self.database, period.since)
        found: list[tuple[int, Stored]] = []
        for _ in range(ROUNDS):
            changes = await feed.before(self.database, high, floor, limit + 1 - len(found), resource_type)
            found += await self._versions(predicate, changes, period)
            if not changes:
                high = floor
                break
            high = changes[-1]["_id"]
            if len(found) > limit:
                break
        rows = tuple(version for _, version in found[:limit])
        if len(found) > limit:
            return Page(rows, (found[limit - 1][0],))
        return Page(rows, (high,) if high > floor else None)

    async def follow(self, predicate: Predicate, number: int, limit: int) -> Page:
        """Versions behind this number of the feed, oldest first. `next` is always where to go on, also at the end."""
        changes = await feed.after(self.database, number, limit)
        found = await self._versions(predicate, changes, Period())
        reached = changes[-1]["_id"] if changes else number
        return Page(tuple(version for _, version in found), (reached,))

    async def _versions(
        self, predicate: Predicate, changes: Sequence[Document], period: Period
    ) -> list[tuple[int, Stored]]:
        """The versions these changes made, with their numbers, in the same order: those that exist for the caller."""
        by_type: dict[str, list[Document]] = {}
        for change in changes:
            by_type.setdefault(change["t"], []).append(change)
        found: dict[int, Stored] = {}
        for resource_type, group in by_type.items():
            found.update(await self._of_type(predicate, resource_type, group))
        if period.at is not None:
            found = {n: version for n, version in found.items() if await self._was_current(version, period.at)}
        return [(change["_id"], found[change["_id"]]) for change in changes if change["_id"] in found]

    async def _of_type(
        self, predicate: Predicate, resource_type: str, changes: Sequence[Document]
    ) -> dict[int, Stored]:
        visible = predicate(resource_type)
        ids = list(dict.fromkeys(change["id"] for change in changes))
        newest = {row["_id"]: row for row in await reads.by_ids(self.database, resource_type, ids, visible, RAW)}
        known = set(ids) if visible == EVERYTHING else await self._known(predicate, resource_type, ids, set(newest))
        older = [
            version_key(change["id"], change["v"])
            for change in changes
            if change["id"] in known and newest.get(change["id"], {}).get("vid") != change["v"]
        ]
        keep = {**RAW, "rid": 1}
        past = await reads.by_ids(self.database, history_of(resource_type), older, visible, keep) if older else []
        versions = {row["_id"]: row for row in past}
        versions.update({version_key(id, row["vid"]): row for id, row in newest.items()})
        found = {change["_id"]: versions.get(version_key(change["id"], change["v"])) for change in changes}
        return {number: stored(resource_type, row) for number, row in found.items() if row is not None}

    async def _known(self, predicate: Predicate, resource_type: str, ids: Sequence[str], seen: set[str]) -> set[str]:
        """Those of `ids` whose newest version, current or tombstone, exists for the caller."""
        visible = predicate(resource_type)
        unseen = [id for id in ids if id not in seen]
        return seen | {id for id in unseen if await reads.is_deleted(self.database, visible, resource_type, id)}

    async def _require(self, predicate: Predicate, resource_type: str, id: str) -> None:
        visible = predicate(resource_type)
        if await reads.by_ids(self.database, resource_type, [id], visible, {"vid": 1}):
            return
        if not await reads.is_deleted(self.database, visible, resource_type, id):
            raise reads.absent(resource_type, id)

    async def _in_force(self, resource_type: str, id: str, instant: int) -> int:
        """The version that was current at `instant`; 0 before the first."""
        tail: list[Match] = [{"$match": {"lu": {"$lte": instant}}}, {"$sort": {"vid": -1}}, {"$limit": 1}]
        keep = {"$project": {"vid": 1, "lu": 1}}
        found = await self.database.rows(resource_type, [{"$match": {"_id": id}}, *tail, keep])
        found = found or await self.database.rows(history_of(resource_type), [{"$match": {"rid": id}}, *tail, keep])
        return int(found[0]["vid"]) if found else 0

    async def _was_current(self, version: Stored, at: tuple[int, int]) -> bool:
        if version.updated >= at[1]:
            return False
        return await self._in_force(version.type, version.id, at[0]) <= version.version


def _is_within(event: Document, period: Period, after: int | None) -> bool:
    """Whether the only version of an event of the access log belongs to what is asked for."""
    since, end = period.since or 0, None if period.at is None else period.at[1]
    return since <= event["lu"] and (end is None or event["lu"] < end) and (after is None or event["vid"] < after)
