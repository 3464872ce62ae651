"""Reindex: makes index entries anew for what was stored before an upgrade, while others read and write.

https://hl7.org/fhir/R4/search.html

Windows of `h`, so nothing is left out or done twice. Entries are put in place of old ones by comparing id and version:
whoever wrote meanwhile wins, and has written new entries. How far it is stands in the database after each window.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from pymongo import UpdateOne

from fhir_server.fhir import edition, json
from fhir_server.fhir.index import Entries, entries
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.relations import BY, SEES
from fhir_server.store.access_log import sheets
from fhir_server.store.database import LARGE, Database
from fhir_server.store.documents import HASHES, indexed
from fhir_server.store.driver import Document
from fhir_server.store.groups import group
from fhir_server.store.groups.generations import COLLECTION as MEMBERS
from fhir_server.store.groups.generations import ROWS_AT_ONCE, Generations
from fhir_server.store.query.match import Match
from fhir_server.store.rebuild.built import META, Built, record_id
from fhir_server.store.rebuild.learning import OPENING, Learning
from fhir_server.store.schema import LOG

AT_ONCE = 100
"""Documents in a window, about, and read at a time at most."""
BYTES_AT_ONCE = 8_000_000
"""Bytes of resources to read at a time, about: large ones are read fewer at a time."""
MOST_TRIES = 20
"""Times a window is tried while the database is away or others are in the way."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is: documents looked at, of about so many, the last ones of this type."""

    type: str
    done: int
    total: int


