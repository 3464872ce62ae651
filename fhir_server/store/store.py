"""Store: all resources, their versions and searches, for a caller and within what that caller may see.

https://hl7.org/fhir/R4/http.html

Every call takes the caller and the access predicate first; there is no call without. What the predicate hides does not
exist: not for reads, versions, histories, searches, counts, keys, nor for the preconditions of writes. Every call may
raise FhirError 503 where the database is away or does not answer in time.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pymongo.errors import PyMongoError

from fhir_server.caller import Access, Caller, Predicate, Verb, to
from fhir_server.fhir import edition
from fhir_server.fhir.condition import EVERYTHING, Condition, Prefix
from fhir_server.fhir.outcome import refuse
from fhir_server.store import failures, feed, reads, relations, schema
from fhir_server.store.access_log import seals
from fhir_server.store.access_log.kinds import Kinds
from fhir_server.store.access_log.seals import Seal, Seals
from fhir_server.store.access_log.trail import Trail
from fhir_server.store.accounts.clients import Clients
from fhir_server.store.accounts.grants import Grants
from fhir_server.store.accounts.passing import Passing
from fhir_server.store.accounts.users import Users
from fhir_server.store.call_list import CallList
from fhir_server.store.cards.links import Links
from fhir_server.store.cards.revocations import Revocations
from fhir_server.store.commit import Commit
from fhir_server.store.database import Database, now
from fhir_server.store.driver import driver as driver_named
from fhir_server.store.groups.generations import Generations
from fhir_server.store.groups.members import Members
from fhir_server.store.history import History
from fhir_server.store.idempotency import Idempotency
from fhir_server.store.jobs import Jobs
from fhir_server.store.query.search import Search, joined
from fhir_server.store.query.statistics import Statistics
from fhir_server.store.rebuild import reindex
from fhir_server.store.rebuild.built import Built, Rules
from fhir_server.store.records import (
    Committed,
    Delete,
    Member,
    MemberPage,
    Once,
    Page,
    Period,
    Recalled,
    Selection,
    Stored,
    Write,
)
from fhir_server.store.schema import LOG
from fhir_server.store.sequencer import Sequencer
from profiles.definitions import RESOURCE_TYPES

_log = logging.getLogger(__name__)

THROUGH = 1_000
"""Resources a chain or reverse chain may lead through."""


@dataclass(frozen=True)
class Store:
    """An open database. Made by `open`; `close` it before the database is stopped."""

    database: Database
    types: frozenset[str]
    jobs: Jobs
    """Work that outlives its request; a job belongs to the caller who asked for it."""
    revocations: Revocations
    """Which signed cards no longer count."""
    links: Links
    """SMART Health Links given out."""
    clients: Clients
    """Apps and systems that may ask for access."""
    users: Users
    """People who log in."""
    grants: Grants
    """What clients were allowed, and their tokens."""
    passing: Passing
    """Sessions, launches and the like."""
    trail: Trail
    """The access log."""
    seals: Seals
    """What proves that nobody changed the access log."""
    call_list: CallList
    """Whom somebody has to call today."""
    _kinds: Kinds
    _search: Search
    _history: History
    _members: Members
    _sequencer: Sequencer
    _built: Built

    @classmethod
    async def open(
        cls,
        uri: str,
        *,
        database: str = "fhir",
        driver: str = "pymongo",
        clock: Callable[[], int] = now,
        types: Iterable[str] | None = None,
        base: str = "",
        rules: Rules = edition.digests,
    ) -> "Store":
        """Connect; make collections and indexes at the first boot; number changes in the background.

        `types` limits the resource types (default: all of R4), `base` is the server's own base URL, `rules` are those
        that written entries are made by. FhirError 503 where the database cannot be reached, SchemaError where it
        belongs to another version of this server.
        """
        chosen = driver_named(driver)
        opened = Database(chosen, chosen.connect(uri), database, clock)
        kept = frozenset(RESOURCE_TYPES if types is None else types)
        sequencer, built = Sequencer(opened), Built(opened, rules)
        try:
            await schema.ensure(opened, kept)
            await built.compare(kept)
            await sequencer.start()
        except PyMongoError as error:
            await opened.close()
            raise failures.explain(error) from None
        except BaseException:
            await opened.close()
            raise
        search = Search(opened, Statistics(opened))
        own = base.rstrip("/")
        members = Members(opened, Commit(opened, search), Generations(opened, own), own)
        return cls(
            opened,
            kept,
            Jobs(opened),
            Revocations(opened),
            Links(opened),
            Clients(opened),
            Users(opened),
            Grants(opened),
            Passing(opened),
            Trail(opened),
            Seals(opened),
            CallList(opened, search, sequencer),
            Kinds(opened),
            search,
            History(opened),
            members,
            sequencer,
            built,
        )

    async def close(self) -> None:
        """Stop numbering and close all connections."""
        await self.trail.close()
        await self._sequencer.close()
        await self.database.close()

    async def read(self, caller: Caller, predicate: Predicate, resource_type: str, id: str) -> Stored:
        """The current version. FhirError 404 where there is none, 410 `deleted`."""
        async with self.database.reading():
            visible = await self._visible(caller, predicate, resource_type)
            return await reads.read(self.database, visible, resource_type, id)

    async def vread(self, caller: Caller, predicate: Predicate, resource_type: str, id: str, version: int) -> Stored:
        """This version. FhirError 404 where there is none, 410 where it is the deletion."""
        async with self.database.reading():
            visible = await self._visible(caller, predicate, resource_type)
            return await reads.vread(self.database, visible, resource_type, id, version)

    async def read_many(self, caller: Caller, predicate: Predicate, wanted: Sequence[tuple[str, str]]) -> list[Stored]:
        """The current versions of (type, id) pairs that exist, each once, in that order; silent about the others."""
        async with self.database.reading():
            types = {resource_type for resource_type, _ in wanted}
            visible = {each: await self._visible(caller, predicate, each) for each in types}
            return await reads.read_many(self.database, visible, wanted)

    async def history(
        self,
        caller: Caller,
        predicate: Predicate,
        resource_type: str | None = None,
        id: str | None = None,
        *,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        limit: int = 50,
        after: tuple[str | int, ...] | None = None,
    ) -> Page:
        """Versions newest first, of one resource, a type, or everything; deletions have `raw` None.

        `since` and `at` = [from, to) are microseconds since 1970. FhirError 404 for a resource that never was.
        """
        position = int(after[0]) if after is not None else None
        period = Period(since, at)
        async with self.database.reading():
            verb: Verb = "r" if id is not None else "s"
            types = [resource_type] if resource_type else self.types
            within = to(await self._within(caller, predicate, types), verb)
            if resource_type is not None and id is not None:
                return await self._history.of_resource(within, resource_type, id, period, limit, position)
            if position is None:
                await self._sequencer.settle()
            return await self._history.of_all(within, resource_type, period, limit, position)

    async def follow(self, caller: Caller, predicate: Predicate, number: int, limit: int = 100) -> Page:
        """Versions behind this number of the feed (0: from the beginning), oldest first, none ever missed.

        `next` always holds the number to go on from, also when there is nothing new.
        """
        async with self.database.reading():
            within = to(await self._within(caller, predicate, self.types), "s")
            return await self._history.follow(within, number, limit)

    async def wait_for_change(self, number: int, seconds: float) -> bool:
        """Wait up to `seconds` for the feed to pass this number; whether it did. Tells nothing about anybody."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            async with self.database.reading():
                if await feed.last(self.database) > number:
                    return True
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._sequencer.numbered.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.25)):
                    await self._sequencer.numbered.wait()

    async def search(self, caller: Caller, predicate: Predicate, selection: Selection) -> Page:
        """One page. FhirError 400 `too-costly` where nothing narrows it down enough."""
        async with self.database.reading():
            await self._built.require(selection.type, selection.where, *(key.parameter for key in selection.sort))
            where = await self._joined(caller, to(predicate, "s"), selection.type, selection.where)
            return await self._search.page(replace(selection, where=where))

    async def called(
        self,
        caller: Caller,
        predicate: Predicate,
        day: date,
        limit: int = 50,
        after: tuple[str | int, ...] | None = None,
    ) -> Page:
        """The Patients of the next `limit` places on the call list of that day, as they stand now: fewer rows where
        some are no longer there for this caller."""
        async with self.database.reading():
            visible = await self._joined(caller, to(predicate, "s"), "Patient", EVERYTHING)
            ids, following = await self.call_list.page(visible, day, limit, after)
            rows = await reads.read_many(self.database, {"Patient": visible}, [("Patient", id) for id in ids])
            return Page(tuple(rows), following)

    async def count(self, caller: Caller, predicate: Predicate, resource_type: str, where: Condition) -> int:
        """How many match, exactly. FhirError 400 `too-costly` likewise; 403 `small-cell` for who may only know of many,
        where these or the others are few."""
        access = to(predicate, "n")
        async with self.database.reading():
            asked = await self._joined(caller, access, resource_type, where)
            found = await self._search.count(resource_type, asked)
            if isinstance(access, Access) and access.least:
                everybody = await self._joined(caller, access, resource_type, EVERYTHING)
                rest = await self._search.count(resource_type, everybody) - found if where != EVERYTHING else None
                if found < access.least or (rest is not None and rest < access.least):
                    raise refuse(403, "suppressed", "small-cell", f"Counts below {access.least} are not told.")
            return found

    async def ids(
        self, caller: Caller, predicate: Predicate, resource_type: str, where: Condition, limit: int = THROUGH
    ) -> list[str]:
        """The ids of all matches (for chains). FhirError 400 `too-costly` beyond `limit`; never cut off."""
        async with self.database.reading():
            joined = await self._joined(caller, to(predicate, "s"), resource_type, where)
            return await self._search.ids(resource_type, joined, limit)

    async def keys(
        self,
        caller: Caller,
        predicate: Predicate,
        resource_type: str,
        where: Condition,
        prefix: str,
        limit: int = THROUGH,
    ) -> set[str]:
        """The distinct token keys that start with `prefix`, of all matches (for `_has`); likewise bounded."""
        async with self.database.reading():
            await self._built.require(resource_type, Prefix("tk", prefix))
            joined = await self._joined(caller, to(predicate, "s"), resource_type, where)
            return await self._search.keys(resource_type, joined, prefix, limit)

    async def commit(
        self, caller: Caller, predicate: Predicate, writes: Sequence[Write], once: Once | None = None
    ) -> list[Committed]:
        """All of these writes or none, in one transaction; what each came to. Errors as in commit.py.

        With `once` it is done at most once: AlreadyDone is raised where `recall` can tell what came of it.
        """
        async with self.database.writing(len(writes)):
            for write in writes:
                if not isinstance(write, Delete) and write.unless is not None:
                    await self._built.require(write.type, write.unless.where)
            within = await self._within(caller, predicate, {write.type for write in writes})
            committed = await self._members.write(within, writes, once) if writes or once is not None else []
            if once is not None:
                await Idempotency(self.database).sweep(once)
        self._sequencer.wake()
        return committed

    async def recall(self, caller: Caller, predicate: Predicate, once: Once) -> Recalled | None:
        """What came of the commit that was done under `once`, None where there was none. FhirError 422 where its key
        belongs to another request, 404 where the caller may no longer know of it."""
        _require(caller, predicate)
        async with self.database.reading():
            return await Idempotency(self.database).recall(predicate, once)

    async def begin(self, caller: Caller, predicate: Predicate, once: Once) -> None:
        """Keep the key of what is going to be several commits. FhirError 422 likewise."""
        _require(caller, predicate)
        async with self.database.writing():
            await Idempotency(self.database).begin(once)

    async def add_members(
        self,
        caller: Caller,
        predicate: Predicate,
        group_id: str,
        members: Sequence[Member],
        expected: int | None = None,
    ) -> Stored:
        """Add members to a Group, however many; one with the reference of a present member takes its place.

        The Group's newest version. Safe to repeat. Errors as in members.py.
        """
        async with self.database.writing(len(members)):
            within = await self._within(caller, predicate, ["Group"])
            stored = await self._members.add(within, group_id, members, expected)
        self._sequencer.wake()
        return stored

    async def members(
        self, caller: Caller, predicate: Predicate, group_id: str, after: int | None = None, limit: int = 1_000
    ) -> MemberPage:
        """Members of a Group of any size in the order they were added. FhirError 404 or 410 as for the Group."""
        async with self.database.reading():
            return await self._members.page(await self._visible(caller, predicate, "Group"), group_id, after, limit)

    async def find_members(
        self, caller: Caller, predicate: Predicate, group_id: str, references: Iterable[str]
    ) -> dict[str, Member]:
        """Those members of a Group, by reference, that have one of these references."""
        async with self.database.reading():
            return await self._members.find(await self._visible(caller, predicate, "Group"), group_id, references)

    async def reindex(self, base: str | None = None, rest: float = 0.0) -> AsyncGenerator[reindex.Step, None]:
        """Make entries anew where an upgrade asks for it, while others read and write; goes on where it was stopped.

        `base` is the server's own base URL where it is not the one the database was last served under; `rest` how long
        to pause after each part of the work, in its durations. FhirError 503 where the database stays away.
        """
        known = base or await reindex.remembered_base(self.database) or self._members.base
        work = reindex.Reindex(self.database, self._built, known, rest)
        async for step in work.run():
            yield step
        for each in work.failed:
            _log.error("%s cannot be indexed: it is stored, but not found by searches for what is new", each)

    def incomplete(self) -> dict[str, list[str]]:
        """By type: the search parameters that not all resources are indexed by yet."""
        return {each: sorted(lacking) for each, lacking in sorted(self._built.missing.items())}

    async def relate(self, organization: str, patients: Sequence[str], reason: str, by: str) -> None:
        """Record a relationship of the Organization with this id with these patients (`Patient/1`): `matched` where it
        found them, certainly, for care; `roster`; `by` the resource or operation it was learnt from."""
        async with self.database.writing(len(patients)):
            await relations.relate(self.database, organization, patients, reason, by)

    async def settle_relations(self) -> None:
        """Look once more after relationships that began while others wrote about the same patients."""
        settled = relations.SWEPT_AT_ONCE
        while settled == relations.SWEPT_AT_ONCE:
            async with self.database.writing():
                settled = await relations.finish(self.database)

    async def seal_log(self) -> list[Seal]:
        """Seal the days of the access log that are over; the new seals."""
        async with self.database.reading(deadline=seals.LEASE_SECONDS):
            return await self.seals.seal()

    async def served_under(self, base: str) -> None:
        """Record the base URL that is in force for this database from now on."""
        await reindex.remember_base(self.database, base)

    async def ping(self) -> None:
        """FhirError 503 unless the database answers."""
        async with self.database.reading(deadline=5.0):
            await self.database.client.admin.command("ping")

    async def describe(self) -> dict[str, Any]:
        """What this store runs on: for `doctor` and start-up."""
        async with self.database.reading():
            build = await self.database.client.admin.command("buildInfo")
            hello = await self.database.client.admin.command("hello")
            wrong = await schema.differences(self.database, self.types)
        embedded = "secantusVersion" in build
        return {
            "engine": f"SecantusDB {build['secantusVersion']} (embedded)" if embedded else "MongoDB",
            "version": build["version"],
            "driver": self.database.driver.name,
            "database": self.database.name,
            "replicaSet": hello.get("setName"),
            "collections": len(schema.layout(self.types)),
            "indexList": schema.VERSION,
            "indexesOk": not wrong,
            "differences": wrong,
            "notFullyIndexed": self.incomplete(),
        }

    async def _within(self, caller: Caller, predicate: Predicate, types: Iterable[str]) -> Predicate:
        _require(caller, predicate)
        for resource_type in set(types) & self._built.missing.keys():
            await self._built.require(resource_type, predicate(resource_type))
        within = await self._members.within(predicate)
        return await self._kinds.within(within) if LOG in types else within

    async def _visible(self, caller: Caller, predicate: Predicate, resource_type: str) -> Condition:
        _require(caller, predicate)
        visible = to(predicate, "r")(resource_type)
        await self._built.require(resource_type, visible)
        return await self._resolved(resource_type, visible)

    async def _joined(self, caller: Caller, predicate: Predicate, resource_type: str, where: Condition) -> Condition:
        _require(caller, predicate)
        both = joined(predicate(resource_type), where)
        await self._built.require(resource_type, both)
        return await self._resolved(resource_type, both)

    async def _resolved(self, resource_type: str, condition: Condition) -> Condition:
        if resource_type == LOG:
            return await self._kinds.resolved(condition)
        return await self._members.resolved(condition) if resource_type == "Group" else condition


def _require(caller: Caller, predicate: Predicate) -> None:
    if not isinstance(caller, Caller) or not callable(predicate):
        raise TypeError("every store call needs a caller and an access predicate")
