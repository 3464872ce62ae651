"""https://hl7.org/fhir/R4/http.html#concurrency"""

import asyncio
import sys
from collections import Counter

import msgspec

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.records import Selection
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, claim, create, identifier, patient, update


async def test_a_hundred_conditional_creates_make_one_resource(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.commit(*ANYBODY, [create(f"p{n}", patient(1), claim(1))]) for n in range(100))
    )
    assert Counter(outcome.effect for [outcome] in outcomes) == {"created": 1, "matched": 99}
    assert len({outcome.stored.id for [outcome] in outcomes if outcome.stored}) == 1
    assert await store.count(*ANYBODY, "Patient", identifier(1)) == 1


async def test_fifty_updates_of_one_version_have_one_winner(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient(0))])

    async def attempt(number: int) -> int:
        try:
            await store.commit(*ANYBODY, [update("a", patient(number), expected=1)])
        except FhirError as error:
            return error.status
        return 200

    statuses = Counter(await asyncio.gather(*(attempt(n) for n in range(50))))
    assert statuses == {200: 1, 412: 49}
    assert (await store.read(*ANYBODY, "Patient", "a")).version == 2


async def test_updates_without_a_version_all_count(store: Store) -> None:
    await asyncio.gather(*(store.commit(*ANYBODY, [update("a", patient(n))]) for n in range(40)))
    page = await store.history(*ANYBODY, "Patient", "a", limit=100)
    assert [row.version for row in page.rows] == list(range(40, 0, -1))
    assert len({row.updated for row in page.rows}) == 40


RACE = """
import asyncio, sys
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, TYPES, claim, create, patient

async def main(name, first):
    uri = sys.stdin.readline().strip()
    store = await Store.open(uri, database=name, types=TYPES)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(5):
        writes = [create(f"{first}-{number}-{n}", patient(number), claim(number)) for n in range(20)]
        outcomes = await asyncio.gather(*(store.commit(*ANYBODY, [write]) for write in writes))
        print(*(outcome.stored.id for [outcome] in outcomes), flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_make_one_resource_each(embedded: EmbeddedDatabase, one: Store) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RACE, one.database.name, name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("left", "right")
    ]
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(embedded.uri.encode() + b"\n")
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    rounds = [output.decode().splitlines() for output, _ in answers]
    for number, lines in enumerate(zip(*rounds, strict=True)):
        told = {id for line in lines for id in line.split()}
        found = (await one.search(*ANYBODY, Selection("Patient", identifier(number)))).rows
        assert told == {row.id for row in found}
        assert len(found) == 1
    history = await one.history(*ANYBODY, "Patient")
    assert [row.version for row in history.rows] == [1] * 5
    assert msgspec.json.decode(history.rows[0].raw or b"")["resourceType"] == "Patient"
