"""https://hl7.org/fhir/R4/list.html

Who makes the call list: one worker at a time, whoever goes on where one was killed, and nobody who has lost the turn.
"""

import asyncio
import os
import signal
import time

import pytest

from fhir_server.context import Context
from fhir_server.jobs.calling import Calling
from fhir_server.operations import call_list
from fhir_server.store.call_list import CALL_LIST
from fhir_server.store.engine.embedded import EmbeddedDatabase
from tests.operations.conftest import Clock
from tests.processes import below
from tests.reminders.conftest import MORNING, Mailbox, due, settings, store
from tests.reminders.opening import opened
from tests.reminders.test_killed_workers import workers

PHONE = [{"system": "phone", "value": "919-555-0100"}]


async def listed(context: Context) -> set[str]:
    return {row["_id"] for row in await context.store.database.rows(CALL_LIST, [{"$match": {}}])}


@pytest.fixture(autouse=True)
async def fresh(timed: tuple[Context, Clock]) -> None:
    """Nothing of the tests before."""
    database = timed[0].store.database
    await database.collection(CALL_LIST).delete_many({})
    await database.collection("leases").delete_one({"_id": CALL_LIST})


async def test_one_makes_it_and_whoever_lost_the_turn_stops(timed: tuple[Context, Clock]) -> None:
    context, clock = timed
    await store(context, *due("one", "two", telecom=PHONE), *due("three"))
    slow = context.store.call_list.turn(60)
    assert await slow.take()
    await Calling(context).round()
    assert await context.store.call_list.standing() is None
    clock.time += 61_000_000
    await Calling(context).round()
    standing = await context.store.call_list.standing()
    assert standing is not None and standing.as_of == clock.time
    assert await listed(context) == {"one", "two"}
    # The slow one knows nothing of what was written since, nor does it say so.
    other = context.store.call_list.turn(60)
    assert await other.take()
    await store(context, *due("four", telecom=PHONE))
    await call_list.update(context, slow)
    assert await listed(context) == {"one", "two"}
    assert await context.store.call_list.standing() == standing
    await call_list.update(context, other)
    assert await listed(context) == {"one", "two", "four"}


async def test_nothing_is_written_while_nothing_changes(timed: tuple[Context, Clock]) -> None:
    context, clock = timed
    await store(context, *due("one", telecom=PHONE))
    await Calling(context).round()
    before = await context.store.call_list.standing()
    clock.time += 1_000_000
    await Calling(context).round()
    assert await context.store.call_list.standing() == before
    clock.time += call_list.AS_OF_SECONDS * 1_000_000
    await Calling(context).round()
    after = await context.store.call_list.standing()
    assert before is not None and after is not None
    assert (after.day, after.number, after.as_of) == (before.day, before.number, clock.time)


async def test_many_changes_are_followed_in_parts(
    timed: tuple[Context, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, clock = timed
    monkeypatch.setattr(call_list, "CHANGES", 3)
    monkeypatch.setattr(call_list, "AT_ONCE", 2)
    await Calling(context).round()
    names = {f"person-{number}" for number in range(10)}
    await store(context, *due(*sorted(names), telecom=PHONE), *due("mailed"))
    clock.time += 1_000_000
    await Calling(context).round()
    standing = await context.store.call_list.standing()
    assert standing is not None and standing.as_of == clock.time
    assert standing.number == await context.store.call_list.reached()
    assert await listed(context) == names


@pytest.mark.slow
async def test_a_worker_that_is_killed_and_its_successor(database: EmbeddedDatabase, mailbox: Mailbox) -> None:
    clock = Clock(0)
    clock.set(MORNING)
    offset = time.time_ns() // 1_000 - clock.time
    names = {f"person-{number}" for number in range(150)}
    async with opened(database.uri, "killed-calling", clock, settings(mailbox)) as context:
        await store(context, *due(*sorted(names), telecom=PHONE))
        async with asyncio.timeout(40), workers(1, database.uri, "killed-calling", 0, offset) as parent:
            while not await listed(context):  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.005)
            [worker] = [id for id in below(parent) if not below(id)]
            os.kill(worker, signal.SIGKILL)
            half = await listed(context)
            assert await context.store.call_list.standing() is None
            while await context.store.call_list.standing() is None:  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.05)
            assert half < names
            assert await listed(context) == names
