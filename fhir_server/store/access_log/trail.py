"""Trail: the access log's events, appended in groups, each group as one sheet, durable when the call returns.

https://hl7.org/fhir/R4/auditevent.html

While one group is on its way to the disk the next gathers. A group waits a moment for the exchanges that are under way,
and for as many as the one before let go at once, for they ask again: so a busy server writes many with one call, and an
idle one waits for nobody. The log is append-only: it has no versions, stands in no feed, and no other call of the store
changes it. A digest of every day is sealed (seals.py).
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pymongo.errors import PyMongoError

from fhir_server.store import failures
from fhir_server.store.access_log.notes import Note
from fhir_server.store.access_log.sheets import of
from fhir_server.store.database import Database
from fhir_server.store.schema import SHEETS

GROUP = 500
"""Events written by one call."""
GATHER_SECONDS = 0.008
"""How long a group waits for what may come of exchanges under way: a call costs as much as twenty events."""
AGAIN_SECONDS = 0.02
"""How long it waits for as many as were let go a moment before."""
MOMENT = 0.05
"""Seconds after which nobody is expected again."""
SECONDS = 5.0
"""A group that takes longer is given up: those who wait for it are refused."""


@dataclass
class Trail:
    """Appends to one database's access log."""

    database: Database
    _waiting: list[tuple[Sequence[Note], asyncio.Future[None]]] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _coming: int = 0
    _come: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody is under way any more, or somebody came who was not."""
    _let_go: tuple[int, float] = 0, 0.0
    """How many waited for the group before, and when it was written."""

    def expect(self) -> None:
        """An exchange has begun, which may have something to append: a group waits for it a moment."""
        self._coming += 1

    def arrived(self) -> None:
        """It has nothing to append, or appends it now."""
        self._coming -= 1
        if not self._coming:
            self._come.set()

    async def append(self, notes: Sequence[Note]) -> None:
        """Keep these events. FhirError 503 where that cannot be made sure of."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((notes, done))
        if not self._coming:
            self._come.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="access log")
        await done

    async def close(self) -> None:
        """Return when all that was appended is written or refused."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _write(self) -> None:
        while self._waiting:
            await self._gather()
            group: list[tuple[Sequence[Note], asyncio.Future[None]]] = []
            size = 0
            while self._waiting and size < GROUP:
                group.append(self._waiting.pop(0))
                size += len(group[-1][0])
            failed: BaseException | None = failures.unavailable()
            try:
                async with asyncio.timeout(SECONDS):
                    await self._insert([note for notes, _ in group for note in notes])
                failed = None
            except TimeoutError:
                failed = failures.timed_out()
            except PyMongoError as error:
                failed = failures.explain(error)
            finally:
                self._let_go = len(group), time.monotonic()
                for _, done in group:
                    if not done.done():
                        if failed is None:
                            done.set_result(None)
                        else:
                            done.set_exception(failed)

    async def _gather(self) -> None:
        begun = time.monotonic()
        while (left := begun + self._patience() - time.monotonic()) > 0:
            self._come.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._come.wait()

    def _patience(self) -> float:
        number, when = self._let_go
        if len(self._waiting) < number and time.monotonic() < when + MOMENT:
            return AGAIN_SECONDS
        return GATHER_SECONDS if self._coming else 0.0

    async def _insert(self, notes: Sequence[Note]) -> None:
        documents, collection = of(notes), self.database.collection(SHEETS)
        if len(documents) == 1:
            await collection.insert_one(documents[0])
        else:
            await collection.insert_many(documents, ordered=False)
