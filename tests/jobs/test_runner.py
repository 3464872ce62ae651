"""https://hl7.org/fhir/R4/async.html

The runner does what is due, survives what goes wrong in it, and leaves behind what another can go on with.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from fhir_server.caller import DEVELOPER, Caller, Predicate, allow_all
from fhir_server.context import Context
from fhir_server.fhir.condition import NOTHING
from fhir_server.fhir.outcome import refuse
from fhir_server.jobs import runner as module
from fhir_server.jobs.catalogue import Handler
from fhir_server.jobs.runner import Runner
from fhir_server.store.held import Held
from fhir_server.store.jobs import Job


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length."""
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)


def everything(caller: Caller) -> Predicate:
    return allow_all


@asynccontextmanager
async def running(
    context: Context, handler: Handler, permitted: Callable[[Caller], Predicate] = everything
) -> AsyncIterator[Runner]:
    runner = Runner(context, permitted, {"test": handler})
    runner.start()
    try:
        yield runner
    finally:
        await runner.close()


async def ended(context: Context, job: Job) -> Job:
    async with asyncio.timeout(15):
        while True:
            found = await context.store.jobs.find(DEVELOPER, job.id)
            if found.state != "open":
                return found
            await asyncio.sleep(0.02)


async def enqueued(context: Context, kind: str = "test") -> Job:
    return await context.store.jobs.enqueue(DEVELOPER, kind, {"number": 7})


def codes(job: Job) -> tuple[int, list[str]]:
    status, body = job.outcome
    return status, [issue["details"]["coding"][0]["code"] for issue in msgspec.json.decode(body)["issue"]]


async def answer(context: Context, job: Job) -> bytes:
    return b"".join([piece async for piece in context.store.jobs.answer(DEVELOPER, job.id)])


async def test_a_job_is_run_for_its_caller_within_what_they_may_see(context: Context) -> None:
    seen: list[tuple[str, object]] = []

    def nothing(caller: Caller) -> Predicate:
        seen.append((caller.subject, caller.roles))
        return lambda resource_type: NOTHING

    async def handler(given: Context, predicate: Predicate, held: Held) -> None:
        assert predicate("Patient") == NOTHING
        await held.finish(b"%d" % held.job.given["number"], b"", 60)

    async with running(context, handler, nothing):
        job = await ended(context, await enqueued(context))
    assert (job.state, await answer(context, job)) == ("done", b"7")
    assert seen == [(DEVELOPER.subject, DEVELOPER.roles)]


async def test_a_refusal_is_the_answer(context: Context) -> None:
    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        raise refuse(422, "business-rule", "not-a-roster", "No.")

    async with running(context, handler):
        job = await ended(context, await enqueued(context))
    assert (job.state, codes(job)) == ("failed", (422, ["not-a-roster"]))


async def test_what_passes_is_tried_again_and_recorded_steps_are_not(context: Context) -> None:
    attempts: list[int] = []

    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        done = [int(record) async for record in held.records()]
        attempts.append(len(done))
        if len(done) == 2:
            return await held.finish(b"<", b">", 60)
        await held.record(b"%d" % len(done), b"%d" % len(done), "")
        raise refuse(503, "transient", "database-unavailable", "Away.")

    async with running(context, handler):
        job = await ended(context, await enqueued(context))
    assert attempts == [0, 1, 2]
    assert await answer(context, job) == b"<01>"


async def test_a_fault_ends_the_job_and_not_the_runner(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        raise KeyError("Ana Li, born 1980-01-02")

    async with running(context, handler):
        first = await ended(context, await enqueued(context))
        second = await ended(context, await enqueued(context))
    assert codes(first) == codes(second) == (500, ["internal"])
    assert "KeyError in a job of kind test" in caplog.text
    assert "Ana Li" not in caplog.text
    assert b"Ana Li" not in first.outcome[1]


async def test_a_job_that_gets_nowhere_is_given_up(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TRIES", 3)
    attempts: list[int] = []

    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        attempts.append(held.job.tries)
        raise refuse(409, "conflict", "contended", "Again.")

    async with running(context, handler):
        job = await ended(context, await enqueued(context))
    assert attempts == [1, 2, 3]
    assert codes(job) == (500, ["job-given-up"])


async def test_who_is_stopped_leaves_the_job_to_others_at_once(context: Context) -> None:
    started = asyncio.Event()

    async def slow(context: Context, predicate: Predicate, held: Held) -> None:
        assert [record async for record in held.records()] == []
        await held.record(b"1", b"a", "half")
        started.set()
        await asyncio.sleep(60)

    async def quick(context: Context, predicate: Predicate, held: Held) -> None:
        assert [record async for record in held.records()] == [b"1"]
        await held.finish(b"", b"!", 60)

    async with running(context, slow):
        job = await enqueued(context)
        await started.wait()
    async with running(context, quick):
        before = asyncio.get_running_loop().time()
        assert (await ended(context, job)).state == "done"
    assert asyncio.get_running_loop().time() - before < module.LEASE_SECONDS - 1
    assert await answer(context, job) == b"a!"


async def test_who_is_stopped_when_the_job_has_just_ended_stops(context: Context) -> None:
    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        await held.finish(b"", b"", 60)
        await asyncio.sleep(60)

    async with asyncio.timeout(10), running(context, handler):
        assert (await ended(context, await enqueued(context))).state == "done"


async def test_a_lease_is_renewed_while_the_job_runs(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.1)
    attempts: list[int] = []

    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        attempts.append(held.job.tries)
        await asyncio.sleep(2)
        await held.finish(b"", b"", 60)

    async with running(context, handler), running(context, handler):
        assert (await ended(context, await enqueued(context))).state == "done"
    assert attempts == [1]


async def test_a_removed_job_is_stopped(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.05)
    started, stopped = asyncio.Event(), asyncio.Event()

    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with running(context, handler):
        job = await enqueued(context)
        await started.wait()
        await context.store.jobs.remove(DEVELOPER, job.id)
        async with asyncio.timeout(10):
            await stopped.wait()


async def test_a_kind_of_another_version_waits_for_it(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    async def handler(context: Context, predicate: Predicate, held: Held) -> None:
        await held.finish(b"", b"", 60)

    job = await enqueued(context, "later")
    async with running(context, handler):
        await asyncio.sleep(0.3)
        assert (await context.store.jobs.find(DEVELOPER, job.id)).state == "open"
    knowing = Runner(context, everything, {"later": handler})
    knowing.start()
    assert (await ended(context, job)).state == "done"
    await knowing.close()
