"""A real SMTP server, people to whom something falls due on a day in 2021, and a Context whose clock the test sets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.jobs.reminders.account import account
from fhir_server.jobs.reminders.post import Post
from fhir_server.jobs.reminders.sending import Sending
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.records import Update
from fhir_server.store.schema import history_of
from tests.operations.conftest import Clock
from tests.reminders.opening import TYPES, opened

DAY = "2021-02-05"
MORNING = "2021-02-05T10:00:00-05:00"


BROKEN_OFF = "broken off"
"""As an answer: none, the connection ends."""


@dataclass
class Mailbox:
    """What the SMTP server took, and how it answers. `say` may give another answer to a recipient, or to a message
    (which is then not taken, unless it has been noted), or break the connection off."""

    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    on_recipient: Callable[[Session, str], str | None] = lambda session, address: None
    on_message: Callable[[Session, str], str | None] = lambda session, address: None
    port: int = 0
    noted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with every message."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        answer = self.on_recipient(session, address)
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        [recipient] = envelope.rcpt_tos
        answer = self.on_message(session, recipient)
        if answer == BROKEN_OFF:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        if answer is not None:
            return answer
        self.note(recipient, envelope)
        return "250 OK"

    def note(self, recipient: str, envelope: Envelope) -> None:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        self.taken.append((recipient, message))
        self.noted.set()

    async def fill(self, count: int) -> None:
        """Wait until it has taken so many."""
        while len(self.taken) < count:
            self.noted.clear()
            await self.noted.wait()

    @property
    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.taken]


@asynccontextmanager
async def smtp(mailbox: Mailbox, **options: Any) -> AsyncIterator[Mailbox]:
    """An SMTP server for this mailbox, on a port of its own."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mx.example", **options), "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await asyncio.sleep(0)


@pytest.fixture(scope="session")
async def listening() -> AsyncIterator[Mailbox]:
    async with smtp(Mailbox(), enable_SMTPUTF8=True) as running:
        yield running


@pytest.fixture
def mailbox(listening: Mailbox) -> Mailbox:
    """The mailbox, empty, of a server that takes everything."""
    fresh = Mailbox(port=listening.port)
    vars(listening).update(vars(fresh), taken=listening.taken)
    listening.taken.clear()
    return listening


@pytest.fixture(scope="session")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDatabase]:
    """A database process; each test has a database in it."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("embedded"))
    await database.start()
    yield database
    await database.stop()


@pytest.fixture(scope="session")
async def shared_context(database: EmbeddedDatabase, listening: Mailbox) -> AsyncIterator[tuple[Context, Clock]]:
    clock = Clock(0)
    clock.set(MORNING)
    async with opened(database.uri, "shared", clock, settings(listening)) as context:
        yield context, clock


@pytest.fixture
async def timed(shared_context: tuple[Context, Clock]) -> tuple[Context, Clock]:
    """A Context on a database without resources, in the morning of the day. (Emptied, not made anew: that takes a
    second.)"""
    context, clock = shared_context
    for kind in TYPES:
        for name in (kind, history_of(kind)):
            await context.store.database.collection(name).delete_many({})
    clock.set(MORNING)
    return context, clock


@pytest.fixture
async def sending(timed: tuple[Context, Clock]) -> AsyncIterator[Sending]:
    context, _ = timed
    post = Post(account(context.settings))
    yield Sending(context, post)
    await post.close()


def settings(mailbox: Mailbox, **more: Any) -> Settings:
    base = {
        "dev": True,
        "base_url": "https://vaccines.example/fhir",
        "smtp_host": "127.0.0.1",
        "smtp_port": mailbox.port,
    }
    base |= {"smtp_security": "none", "smtp_from": "reminders@vaccines.example"}
    return Settings.model_validate(base | more)


def patient(name: str, **more: Any) -> dict[str, Any]:
    """A person of 2021 who can be written to at `<name>@example.org`."""
    base: dict[str, Any] = {"resourceType": "Patient", "id": name, "birthDate": "1950-03-01"}
    base["telecom"] = [{"system": "email", "value": f"{name}@example.org"}]
    base["name"] = [{"given": ["Ana"], "family": "Peña"}]
    return base | more


def dose(name: str, day: str = "2021-01-15") -> dict[str, Any]:
    """Of Pfizer: the next one is due after 21 days."""
    return {
        "resourceType": "Immunization",
        "id": f"{name}-{day}",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": f"Patient/{name}"},
        "occurrenceDateTime": day,
    }


def due(*names: str, **more: Any) -> list[dict[str, Any]]:
    """People whose second dose is due on the day."""
    return [resource for name in names for resource in (patient(name, **more), dose(name))]


SPANISH = {"communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}]}


async def store(context: Context, *resources: dict[str, Any]) -> None:
    writes = [
        Update(each["resourceType"], each["id"], json.dump(each), index.entries(each, context.settings.base))
        for each in resources
    ]
    for start in range(0, len(writes), 100):
        await context.store.commit(SERVER, allow_all, writes[start : start + 100])
