"""`fhir-server remind`, beside a running server: what would be sent, sending it, and repeating it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from fhir_server.cli import app
from fhir_server.commands import reminding
from fhir_server.context import Context
from fhir_server.settings import Settings
from tests.conftest import Server
from tests.operations.conftest import Clock
from tests.reminders.conftest import Mailbox, dose, due, patient, store

DAY = "2021-03-31"
"""A day on which nothing falls due to other tests' people."""


async def test_what_would_be_sent(server: Server, client: httpx.AsyncClient) -> None:
    names = ["remind-by-mail", "remind-by-call"]
    people = [patient(names[0]), patient(names[1], telecom=[{"system": "phone", "value": "919-555-0100"}])]
    for each in [*people, *(dose(name, "2021-03-10") for name in names)]:
        stored = await client.put(f"{each['resourceType']}/{each['id']}", json=each)
        assert stored.status_code == 201, stored.text
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fhir_server", "remind", "--dry-run", "--data", str(server.data), "--day", DAY),
        env={name: value for name, value in os.environ.items() if not name.startswith("MONGODB")} | {"COLUMNS": "160"},
        stdout=asyncio.subprocess.PIPE,
    )
    written, _ = await asyncio.wait_for(process.communicate(), 60)
    out = written.decode()
    lines = {name: next(line for line in out.splitlines() if f"Patient/{name}" in line) for name in names}
    assert process.returncode == 0
    assert "dose-due" in lines[names[0]] and "r…@example.org" in lines[names[0]]
    assert "call list" in lines[names[1]]
    assert "1 to send" in out
    sent = await client.get("Communication", params={"recipient": f"Patient/{names[0]}"})
    assert "entry" not in sent.json()


async def test_sending_and_what_it_says_afterwards(
    timed: tuple[Context, Clock], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, _ = timed

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Context]:
        yield context

    monkeypatch.setattr(reminding, "opened", opened)
    await store(context, *due("one", "two"))
    mailbox.on_recipient = lambda session, address: "550 5.1.1 unknown" if address.startswith("two") else None
    seen: list[tuple[int, int]] = []
    counts = await reminding.send(context.settings, None, lambda *progress: seen.append(progress))
    standing = await context.store.call_list.standing()
    assert standing is not None and standing.day == context.today
    assert (counts, seen[-1], mailbox.recipients) == ({"sent": 1, "refused": 1}, (2, 2), ["one@example.org"])
    lines = await reminding.preview(context.settings, date(2021, 2, 5), lambda *progress: None)
    assert {(line.patient, line.occasion, line.address, line.standing) for line in lines} == {
        ("Patient/one", "dose-due", "o…@example.org", "before: completed"),
        ("Patient/two", "dose-due", "t…@example.org", "before: not-done"),
    }


def test_without_a_server_to_send_through(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["remind", "--data", str(tmp_path)])
    assert answer.exit_code == 1
    assert "no SMTP server is set (FHIR_SERVER_SMTP_HOST)" in answer.output
