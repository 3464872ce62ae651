"""Database: one connected database, its gates and deadlines, and the one way to run a transaction.

https://hl7.org/fhir/R4/http.html#transaction
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pymongo.errors import PyMongoError

from fhir_server.store import failures
from fhir_server.store.driver import OPTIONS, Client, Collection, Document, Driver, Pipeline, Session
from fhir_server.store.query.match import Match

_log = logging.getLogger(__name__)
Result = TypeVar("Result")

BULK_WRITE = 25
"""The wire version of the first databases that know the command `bulkWrite`."""
READS = 16
"""Reads at a time and process. The drivers' pools are unfair past their size (p99 2.5 s instead of 52 ms)."""
WRITES = 4
"""Write transactions at a time: more give the same throughput for 12 % more database time."""
LARGE = 1_000
"""Transactions of more writes than this run one at a time."""
DEADLINE = 10.0
"""Seconds for a whole call, waiting for its turn included (`maxTimeMS` is not enforced everywhere)."""
ABORT_SECONDS = 1.0
"""The caller's deadline may have passed by then: telling the database is a courtesy, no reason to answer later."""
SECONDS_PER_WRITE = 0.01
"""What a transaction's deadline grows by with each of its writes."""


def now() -> int:
    """Microseconds since 1970, UTC: the clock of production."""
    return time.time_ns() // 1_000


class Conflict(Exception):  # noqa: N818 - not an error: an event to run the transaction again on
    """What a transaction's body read is not what it found when it wrote."""


