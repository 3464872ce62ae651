"""https://hl7.org/fhir/R4/http.html#transaction

The database is killed while it is written to: nothing acknowledged is lost, nothing is half there, no version missing.
"""

import asyncio
import os
import signal
from pathlib import Path
from random import Random

import msgspec
import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.embedded import EmbeddedDatabase
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, TYPES, claim, create, patient, update


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_kill_9_of_the_database_loses_nothing_acknowledged(tmp_path: Path, driver: str) -> None:
    await under_fire(tmp_path, driver, kills=2, seconds=1.2)


@pytest.mark.long
@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_twenty_kills_lose_nothing_acknowledged(tmp_path: Path, driver: str) -> None:
    await under_fire(tmp_path, driver, kills=20, seconds=2.5)


async def under_fire(data: Path, driver: str, kills: int, seconds: float) -> None:
    """Write on eight strands while the database is killed; then compare what is there with what was answered."""
    embedded = EmbeddedDatabase(data, auth=False)
    await embedded.start()
    watching = asyncio.create_task(embedded.watch())
    store = await Store.open(embedded.uri, driver=driver, types=TYPES)
    random = Random(1)
    stop = asyncio.Event()
    acknowledged: dict[str, int] = {}
    pairs: dict[str, bool] = {}
    refused: list[int] = []

    async def write(strand: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"{strand}-{number}"
            try:
                if number % 3 == 0:
                    pairs[name] = False
                    await store.commit(
                        *ANYBODY, [create(f"l{name}", patient(number)), create(f"r{name}", patient(number))]
                    )
                    pairs[name] = True
                elif number % 3 == 1:
                    [outcome] = await store.commit(*ANYBODY, [update(f"counter{strand}", patient(number))])
                    assert outcome.stored is not None
                    acknowledged[outcome.stored.id] = outcome.stored.version
                else:
                    key = 10_000 * strand + number
                    for _ in range(2):
                        [outcome] = await store.commit(*ANYBODY, [create(f"c{name}", patient(key), claim(key))])
                    assert outcome.effect == "matched"
                    acknowledged[f"c{name}"] = 1
            except FhirError as error:
                refused.append(error.status)

    strands = [asyncio.create_task(write(strand)) for strand in range(8)]
    for _ in range(kills):
        await asyncio.sleep(seconds * random.uniform(0.5, 1))
        assert embedded.pid is not None
        os.kill(embedded.pid, signal.SIGKILL)
    await asyncio.sleep(seconds)
    before = len(acknowledged) + len(pairs)
    await asyncio.sleep(1)
    assert len(acknowledged) + len(pairs) > before, "it did not come back"
    stop.set()
    await asyncio.gather(*strands)
    assert embedded.restarts == kills
    assert set(refused) <= {503, 409}

    for id, version in acknowledged.items():
        stored = await store.read(*ANYBODY, "Patient", id)
        assert stored.version >= version, f"{id} was acknowledged as version {version}"
    for name, answered in pairs.items():
        found = await store.read_many(*ANYBODY, [("Patient", f"l{name}"), ("Patient", f"r{name}")])
        assert len(found) in ({2} if answered else {0, 2}), f"{name} is half there"
    for strand in range(8):
        page = await store.history(*ANYBODY, "Patient", f"counter{strand}", limit=10_000)
        versions = [row.version for row in page.rows]
        assert versions == list(range(versions[0], 0, -1)), "a version is missing"
        contents = [msgspec.json.decode(row.raw or b"")["identifier"][0]["value"] for row in page.rows]
        assert len(set(contents)) == len(contents), "a write was stored twice"
    numbered = await store.follow(*ANYBODY, 0, 1_000_000)
    everything = {(row.id, row.version) for row in numbered.rows}
    assert len(everything) == len(numbered.rows), "a change was numbered twice"
    assert acknowledged.items() <= everything
    await store.close()
    await embedded.stop()
    await watching
