"""`fhir-server remind`, beside a running server: what would be sent, sending it, and repeating it."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
from typer.testing import CliRunner

from fhir_server.cli import app
from tests.conftest import Server
from tests.reminders.conftest import Mailbox, dose, patient

DAY = "2021-03-31"
"""A day on which nothing falls due to other tests' people."""


async def remind(server: Server, *options: str, **settings: str) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MONGODB")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fhir_server", "remind", "--data", str(server.data), "--day", DAY, *options),
        env=environment
        | {"COLUMNS": "160"}
        | {f"FHIR_SERVER_{name}".upper(): value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_what_would_be_sent_and_sending_it(server: Server, client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    names = ["remind-by-mail", "remind-by-call"]
    people = [patient(names[0]), patient(names[1], telecom=[{"system": "phone", "value": "919-555-0100"}])]
    for each in [*people, *(dose(name, "2021-03-10") for name in names)]:
        stored = await client.put(f"{each['resourceType']}/{each['id']}", json=each)
        assert stored.status_code == 201, stored.text
    status, out, _ = await remind(server, "--dry-run")
    lines = {name: next(line for line in out.splitlines() if f"Patient/{name}" in line) for name in names}
    assert status == 0
    assert "dose-due" in lines[names[0]] and "r…@example.org" in lines[names[0]]
    assert "call list" in lines[names[1]]
    assert "1 to send" in out and mailbox.taken == []
    account = {"smtp_host": "127.0.0.1", "smtp_port": str(mailbox.port), "smtp_security": "none"}
    status, out, _ = await remind(server, smtp_from="reminders@vaccines.example", **account)
    assert (status, "1 sent" in out, mailbox.recipients) == (0, True, ["remind-by-mail@example.org"])
    sent = await client.get("Communication", params={"recipient": f"Patient/{names[0]}", "status": "completed"})
    assert len(sent.json()["entry"]) == 1


def test_without_a_server_to_send_through(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["remind", "--data", str(tmp_path)])
    assert answer.exit_code == 1
    assert "no SMTP server is set (FHIR_SERVER_SMTP_HOST)" in answer.output
