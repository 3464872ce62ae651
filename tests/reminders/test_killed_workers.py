"""https://www.rfc-editor.org/rfc/rfc1047

Workers that send the day's reminders are killed in the middle of messages, before and after the SMTP server has them;
others go on; everybody gets exactly one.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fhir_server.jobs.reminders import record
from fhir_server.jobs.reminders.post import Account, Post
from fhir_server.jobs.reminders.sending import DOUBT_SECONDS, Sending
from fhir_server.store.engine import tether
from fhir_server.store.engine.embedded import EmbeddedDatabase
from tests.operations.conftest import Clock
from tests.reminders.conftest import MORNING, Mailbox, due, settings, store
from tests.reminders.opening import opened

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "kills"),
    [
        (100, {"announced": {15}, "taken": {60}}),
        pytest.param(1_000, None, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_everybody_gets_exactly_one(
    database: EmbeddedDatabase,
    mailbox: Mailbox,
    people: int,
    kills: dict[str, set[int]] | None,
    measured: Callable[[str], None],
) -> None:
    """`kills`: at the how manieth recipient that is announced, or message that is taken, its sender is killed."""
    clock = Clock(0)
    clock.set(MORNING)
    offset = time.time_ns() // 1_000 - clock.time
    if kills is None:
        numbers = random.Random(8).sample(range(20, people - 20), 16)
        kills = {"announced": set(numbers[:8]), "taken": set(numbers[8:])}
    names = {f"person-{number}" for number in range(people)}
    name = f"killed{people}"
    async with opened(database.uri, name, clock, settings(mailbox)) as context:
        await store(context, *due(*sorted(names)))
        announced, doomed = Counter[str](), Counter[str]()

        def kill(session: Any) -> None:
            os.kill(int(session.host_name.partition("-")[2].partition(".")[0]), signal.SIGKILL)

        def recipient(session: Any, address: str) -> None:
            announced["all"] += 1
            if announced["all"] in kills["announced"]:
                doomed["announced"] += 1
                kill(session)

        def message(session: Any, address: str) -> None:
            if len(mailbox.taken) + 1 in kills["taken"]:
                doomed["taken"] += 1
                kill(session)

        mailbox.on_recipient, mailbox.on_message = recipient, message
        async with asyncio.timeout(30 + people / 2):
            async with workers(1 if people == 100 else 2, database.uri, name, mailbox.port, offset):
                await mailbox.fill(people)
                await asyncio.sleep(0.5)
        assert set(Counter(mailbox.recipients).values()) == {1}
        assert {each.partition("@")[0] for each in mailbox.recipients} == names
        assert doomed == {kind: len(numbers) for kind, numbers in kills.items()}
        # Who was killed while the server had the message left a doubt; nobody resolves it by sending again.
        clock.time += int(DOUBT_SECONDS + people) * 1_000_000
        sending = Sending(context, Post(Account("127.0.0.1", mailbox.port, "none", "", "", "a@vaccines.example")))
        await sending.doubts()
        await sending.day(context.today)
        await sending.post.close()
        standing = {
            status: [each async for each in record.standing(context, status)]
            for status in ("in-progress", "on-hold", "unknown")
        }
        assert {status: len(found) for status, found in standing.items()} == {
            "in-progress": 0,
            "on-hold": 0,
            "unknown": len(kills["taken"]),
        }
        assert sending.counts == {"in doubt": len(kills["taken"]), "before": people}
        assert len(mailbox.taken) == people
    killed = sum(doomed.values())
    measured(f"{people:,} people, workers killed {killed} times: {len(mailbox.taken):,} e-mails, one each")


@asynccontextmanager
async def workers(*arguments: object) -> AsyncIterator[int]:
    """So many workers at any time: whoever dies is replaced. The process whose children they are."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", tether.__file__, str(os.getpid())),
        *(sys.executable, "-m", "tests.reminders.worker", *map(str, arguments)),
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()
