"""https://hl7.org/fhir/R4/http.html#history

A reader that follows the feed never misses a committed change.
"""

import asyncio

import pytest

from fhir_server.store import feed, sequencer
from fhir_server.store.sequencer import Sequencer
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.world import ANYBODY, create, patient, update


async def rows(store: Store) -> list[tuple[int, str, int]]:
    await store.history(*ANYBODY)
    found = await feed.after(store.database, 0, 100_000)
    return [(row["_id"], row["id"], row["v"]) for row in found]


async def test_numbers_are_dense_and_versions_in_order(store: Store) -> None:
    await asyncio.gather(
        *(store.commit(*ANYBODY, [update(f"p{n % 5}", patient(n)), update(f"q{n % 3}", patient(n))]) for n in range(45))
    )
    found = await rows(store)
    assert [number for number, _, _ in found] == list(range(1, 91))
    for id, last in (("p0", 9), ("q2", 15)):
        assert [version for _, name, version in found if name == id] == list(range(1, last + 1))


async def test_one_process_numbers_at_a_time_and_another_takes_over(opened: Opener) -> None:
    stores = [await opened(), await opened("motor"), await opened()]

    async def write(store: Store, name: int) -> None:
        for number in range(30):
            await store.commit(*ANYBODY, [create(f"s{name}-{number}", patient(number))])

    seen: list[int] = []

    async def follow() -> None:
        number = 0
        while len(seen) < 90:
            page = await stores[2].follow(*ANYBODY, number, 7)
            assert page.next is not None
            number = int(page.next[0])
            seen.extend(row.version for row in page.rows)
            if not page.rows:
                await stores[2].wait_for_change(number, 1)

    async with asyncio.timeout(30):
        await asyncio.gather(follow(), *(write(store, name) for name, store in enumerate(stores)))
    assert len(seen) == 90
    # The one that holds the lease stops; the next write is numbered by another.
    for store in stores[:2]:
        await store.close()
    await stores[2].commit(*ANYBODY, [create("last", patient(1))])
    assert (await rows(stores[2]))[-1] == (91, "last", 1)


async def test_who_lost_the_lease_can_store_nothing(one: Store) -> None:
    await one.commit(*ANYBODY, [create("a", patient(1))])
    assert len(await rows(one)) == 1
    await one._sequencer.close()
    late = Sequencer(one.database)
    assert await late._hold()
    leases = one.database.collection("leases")
    await leases.update_one({"_id": "sequencer"}, {"$set": {"holder": "another", "until": 2**62}})
    await one.commit(*ANYBODY, [create("b", patient(2))])
    assert await late._number_all() is False
    assert len(await feed.after(one.database, 0, 10)) == 1
    assert await one.database.collection("outbox").count_documents({}) == 1


async def test_a_killed_holder_is_replaced_when_its_lease_ends(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "LEASE_SECONDS", 0.05)
    store = await opened()
    await store.database.collection("leases").update_one(
        {"_id": "sequencer"}, {"$set": {"holder": "killed", "until": store.database.clock() + 20_000}}
    )
    await store.commit(*ANYBODY, [create("a", patient(1))])
    assert await rows(store) == [(1, "a", 1)]


async def test_places_in_time_are_found(one: Store) -> None:
    marks = []
    for number in range(6):
        marks.append(one.database.clock())
        await one.commit(*ANYBODY, [update("a", patient(number))])
        await rows(one)
    assert [await feed.first_since(one.database, mark) for mark in marks] == [1, 2, 3, 4, 5, 6]
    assert await feed.first_since(one.database, 2**62) == 7
    assert await feed.last(one.database) == 6
