"""https://hl7.org/fhir/R4/http.html#history

Several processes write, and the one that numbers the changes is killed again and again: who follows the feed meanwhile
misses nothing and sees nothing twice.
"""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fhir_server.store.engine import tether
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.schema import history_of
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, TYPES

LEASE_SECONDS = 0.5
PROCESSES = 3


async def test_a_follower_misses_nothing_when_the_one_that_numbers_is_killed(embedded: EmbeddedDatabase) -> None:
    await followed(embedded, kills=2)


@pytest.mark.long
async def test_a_follower_misses_nothing_over_twenty_kills(
    embedded: EmbeddedDatabase, measured: Callable[[str], None]
) -> None:
    count = await followed(embedded, kills=20)
    measured(f"20 kills of the process that numbers, {count:,} changes followed, none missed or doubled")


async def followed(embedded: EmbeddedDatabase, kills: int) -> int:
    """Kill the holder so often; compare what was followed with what was acknowledged and what is stored."""
    name = f"test-{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:
        store = await Store.open(embedded.uri, database=name, types=TYPES)
        stack.push_async_callback(store.close)
        # This process follows; only the others number.
        await store._sequencer.close()
        follower = Follower(store)
        writers = await asyncio.gather(*(Writer.start(stack, embedded.uri, name) for _ in range(PROCESSES)))
        following = asyncio.create_task(follower.follow())
        stack.callback(following.cancel)
        for number in range(kills):
            await follower.advances()
            killed = await holder(store, writers)
            killed.process.send_signal(signal.SIGKILL)
            await killed.process.wait()
            # As the supervisor does for a worker that died.
            await embedded.abort_transactions()
            if number + PROCESSES <= kills:
                writers.append(await Writer.start(stack, embedded.uri, name))
        await follower.advances()
        for writer in writers:
            if writer.process.returncode is None:
                writer.process.send_signal(signal.SIGKILL)
            await writer.heard
        await embedded.abort_transactions()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        # What nobody is left to number is numbered by whoever comes next.
        await asyncio.sleep(LEASE_SECONDS)
        last = await Store.open(embedded.uri, database=name, types=TYPES)
        stack.push_async_callback(last.close)
        await last.history(*ANYBODY, limit=1)
        while await follower.page():
            continue
        seen = follower.seen
        assert len(set(seen)) == len(seen), "a change was numbered twice"
        acknowledged = {change for writer in writers for change in writer.acknowledged}
        assert len(acknowledged) > 10 * kills
        assert acknowledged <= set(seen), "an acknowledged change was missed"
        assert set(seen) == await everything(last)
        return len(seen)


class Follower:
    """Reads the feed from its beginning, as fast as it can."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.number = 0
        self.seen: list[tuple[str, int]] = []

    async def page(self) -> bool:
        """Go on by a page; whether there was something new. All numbers up to the next are there, each with its row."""
        page = await self.store.follow(*ANYBODY, self.number, 50)
        assert page.next is not None
        reached = int(page.next[0])
        assert len(page.rows) == reached - self.number, "a number was skipped"
        self.number = reached
        self.seen += [(row.id, row.version) for row in page.rows]
        return bool(page.rows)

    async def follow(self) -> None:
        while True:
            if not await self.page():
                await asyncio.sleep(0.01)

    async def advances(self) -> None:
        """Return when some more changes have been seen."""
        before = self.number
        async with asyncio.timeout(30):
            while self.number < before + 60:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.01)


class Writer:
    """Another process that writes."""

    def __init__(self, process: asyncio.subprocess.Process, holder: str) -> None:
        self.process = process
        self.holder = holder
        self.acknowledged: list[tuple[str, int]] = []
        self.heard = asyncio.create_task(self._hear())

    @classmethod
    async def start(cls, stack: AsyncExitStack, uri: str, database: str) -> "Writer":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", tether.__file__, str(os.getpid())),
            *(sys.executable, "-m", "tests.store.writer", uri, database, secrets.token_hex(3), str(LEASE_SECONDS)),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        word, name = (await asyncio.wait_for(process.stdout.readline(), 30)).split()
        assert word == b"holder"
        writer = cls(process, name.decode())
        stack.push_async_callback(writer.end)
        return writer

    async def _hear(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.endswith(b"\n"):
                id, version = line.split()
                self.acknowledged.append((id.decode(), int(version)))

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.heard


async def holder(store: Store, writers: list[Writer]) -> Writer:
    """The living process that numbers now."""
    async with asyncio.timeout(30):
        while True:
            lease = await store.database.collection("leases").find_one({"_id": "sequencer"})
            for writer in writers:
                if writer.process.returncode is None and lease is not None and writer.holder == lease["holder"]:
                    return writer
            await asyncio.sleep(0.01)


async def everything(store: Store) -> set[tuple[str, int]]:
    """Every version that is stored."""
    now = await store.database.rows("Patient", [{"$match": {"h": {"$gte": 0}}}, {"$project": {"vid": 1}}])
    then = await store.database.rows(history_of("Patient"), [{"$match": {}}, {"$project": {"rid": 1, "vid": 1}}])
    return {(row["_id"], row["vid"]) for row in now} | {(row["rid"], row["vid"]) for row in then}
