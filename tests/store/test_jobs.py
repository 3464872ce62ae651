"""https://hl7.org/fhir/R4/async.html

Jobs belong to their caller, run in one process at a time, and go on where the last one stopped.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.caller import DEVELOPER, Caller
from fhir_server.fhir.outcome import FhirError
from fhir_server.store import jobs as module
from fhir_server.store.held import Held, LostJob, take
from fhir_server.store.jobs import JOBS, PIECES, Job
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.world import Clock

SOMEBODY_ELSE = Caller("else")
SECOND = 1_000_000


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def joined(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


async def enqueued(store: Store, content: bytes = b"content", caller: Caller = DEVELOPER, **given: Any) -> Job:
    return await store.jobs.enqueue(caller, "test", given, chunks(content))


async def taken(store: Store, holder: str = "one") -> Held:
    held = await take(store.jobs, holder, 5)
    assert held is not None
    assert [record async for record in held.records()] == []
    return held


async def pieces(store: Store) -> list[str]:
    return sorted(row["_id"].split("|")[1] for row in await store.database.rows(PIECES, [{"$match": {}}]))


async def test_from_the_request_to_the_answer(store: Store) -> None:
    content = bytes(range(256)) * 10_000
    parts = [content[:1], content[1:1_500_000], content[1_500_000:]]
    job = await store.jobs.enqueue(DEVELOPER, "test", {"group": "a", "replace": True}, chunks(*parts))
    assert (job.state, job.caller, job.given) == ("open", DEVELOPER, {"group": "a", "replace": True})
    assert await pieces(store) == ["in"] * 3
    held = await taken(store)
    assert await joined(held.content()) == content
    await held.record(b"first", b",1", "1 of 2")
    assert (await store.jobs.find(DEVELOPER, job.id)).progress == "1 of 2"
    await held.record(b"second", b"", "2 of 2")
    await held.record(b"third", b"x" * 2_500_000, "so" * 100)
    assert len((await store.jobs.find(DEVELOPER, job.id)).progress) == 100
    await held.finish(b"[0", b"]", 60)
    done = await store.jobs.find(DEVELOPER, job.id)
    assert (done.state, done.size) == ("done", 2_500_005)
    assert await joined(store.jobs.answer(DEVELOPER, job.id)) == b"[0,1" + b"x" * 2_500_000 + b"]"
    assert await pieces(store) == ["out"] * 4
    assert await take(store.jobs, "one", 5) is None


async def test_a_job_is_its_callers_own(one: Store) -> None:
    job = await enqueued(one)
    for attempt in (
        one.jobs.find(SOMEBODY_ELSE, job.id),
        one.jobs.remove(SOMEBODY_ELSE, job.id),
        joined(one.jobs.answer(SOMEBODY_ELSE, job.id)),
        one.jobs.find(DEVELOPER, "nothing"),
    ):
        with pytest.raises(FhirError) as caught:
            await attempt
        assert (caught.value.status, caught.value.issues[0].detail) == (404, "unknown-job")
    assert (await one.jobs.find(DEVELOPER, job.id)).state == "open"


async def test_what_does_not_arrive_leaves_nothing(one: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1_500_000
        raise FhirError(400, ())

    with pytest.raises(FhirError):
        await one.jobs.enqueue(DEVELOPER, "test", {}, broken())
    assert await one.database.rows(JOBS, [{"$match": {}}]) == []
    assert await pieces(one) == []


async def test_a_caller_has_so_many_at_most(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    await enqueued(one)
    await enqueued(one)
    with pytest.raises(FhirError) as caught:
        await enqueued(one)
    assert (caught.value.status, caught.value.issues[0].detail) == (429, "too-many-jobs")
    await enqueued(one, caller=SOMEBODY_ELSE)
    held = await taken(one)
    await held.fail(400, b"{}", 60)
    await enqueued(one)


async def test_the_longest_due_is_taken_once(opened: Opener) -> None:
    one, other = await opened(), await opened()
    made = [(await enqueued(one)).id for _ in range(3)]
    found = await asyncio.gather(*(take(store.jobs, str(n), 60) for n in range(4) for store in (one, other)))
    got = [held.job.id for held in found if held is not None]
    assert sorted(got) == sorted(made)


async def test_who_loses_the_lease_can_store_nothing(store: Store) -> None:
    clock = store.database.clock
    assert isinstance(clock, Clock)
    job = await enqueued(store)
    first = await taken(store, "first")
    await first.record(b"1", b"a", "")
    assert await take(store.jobs, "second", 5) is None
    clock.time += 4 * SECOND
    await first.renew()
    clock.time += 4 * SECOND
    assert await take(store.jobs, "second", 5) is None
    clock.time += 2 * SECOND
    second = await take(store.jobs, "second", 5)
    assert second is not None
    # It counts how often it was taken since the last step.
    assert second.job.tries == 1
    for attempt in (first.record(b"2", b"wrong", ""), first.renew(), first.require(), first.finish(b"", b"", 60)):
        with pytest.raises(LostJob):
            await attempt
    assert [record async for record in second.records()] == [b"1"]
    await second.record(b"2", b"b", "")
    await second.finish(b"[", b"]", 60)
    assert await joined(store.jobs.answer(DEVELOPER, job.id)) == b"[ab]"


async def test_the_same_holder_does_not_record_a_step_twice(one: Store) -> None:
    """A process that took its own job again is another holder as to what it recorded before."""
    await enqueued(one)
    held = await taken(one)
    stale = Held(held.jobs, held.job, held.holder, 5, held.received)
    await held.record(b"1", b"a", "")
    with pytest.raises(LostJob):
        await stale.record(b"1", b"a", "")


async def test_given_back_is_due_again(one: Store) -> None:
    clock = one.database.clock
    assert isinstance(clock, Clock)
    await enqueued(one)
    held = await taken(one)
    await held.give_back(30)
    assert await take(one.jobs, "other", 5) is None
    clock.time += 31 * SECOND
    again = await take(one.jobs, "other", 5)
    assert again is not None
    assert again.job.tries == 2


async def test_a_removed_job_stops_and_is_gone(store: Store) -> None:
    job = await enqueued(store)
    held = await taken(store)
    await held.record(b"1", b"a", "")
    await store.jobs.remove(DEVELOPER, job.id)
    for attempt in (held.require(), held.record(b"2", b"b", ""), held.fail(400, b"{}", 60)):
        with pytest.raises(LostJob):
            await attempt
    with pytest.raises(FhirError):
        await store.jobs.find(DEVELOPER, job.id)
    assert await pieces(store) == []
    assert await store.database.rows(JOBS, [{"$match": {}}]) == []


async def test_a_failure_is_kept_and_all_expires(one: Store) -> None:
    clock = one.database.clock
    assert isinstance(clock, Clock)
    job = await enqueued(one)
    held = await taken(one)
    await held.record(b"1", b"a", "")
    await held.fail(422, b'{"a":1}', 60)
    failed = await one.jobs.find(DEVELOPER, job.id)
    assert (failed.state, failed.outcome) == ("failed", (422, b'{"a":1}'))
    assert await take(one.jobs, "one", 5) is None
    clock.time += 61 * SECOND
    assert await take(one.jobs, "one", 5) is None
    with pytest.raises(FhirError):
        await one.jobs.find(DEVELOPER, job.id)
    assert await pieces(one) == []
