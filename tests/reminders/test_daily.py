"""https://hl7.org/fhir/R4/communication.html

When the worker sends: from its hour on, once a day, for days that were missed, and again when a server was away.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fhir_server.context import Context
from fhir_server.jobs.reminders import daily as module
from fhir_server.jobs.reminders.daily import Daily
from fhir_server.jobs.reminders.sending import Sending
from fhir_server.store.turns import Turn
from tests.operations.conftest import Clock
from tests.reminders.conftest import Mailbox, due, settings, store

Timed = tuple[Context, Clock]


@pytest.fixture(autouse=True)
async def impatient(timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length, and nothing left by the test before."""
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.02)
    await timed[0].store.database.collection("leases").delete_one({"_id": "reminders"})


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110 - what is waited for happens in the database
            await asyncio.sleep(0.02)


async def test_from_the_hour_on_and_once(timed: Timed, mailbox: Mailbox) -> None:
    context, clock = timed
    clock.set("2021-02-05T08:59:59-05:00")
    await store(context, *due("one", "two"))
    daily = Daily(context)
    daily.start()
    turn = Turn(context.store.database, "reminders", 1.0)

    async def welcomed() -> bool:
        return (await turn.left()).get("seen") == clock.time

    async def gone_through() -> bool:
        return (await turn.left()).get("day") == "2021-02-05"

    await until(welcomed)
    assert mailbox.taken == []
    clock.set("2021-02-05T09:00:00-05:00")
    await until(gone_through)
    await daily.close()
    assert sorted(mailbox.recipients) == ["one@example.org", "two@example.org"]
    again = Daily(context)
    again.start()
    clock.time += 61_000_000
    await until(welcomed)
    await again.close()
    assert len(mailbox.taken) == 2


async def test_a_server_that_was_away(timed: Timed, mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    context, _ = timed
    await store(context, *due("one"))
    mailbox.on_recipient = lambda session, address: "421 4.3.2 closing"
    daily = Daily(context)

    async def failed() -> bool:
        return "wait for the SMTP server" in caplog.text

    with caplog.at_level(logging.WARNING):
        daily.start()
        await until(failed)
        mailbox.on_recipient = lambda session, address: None
        async with asyncio.timeout(20):
            await mailbox.fill(1)
        await daily.close()
    assert "example.org" not in caplog.text


async def test_a_fault_of_ours_does_not_end_it(
    timed: Timed, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context, _ = timed
    await store(context, *due("one"))
    faults = [KeyError("Ana Peña")]
    compose = Sending.day

    async def faulty(*arguments: Any) -> None:
        if faults:
            raise faults.pop()
        await compose(*arguments)

    monkeypatch.setattr(Sending, "day", faulty)
    daily = Daily(context)
    with caplog.at_level(logging.WARNING):
        daily.start()
        async with asyncio.timeout(20):
            await mailbox.fill(1)
        await daily.close()
    assert "KeyError in reminders" in caplog.text and "Ana" not in caplog.text


@pytest.mark.parametrize(
    ("now", "last", "days"),
    [
        ("2021-02-05T08:59:59-05:00", None, []),
        ("2021-02-05T09:00:00-05:00", None, ["2021-02-05"]),
        ("2021-02-06T02:00:00Z", None, ["2021-02-05"]),
        ("2021-02-05T09:00:00-05:00", "2021-02-05", []),
        ("2021-02-05T09:00:00-05:00", "2021-02-04", ["2021-02-05"]),
        ("2021-02-05T08:59:59-05:00", "2021-02-03", ["2021-02-04"]),
        ("2021-02-05T09:00:00-05:00", "2021-02-03", ["2021-02-04", "2021-02-05"]),
        ("2021-02-05T09:00:00-05:00", "2020-06-01", ["2021-02-02", "2021-02-03", "2021-02-04", "2021-02-05"]),
        ("2021-02-05T09:00:00-05:00", "2021-02-09", []),
    ],
)
async def test_which_days(timed: Timed, now: str, last: str | None, days: list[str]) -> None:
    context, clock = timed
    clock.set(now)
    assert Daily(context)._days(last) == [date.fromisoformat(day) for day in days]


async def test_without_a_host_nothing_starts(timed: Timed, mailbox: Mailbox) -> None:
    context, _ = timed
    quiet = replace(context, settings=settings(mailbox, smtp_host=""))
    daily = Daily(quiet)
    before = asyncio.all_tasks()
    daily.start()
    assert asyncio.all_tasks() == before
    await daily.close()


async def test_a_turn_is_one_processs_until_it_ends(timed: Timed) -> None:
    context, clock = timed
    mine, other = (Turn(context.store.database, "test", 10.0) for _ in range(2))
    assert await mine.take() and await mine.take() and not await other.take()
    await mine.leave({"day": "2021-02-05"})
    await other.leave({"day": "1999-01-01"})
    clock.time += 10_000_001
    assert await other.take() and not await mine.take()
    assert await other.left() == {"day": "2021-02-05"}
    await mine.pass_on()
    assert not await mine.take()
    await other.pass_on()
    clock.time += 1
    assert await mine.take()
    await mine.pass_on()