@dataclass
class Reindex:
    """The rebuild of one database. `base` is the server's own base URL, `rest` how long to pause after each window, in
    windows' durations. `failed` are the resources (`Type/id`) that cannot be indexed; their types stay incomplete."""

    database: Database
    built: Built
    base: str
    rest: float = 0.0
    failed: list[str] = field(default_factory=list)
    walked: dict[str, int] = field(default_factory=dict)
    """The revision under which all of a type was indexed."""

    async def run(self) -> AsyncIterator[Step]:
        """Rebuild every type that lacks something, then learn the relationships that all of them show, where that was
        not done. FhirError 503 where the database stays away."""
        sizes = {each: await self._size(each) for each in sorted(self.built.missing)}
        unlearnt = ":sees" in self.built.missing.get("Patient", ())
        total, done = sum(sizes.values()), 0
        for resource_type, size in sizes.items():
            async for share in self._rebuild(resource_type, size):
                yield Step(resource_type, done + int(share * size), total)
            done += size
            yield Step(resource_type, done, total)
            if resource_type != "Patient" or not unlearnt:
                await self._finish(resource_type)
        if unlearnt and "Patient" in self.walked:
            async for share in self._learn(self.walked["Patient"]):
                yield Step(OPENING, int(share * total), total)
            await self._finish("Patient")

    async def _finish(self, resource_type: str) -> None:
        if resource_type in self.walked:
            await self.built.finish(resource_type, self.walked[resource_type])
        await self.built.compare([resource_type])

    async def _learn(self, rev: int) -> AsyncIterator[float]:
        """Yields the share of the relationships that are learnt; begins again where the database was away."""
        attempt, clock = 0, asyncio.get_running_loop().time
        while True:
            started = clock()
            try:
                async for share in Learning(self.database, self.base).run(rev):
                    attempt = 0
                    yield share
                    await asyncio.sleep(self.rest * (clock() - started))
                    started = clock()
                return
            except FhirError as error:
                attempt += 1
                if error.status != 503 or attempt == MOST_TRIES:
                    raise
            await asyncio.sleep(min(0.05 * 2**attempt, 5.0))

    async def _rebuild(self, resource_type: str, size: int) -> AsyncIterator[float]:
        """Yields the share of the type that is done."""
        record = await self._record(resource_type)
        low, width = int(record["at"]), max(1, HASHES * AT_ONCE // max(size, 1))
        while True:
            changed = 0
            while low < HASHES:
                started = asyncio.get_running_loop().time()
                high = min(low + width, HASHES)
                changed += await self._patiently(resource_type, low, high)
                if not await self._reached(resource_type, record["rev"], high % HASHES):
                    # Opened with other rules meanwhile: our documents are the outdated ones now.
                    return
                low = high
                yield low / HASHES
                await asyncio.sleep(self.rest * (asyncio.get_running_loop().time() - started))
            if not changed or any(each.startswith(f"{resource_type}/") for each in self.failed):
                break
            # Once more, to see that nobody left any behind: then nothing has to be made.
            low, width = 0, width * 10
        if resource_type == LOG:
            await self._rekey()
        if not any(each.startswith(f"{resource_type}/") for each in self.failed):
            self.walked[resource_type] = record["rev"]

    async def _rekey(self) -> None:
        """Derive the keys of the access log's sheets anew; its events' entries are made whenever they are looked at."""
        async with self.database.reading():
            begun = await sheets.first(self.database)
        day = sheets.SLOT * 8_640
        low = (self.database.clock() if begun is None else begun) // day * day
        while low < self.database.clock() + day:
            async with self.database.writing(LARGE):
                await sheets.rekey(self.database, low, low + day)
            low += day

    async def _patiently(self, resource_type: str, low: int, high: int) -> int:
        for attempt in range(MOST_TRIES):
            try:
                return await self._window(resource_type, low, high)
            except FhirError as error:
                if error.status != 503 or attempt == MOST_TRIES - 1:
                    raise
            await asyncio.sleep(min(0.05 * 2**attempt, 5.0))
        return 0

    async def _window(self, resource_type: str, low: int, high: int) -> int:
        """Index everything in the window that has another edition; how many documents that were."""
        window: Match = {"h": {"$gte": low, "$lt": high}}
        ix = edition.number(self.built.rules(resource_type))
        changed, limit = 0, AT_ONCE
        while True:
            skipped = [each.partition("/")[2] for each in self.failed if each.startswith(f"{resource_type}/")]
            rest: Match = {"ix": {"$ne": ix}, "_id": {"$nin": skipped}} if skipped else {"ix": {"$ne": ix}}
            keep: Match = {"vid": 1, "raw": 1, "org": 1, "pt": 1, **({"tk": 1} if resource_type == "Group" else {})}
            async with self.database.reading():
                stages: list[Match] = [{"$match": window}, {"$match": rest}, {"$limit": limit}, {"$project": keep}]
                rows = await self.database.rows(resource_type, stages)
            if not rows:
                return changed
            updates = [each for row in rows for each in await self._update(resource_type, row)]
            if updates:
                async with self.database.writing(len(updates)):
                    done = await self.database.collection(resource_type).bulk_write(updates, ordered=False)
                changed += done.matched_count
            average = sum(len(row["raw"]) for row in rows) // len(rows)
            limit = max(1, min(AT_ONCE, BYTES_AT_ONCE // max(average, 1)))

    async def _update(self, resource_type: str, row: Document) -> list[UpdateOne]:
        """The update of one document, if it can be indexed."""
        # An index entry takes a tenth of a millisecond to make: let others have their turn.
        await asyncio.sleep(0)
        try:
            found = entries(json.parse(row["raw"]), self.base, row["_id"])
        except FhirError:
            self.failed.append(f"{resource_type}/{row['_id']}")
            return []
        if resource_type == "Group":
            found = await self._pointing(row, found)
        found.org += [key for key in row["org"] if key.startswith((SEES, BY))]
        if resource_type == "Provenance":
            # The patients of what it is about, as the transaction that wrote both knew them.
            found.pt = list(dict.fromkeys([*found.pt, *row["pt"]]))
        where = {"_id": row["_id"], "vid": row["vid"]}
        return [UpdateOne(where, {"$set": indexed(found)})]

    async def _pointing(self, row: Document, found: Entries) -> Entries:
        """The entries of a Group; where its members are out of line, theirs are made first."""
        generation = next((key for key in row["tk"] if key.startswith(group.GENERATION)), None)
        if generation is None:
            return found
        generation = generation.removeprefix(group.GENERATION)
        generations, start = Generations(self.database, self.base), 0
        while True:
            async with self.database.reading():
                members = await generations.stretch(generation, start, ROWS_AT_ONCE)
            if not members:
                return group.pointing(found, generation)
            made = await generations.documents(generation, group.as_members(each["raw"] for each in members), start)
            # Comparing the bytes: a member that was written meanwhile has its keys.
            updates = [
                UpdateOne({"_id": old["_id"], "raw": old["raw"]}, {"$set": {"m": new["m"]}})
                for old, new in zip(members, made, strict=True)
            ]
            async with self.database.writing(len(updates)):
                await self.database.collection(MEMBERS).bulk_write(updates, ordered=False)
            start += ROWS_AT_ONCE

    async def _record(self, resource_type: str) -> Document:
        async with self.database.reading():
            record: Document = await self.database.collection(META).find_one({"_id": record_id(resource_type)})
        return record

    async def _reached(self, resource_type: str, rev: int, at: int) -> bool:
        where = {"_id": record_id(resource_type), "rev": rev}
        async with self.database.writing():
            done = await self.database.collection(META).update_one(where, {"$set": {"at": at}})
        return bool(done.matched_count == 1)

    async def _size(self, resource_type: str) -> int:
        async with self.database.reading():
            return int(await self.database.collection(resource_type).estimated_document_count())


async def remember_base(database: Database, base: str) -> None:
    """Record the base URL that this database is served under: references to it are indexed as local ones."""
    async with database.writing():
        await database.collection(META).replace_one({"_id": "base"}, {"_id": "base", "url": base}, upsert=True)


async def remembered_base(database: Database) -> str | None:
    """The base URL that this database was last served under."""
    async with database.reading():
        found: Mapping[str, str] | None = await database.collection(META).find_one({"_id": "base"})
    return found["url"] if found is not None else None
