"""Store: all resources, their versions and searches, for a caller and within what that caller may see.

https://hl7.org/fhir/R4/http.html

Every call takes the caller and the access predicate first; there is no call without. What the predicate hides does not
exist: not for reads, versions, histories, searches, counts, keys, nor for the preconditions of writes. Every call may
raise FhirError 503 where the database is away or does not answer in time.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import PyMongoError

from fhir_server.caller import Caller, Predicate
from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import FhirError
from fhir_server.store import failures, feed, reads, schema
from fhir_server.store.commit import Commit
from fhir_server.store.database import Database, now
from fhir_server.store.driver import driver as driver_named
from fhir_server.store.history import History
from fhir_server.store.records import Committed, Page, Period, Selection, Stored, Write
from fhir_server.store.search import Search, joined
from fhir_server.store.sequencer import Sequencer
from fhir_server.store.statistics import Statistics

THROUGH = 1_000
"""Resources a chain or reverse chain may lead through."""


@dataclass(frozen=True)
class Store:
    """An open database. Made by `open`; `close` it before the database is stopped."""

    database: Database
    types: frozenset[str]
    _search: Search
    _commit: Commit
    _history: History
    _sequencer: Sequencer

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
    ) -> "Store":
        """Connect; make collections and indexes at the first boot; number changes in the background.

        `types` limits the resource types (default: all of R4), `base` is the server's own base URL. FhirError 503
        where the database cannot be reached, SchemaError where it belongs to another version of this server.
        """
        if types is None:
            from profiles.definitions import RESOURCE_TYPES

            types = RESOURCE_TYPES
        chosen = driver_named(driver)
        opened = Database(chosen, chosen.connect(uri), database, clock)
        kept = frozenset(types)
        sequencer = Sequencer(opened)
        try:
            await schema.ensure(opened, kept)
            await sequencer.start()
        except PyMongoError as error:
            await opened.close()
            raise failures.explain(error) from None
        except BaseException:
            await opened.close()
            raise
        search = Search(opened, Statistics(opened))
        return cls(opened, kept, search, Commit(opened, search), History(opened), sequencer)

    async def close(self) -> None:
        """Stop numbering and close all connections."""
        await self._sequencer.close()
        await self.database.close()

    async def read(self, caller: Caller, predicate: Predicate, resource_type: str, id: str) -> Stored:
        """The current version. FhirError 404 where there is none, 410 `deleted`."""
        async with self.database.reading():
            return await reads.read(self.database, _visible(caller, predicate, resource_type), resource_type, id)

    async def vread(self, caller: Caller, predicate: Predicate, resource_type: str, id: str, version: int) -> Stored:
        """This version. FhirError 404 where there is none, 410 where it is the deletion."""
        async with self.database.reading():
            visible = _visible(caller, predicate, resource_type)
            return await reads.vread(self.database, visible, resource_type, id, version)

    async def read_many(self, caller: Caller, predicate: Predicate, wanted: Sequence[tuple[str, str]]) -> list[Stored]:
        """The current versions of (type, id) pairs that exist, each once, in that order; silent about the others."""
        async with self.database.reading():
            visible = {resource_type: _visible(caller, predicate, resource_type) for resource_type, _ in wanted}
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
        _require(caller, predicate)
        position = int(after[0]) if after is not None else None
        async with self.database.reading():
            if resource_type is not None and id is not None:
                return await self._history.of_resource(predicate, resource_type, id, Period(since, at), limit, position)
            if position is None:
                await self._sequencer.settle()
            return await self._history.of_all(predicate, resource_type, Period(since, at), limit, position)

    async def follow(self, caller: Caller, predicate: Predicate, number: int, limit: int = 100) -> Page:
        """Versions behind this number of the feed (0: from the beginning), oldest first, none ever missed.

        `next` always holds the number to go on from, also when there is nothing new.
        """
        _require(caller, predicate)
        async with self.database.reading():
            return await self._history.follow(predicate, number, limit)

    async def wait_for_change(self, number: int, seconds: float) -> bool:
        """Wait up to `seconds` for the feed to pass this number; whether it did."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            async with self.database.reading():
                if await feed.last(self.database) > number:
                    return True
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._sequencer.numbered.clear()
            try:
                async with asyncio.timeout(min(left, 0.25)):
                    await self._sequencer.numbered.wait()
            except TimeoutError:
                continue

    async def search(self, caller: Caller, predicate: Predicate, selection: Selection) -> Page:
        """One page. FhirError 400 `too-costly` where nothing narrows it down enough."""
        visible = _visible(caller, predicate, selection.type)
        asked = Selection(
            selection.type, joined(visible, selection.where), selection.sort, selection.limit, selection.after
        )
        async with self.database.reading():
            return await self._search.page(asked)

    async def count(self, caller: Caller, predicate: Predicate, resource_type: str, where: Condition) -> int:
        """How many match, exactly. FhirError 400 `too-costly` likewise."""
        visible = _visible(caller, predicate, resource_type)
        async with self.database.reading():
            return await self._search.count(resource_type, joined(visible, where))

    async def ids(
        self, caller: Caller, predicate: Predicate, resource_type: str, where: Condition, limit: int = THROUGH
    ) -> list[str]:
        """The ids of all matches (for chains). FhirError 400 `too-costly` beyond `limit`; never cut off."""
        visible = _visible(caller, predicate, resource_type)
        async with self.database.reading():
            return await self._search.ids(resource_type, joined(visible, where), limit)

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
        visible = _visible(caller, predicate, resource_type)
        async with self.database.reading():
            return await self._search.keys(resource_type, joined(visible, where), prefix, limit)

    async def commit(self, caller: Caller, predicate: Predicate, writes: Sequence[Write]) -> list[Committed]:
        """All of these writes or none, in one transaction; what each came to. Errors as in commit.py."""
        _require(caller, predicate)
        if not writes:
            return []
        async with self.database.writing(len(writes)):
            committed = await self._commit.run(predicate, writes)
        self._sequencer.wake()
        return committed

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
        }


def _require(caller: Caller, predicate: Predicate) -> None:
    if not isinstance(caller, Caller) or not callable(predicate):
        raise TypeError("every store call needs a caller and an access predicate")


def _visible(caller: Caller, predicate: Predicate, resource_type: str) -> Condition:
    _require(caller, predicate)
    return predicate(resource_type)


__all__ = ["FhirError", "Store"]