@dataclass
class Database:
    """What every part of the store works with. `clock` gives microseconds since 1970, UTC."""

    driver: Driver
    client: Client
    name: str
    clock: Callable[[], int] = now
    _reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS))
    _writes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WRITES))
    _large: asyncio.Lock = field(default_factory=asyncio.Lock)
    _collections: dict[str, Collection] = field(default_factory=dict)
    _wire_version: int = 0
    _is_embedded: bool | None = None

    def collection(self, name: str) -> Collection:
        """The collection of this name (made once: constructing one costs as much as a small query's encoding)."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = self.client.get_database(self.name, OPTIONS).get_collection(name)
        return found

    async def create(self, name: str) -> None:
        """Make an empty collection; CollectionInvalid where it exists."""
        await self.client.get_database(self.name).create_collection(name)

    async def rows(self, name: str, pipeline: Pipeline, session: Session | None = None) -> list[Document]:
        """What the pipeline gives on the collection of this name."""
        return await self.driver.rows(self.collection(name), pipeline, session)

    async def find(
        self, name: str, predicate: Match, keep: Match, limit: int, session: Session | None = None
    ) -> list[Document]:
        """Up to `limit` documents that one predicate on an indexed field finds, in no order, with the fields `keep`.

        For such a predicate alone: with two fields, or an operator over them, the embedded engine looks at everything.
        """
        predicate = await self.bounded(predicate)
        cursor = self.collection(name).find(predicate, keep, limit=limit, batch_size=limit, session=session)
        found: list[Document] = await cursor.to_list(None)
        return found

    async def bounded(self, predicate: Match) -> Match:
        """The predicate as this database reads one range of its index. On an array, MongoDB uses only one bound of a
        range unless both must hold for the same element; told that, the embedded engine uses no index at all."""
        for name, value in predicate.items():
            is_range = isinstance(value, dict) and not value.keys() & {"$in", "$elemMatch"}
            if is_range and name in ("tk", "rk") and not await self.is_embedded():
                return {**predicate, name: {"$elemMatch": value}}
        return predicate

    async def is_embedded(self) -> bool:
        """Whether this is the embedded engine, by its own word."""
        if self._is_embedded is None:
            self._is_embedded = "secantusVersion" in await self.client.admin.command("buildInfo")
        return self._is_embedded

    async def has_bulk_write(self) -> bool:
        """Whether the database knows the command `bulkWrite`."""
        if not self._wire_version:
            self._wire_version = int((await self.client.admin.command("hello"))["maxWireVersion"])
        return self._wire_version >= BULK_WRITE

    async def bulk_write(self, operations: list[Document], names: Iterable[str], session: Session) -> Document:
        """The answer to `bulkWrite` of these operations, in order up to the first that fails, on these collections."""
        command = {
            "bulkWrite": 1,
            "ops": operations,
            "nsInfo": [{"ns": f"{self.name}.{name}"} for name in names],
            "ordered": True,
            "errorsOnly": True,
        }
        answer: Document = await self.client.admin.command(command, session=session, codec_options=OPTIONS)
        return answer

    @asynccontextmanager
    async def reading(self, deadline: float = DEADLINE) -> AsyncIterator[None]:
        """Hold one of the places for reads. FhirError 503 where the database is away or the deadline passes."""
        async with _in_time(deadline), self._reads:
            yield

    @asynccontextmanager
    async def writing(self, writes: int = 1) -> AsyncIterator[None]:
        """Hold one of the places for write transactions; large ones have a place of their own."""
        async with _in_time(DEADLINE + writes * SECONDS_PER_WRITE):
            if writes > LARGE:
                async with self._large, self._writes:
                    yield
            else:
                async with self._writes:
                    yield

    async def transaction(
        self,
        body: Callable[[Session], Awaitable[Result]],
        landed: Callable[[Result], Awaitable[bool]],
        reads: Callable[[], bool] = lambda: True,
    ) -> Result:
        """Run `body` in one transaction and commit it, again from its beginning while others are in its way. `reads`
        tells before each run whether it begins with reading.

        `body` may run several times and reads fresh state each time. When the reply to a commit is lost (database or
        connection died), `landed` tells from the stored data whether the result of that run is there; so nothing is
        written twice and nothing acknowledged that is not stored. Ends only by success, by an error of `body`'s own
        or by the deadline of the `writing()` around it.
        """
        attempt = 0
        uncertain: list[Result] = []
        while True:
            attempt += 1
            try:
                for result in uncertain:
                    if await landed(result):
                        return result
                return await _to_its_end(self._attempt(body, uncertain, reads()))
            except Conflict:
                pass
            except PyMongoError as error:
                if failures.code_of(error) == failures.DUPLICATE_KEY and uncertain:
                    # Our own earlier run may have landed after we looked.
                    continue
                if not failures.is_transient(error) or _is_cancelled():
                    raise
            await asyncio.sleep(random.uniform(0.5, 1) * min(0.002 * 1.6**attempt, 0.25))  # noqa: S311 - no secret

    async def _attempt(
        self, body: Callable[[Session], Awaitable[Result]], uncertain: list[Result], reads: bool
    ) -> Result:
        session = await self.driver.session(self.client)
        try:
            await self.driver.begin(session, reads)
            try:
                result = await body(session)
            except BaseException:
                await _abort(session)
                raise
            uncertain.append(result)
            await session.commit_transaction()
            return result
        finally:
            await session.end_session()

    async def close(self) -> None:
        """Close all connections. Before the database itself is stopped, please."""
        await self.driver.close(self.client)


async def _to_its_end(attempt: Coroutine[object, object, Result]) -> Result:
    """What the attempt comes to. A caller who is cancelled waits ABORT_SECONDS for it before it is cut off: a command
    cut off in the middle can leave its transaction open in the database, and its documents blocked."""
    task = asyncio.ensure_future(attempt)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=ABORT_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=ABORT_SECONDS)
        if task.done() and not task.cancelled():
            # Looked at, so that nobody is told of an error that nobody waits for.
            task.exception()
        raise


async def _abort(session: Session) -> None:
    """Give the transaction up; that the database is gone, or stands still, is then no news."""
    try:
        async with asyncio.timeout(ABORT_SECONDS):
            await session.abort_transaction()
    except (PyMongoError, TimeoutError) as error:
        _log.debug("abort failed: %s", type(error).__name__)


def _is_cancelled() -> bool:
    """Whether the deadline has struck. The driver may turn the cancellation into an error of its own, and the deadline
    strikes only once: whoever then tried again would do so for ever."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def _in_time(deadline: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(deadline):
            yield
    except TimeoutError:
        raise failures.timed_out() from None
    except PyMongoError as error:
        raise failures.explain(error) from None
