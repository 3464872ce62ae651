"""https://hl7.org/fhir/R4/http.html#transaction

The database is killed while it is written to: nothing acknowledged is lost, nothing is half there, no version missing.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import msgspec
import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, TYPES, claim, create, patient, update


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_kill_9_of_the_database_loses_nothing_acknowledged(tmp_path: Path, driver: str) -> None:
    await under_fire(tmp_path, driver, kills=2, seconds=0.8)


@pytest.mark.long
@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_twenty_kills_lose_nothing_acknowledged(
    tmp_path: Path, driver: str, measured: Callable[[str], None]
) -> None:
    log = await under_fire(tmp_path, driver, kills=20, seconds=2.5)
    measured(f"20 kills, {sum(log.acknowledged.values()) + sum(log.pairs.values()):,} commits acknowledged, none lost")


async def under_fire(data: Path, driver: str, kills: int, seconds: float) -> "Log":
    """Write on eight strands while the database is killed; then compare what is there with what was answered."""
    async with AsyncExitStack() as stack:
        embedded = EmbeddedDatabase(data, auth=False)
        stack.push_async_callback(embedded.stop)
        await embedded.start()
        watching = asyncio.create_task(embedded.watch())
        stack.callback(watching.cancel)
        store = await Store.open(embedded.uri, driver=driver, types=TYPES)
        stack.push_async_callback(store.close)
        log = Log()
        strands = [asyncio.create_task(log.write(store, strand)) for strand in range(STRANDS)]
        random = Random(1)
        for number in range(kills):
            await asyncio.sleep(seconds * random.uniform(0.5, 1))
            assert embedded.pid is not None
            os.kill(embedded.pid, signal.SIGKILL)
            # It comes back without help, and writes go on.
            await log.grows()
            assert embedded.restarts == number + 1
        log.stop.set()
        await asyncio.gather(*strands)
        await log.compare(store)
        return log


STRANDS = 8


class Log:
    """What was tried and what was answered, kept outside the server."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.acknowledged: dict[str, int] = {}
        self.pairs: dict[str, bool] = {}
        self.refused: list[int] = []

    async def write(self, store: Store, strand: int) -> None:
        """Updates of one patient, pairs of patients, and conditional creates, one after the other."""
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"{strand}-{number}"
            try:
                if number % 3 == 0:
                    self.pairs[name] = False
                    both = [create(f"l{name}", patient(number)), create(f"r{name}", patient(number))]
                    await store.commit(*ANYBODY, both)
                    self.pairs[name] = True
                elif number % 3 == 1:
                    [outcome] = await store.commit(*ANYBODY, [update(f"counter{strand}", patient(number))])
                    assert outcome.stored is not None
                    self.acknowledged[outcome.stored.id] = outcome.stored.version
                else:
                    key = 10_000 * strand + number
                    for _ in range(2):
                        [outcome] = await store.commit(*ANYBODY, [create(f"c{name}", patient(key), claim(key))])
                    assert outcome.effect == "matched"
                    self.acknowledged[f"c{name}"] = 1
            except FhirError as error:
                self.refused.append(error.status)

    async def grows(self) -> None:
        """Return when every strand got about another answer; within ten seconds on an idle machine."""

        def answers() -> int:
            return sum(self.acknowledged.values()) + sum(self.pairs.values())

        before = answers()
        async with asyncio.timeout(30):
            while answers() < before + STRANDS:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.02)

    async def compare(self, store: Store) -> None:
        """What was acknowledged is there, no pair is half there, no version is missing or doubled."""
        assert set(self.refused) <= {503, 409}
        for id, version in self.acknowledged.items():
            stored = await store.read(*ANYBODY, "Patient", id)
            assert stored.version >= version, f"{id} was acknowledged as version {version}"
        for name, answered in self.pairs.items():
            found = await store.read_many(*ANYBODY, [("Patient", f"l{name}"), ("Patient", f"r{name}")])
            assert len(found) in ({2} if answered else {0, 2}), f"{name} is half there"
        for strand in range(STRANDS):
            page = await store.history(*ANYBODY, "Patient", f"counter{strand}", limit=10_000)
            versions = [row.version for row in page.rows]
            assert versions == list(range(versions[0], 0, -1)), "a version is missing"
            contents = [msgspec.json.decode(row.raw or b"")["identifier"][0]["value"] for row in page.rows]
            assert len(set(contents)) == len(contents), "a write was stored twice"
        await store.history(*ANYBODY, limit=1)
        numbered = await store.follow(*ANYBODY, 0, 1_000_000)
        everything = {(row.id, row.version) for row in numbered.rows}
        assert len(everything) == len(numbered.rows), "a change was numbered twice"
        assert set(self.acknowledged.items()) <= everything
