"""https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header"""

import asyncio

import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.records import AlreadyDone, Delete, Once, Write
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.world import ANYBODY, START, Clock, claim, create, patient, patient_of, update

ONCE = Once("00" * 32, "a request", 60)


async def records(store: Store) -> int:
    return int(await store.database.collection("idempotency").count_documents({}))


async def test_a_commit_is_done_once(store: Store) -> None:
    assert await store.recall(*ANYBODY, ONCE) is None
    [first] = await store.commit(*ANYBODY, [create("a", patient())], ONCE)
    with pytest.raises(AlreadyDone):
        await store.commit(*ANYBODY, [create("b", patient())], ONCE)
    recalled = await store.recall(*ANYBODY, ONCE)
    assert recalled is not None
    assert [(each.stored, each.effect) for each in recalled.committed] == [(first.stored, "created")]
    with pytest.raises(FhirError) as caught:
        await store.read(*ANYBODY, "Patient", "b")
    assert caught.value.status == 404


async def test_all_that_a_commit_can_come_to(one: Store) -> None:
    await one.commit(*ANYBODY, [create("a", patient(1)), create("b", patient(2)), create("c", patient(3))])
    writes: list[Write] = [
        update("a", patient(1)),
        Delete("Patient", "b"),
        Delete("Patient", "z"),
        create("y", patient(9), claim(3)),
    ]
    once = Once("11" * 32, "a request", 60, (4, 2, 0, 1))
    done = await one.commit(*ANYBODY, writes, once)
    assert [each.effect for each in done] == ["updated", "deleted", "unchanged", "matched"]
    await one.commit(*ANYBODY, [update("a", patient(1, "Changed"))])
    recalled = await one.recall(*ANYBODY, once)
    assert recalled is not None
    assert recalled.numbers == (4, 2, 0, 1)
    assert [each.effect for each in recalled.committed] == ["updated", "deleted", "unchanged", "matched"]
    for then, now in zip(done, recalled.committed, strict=True):
        if then.stored is not None and now.stored is not None:
            assert (now.stored.id, now.stored.version, now.stored.raw) == (
                then.stored.id,
                then.stored.version,
                then.stored.raw,
            )


async def test_nothing_is_recorded_of_what_was_refused(one: Store) -> None:
    with pytest.raises(FhirError):
        await one.commit(*ANYBODY, [update("a", patient(), expected=3)], ONCE)
    assert await records(one) == 0


async def test_another_request_with_the_same_key(one: Store) -> None:
    await one.commit(*ANYBODY, [create("a", patient())], ONCE)
    other = Once(ONCE.key, "another request", 60)
    for call in (one.recall(*ANYBODY, other), one.begin(*ANYBODY, other)):
        with pytest.raises(FhirError) as caught:
            await call
        assert (caught.value.status, caught.value.issues[0].detail) == (422, "idempotency-key-reused")


async def test_who_may_no_longer_know_is_not_told(one: Store) -> None:
    await one.commit(*ANYBODY, [create("a", patient(organization="o1"))], ONCE)
    assert await one.recall(*patient_of("o1"), ONCE) is not None
    with pytest.raises(FhirError) as caught:
        await one.recall(*patient_of("o2"), ONCE)
    assert caught.value.status == 404


async def test_at_the_same_time_one_of_two_processes_does_it(opened: Opener) -> None:
    stores = [await opened(), await opened("motor")]
    await stores[0].commit(*ANYBODY, [create("a", patient())])

    async def attempt(number: int) -> bool:
        try:
            await stores[number % 2].commit(*ANYBODY, [update("a", patient(number))], ONCE)
        except AlreadyDone:
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, range(12)))) == 1
    assert (await stores[0].read(*ANYBODY, "Patient", "a")).version == 2


async def test_a_key_is_forgotten_in_time(opened: Opener) -> None:
    clock = Clock()
    store = await opened(clock=clock)
    await store.begin(*ANYBODY, Once("22" * 32, "a batch", 60))
    await store.commit(*ANYBODY, [create("a", patient())], ONCE)
    clock.time = START + 61_000_000
    assert await store.recall(*ANYBODY, ONCE) is None
    again = Once(ONCE.key, "another request", 60)
    await store.commit(*ANYBODY, [create("b", patient())], again)
    # The key of this record is an occasion to remove what has expired.
    assert await records(store) == 1
    assert await store.recall(*ANYBODY, again) is not None
