"""Sending: what is due becomes e-mail, each message once, whoever else sends and whenever one of them is killed.

https://hl7.org/fhir/R4/communication.html

A message is composed, announced to the SMTP server, recorded as about to be sent, ended, and recorded as sent. Killed
before the first record: it is sent by whoever goes on. Killed after: it is never sent again, and stands as `unknown`
once it is certain that nobody is still waiting for the server's word (docs/decisions/0031-reminders.md).
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.jobs.reminders import mail, record
from fhir_server.jobs.reminders.post import END_TIMEOUT, InDoubtError, Post, RefusedError
from fhir_server.jobs.reminders.record import About, Record, TakenError
from fhir_server.operations import people, reminders
from fhir_server.operations.reminders import Due

log = logging.getLogger("fhir_server.reminders")

Result = Literal["sent", "before", "refused", "put off", "in doubt", "over", "call list"]
"""Sent now, or dealt with before; refused for good; to be tried again; sent or not, nobody knows; no longer to be sent;
not for e-mail."""

FIRST_PAUSE_SECONDS = 300
LONGEST_PAUSE_SECONDS = 21_600
LAST_VERSION = 10
"""A message is given up once its record has that many versions: after about a day."""
DOUBT_SECONDS = END_TIMEOUT + 60
"""By then nobody waits for the server's word any more."""
RECORD_AGAIN_SECONDS = (1.0, 5.0, 15.0, 30.0)
STOP_SECONDS = 5.0
"""How long who is told to stop waits for the SMTP server's word, so that the message is in no doubt."""
SECOND = 1_000_000


@dataclass
class Sending:
    """Sends through one post. `counts` is what became of what was looked at."""

    context: Context
    post: Post
    counts: dict[Result, int] = field(default_factory=dict)

    async def day(self, day: date, advance: Callable[[int], None] = lambda people: None) -> None:
        """Send what falls due on that day; `advance` is told how many people have been looked at, page by page.

        UnavailableError where the SMTP server is; repeated, it goes on.
        """
        after: tuple[str | int, ...] | None = None
        while True:
            found, after = await reminders.page(self.context, SERVER, allow_all, day, after, people.PAGE)
            for each in found:
                await self.send(each)
            advance(people.PAGE)
            if after is None:
                return

    async def welcomes(self, since: int, until: int) -> None:
        """Welcome those who registered from `since` until before `until`, microseconds since 1970. Likewise."""
        async for each in reminders.welcomes(self.context, SERVER, allow_all, since, until):
            await self.send(each)

    async def again(self) -> None:
        """Try what was not taken before and whose time has come. Likewise."""
        async for standing in record.standing(self.context, "on-hold"):
            if standing.updated + pause(standing.version) * SECOND <= self.context.clock():
                await self._again(standing)

    async def doubts(self) -> None:
        """Give up waiting for word of what was being sent by processes that are gone."""
        async for standing in record.standing(self.context, "in-progress"):
            if standing.updated + DOUBT_SECONDS * SECOND < self.context.clock():
                await self._settle(standing, "unknown", "unknown")
                self._count("in doubt")

    async def send(self, due: Due) -> Result:
        """Send this, unless it was dealt with before. UnavailableError."""
        return self._count(await self._whole(due, await record.find(self.context, About.of(due))))

    async def _whole(self, due: Due, before: Record | None) -> Result:
        """Told to stop, end with a message, not within one."""
        sending = asyncio.create_task(self._send(due, before), name="e-mail")
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending}, timeout=STOP_SECONDS)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            raise

    async def _again(self, standing: Record) -> None:
        about, today = standing.about, self.context.today
        patients = await self.context.store.read_many(SERVER, allow_all, [_pair(about.patient)])
        day = today if about.occasion == "welcome" else about.day
        due = None
        if patients:
            due = await reminders.of_person(self.context, SERVER, allow_all, patients[0], about.occasion, day)
        if due is None or due.reminder.channel != "email":
            await self._settle(standing, "stopped", "patient-objection")
            self._count("over")
            return
        self._count(await self._whole(due, standing))

    async def _send(self, due: Due, before: Record | None) -> Result:
        context, reminder = self.context, due.reminder
        if reminder.channel != "email" or reminder.address is None:
            return "call list"
        if before is not None and (
            before.status != "on-hold" or before.updated + pause(before.version) * SECOND > context.clock()
        ):
            return "before"
        if reminders.over(due, context.today):
            if before is not None:
                await self._settle(before, "stopped", "patient-objection")
            return "over"
        intended: list[Record] = []

        async def intend() -> None:
            intended.append(await record.intend(context, due, before))

        try:
            message = mail.compose(
                reminder.occasion,
                reminder.language,
                reminders.text(reminder),
                to=(mail.name_of(due.record.patient), reminder.address),
                sender=(context.settings.portal_name, context.settings.smtp_from),
                page=f"{context.settings.origin}/me",
                id=About.of(due).id,
                at=context.clock(),
            )
            utf8 = mail.needs_utf8(reminder.address)
            await self.post.hand_over(mail.on_the_wire(message), reminder.address, intend, utf8=utf8)
        except mail.UnusableAddressError:
            return await self._refused(due, before, intended, lasting=True)
        except RefusedError as refusal:
            log.warning("an e-mail was refused with %d", refusal.code)
            return await self._refused(due, before, intended, lasting=refusal.lasting)
        except InDoubtError:
            await self._settle(intended[-1], "unknown", "unknown")
            return "in doubt"
        except TakenError:
            return "before"
        await self._sent(intended[-1])
        return "sent"

    async def _sent(self, intended: Record) -> None:
        """Record that the server has it, and wait for a database that is away: a doubt would stay for good."""
        for seconds in (*RECORD_AGAIN_SECONDS, 0.0):
            try:
                await self._settle(intended, "completed", None)
            except FhirError as error:
                if error.status != 503 or not seconds:
                    raise
                await asyncio.sleep(seconds)
            else:
                return

    async def _refused(self, due: Due, before: Record | None, intended: list[Record], *, lasting: bool) -> Result:
        known = intended[-1] if intended else before
        given_up = known is not None and known.version >= LAST_VERSION
        with suppress(TakenError):
            if lasting:
                await record.refused(self.context, due, known, "recipient-unavailable")
            elif given_up:
                await record.refused(self.context, due, known, "system-error")
            else:
                await record.put_off(self.context, due, known)
        return "refused" if lasting or given_up else "put off"

    async def _settle(self, standing: Record, status: record.Status, reason: record.Reason | None) -> None:
        with suppress(TakenError):
            await record.settle(self.context, standing, status, reason)

    def _count(self, result: Result) -> Result:
        self.counts[result] = self.counts.get(result, 0) + 1
        return result


def pause(version: int) -> int:
    """Seconds after which a message that was not taken is tried again, by the versions its record has."""
    return int(min(FIRST_PAUSE_SECONDS * 2.0 ** (version - 1), LONGEST_PAUSE_SECONDS))


def bounds(day: date, time_zone: str) -> tuple[int, int]:
    """When a calendar day begins and ends in that time zone (IANA name), microseconds since 1970."""
    zone = ZoneInfo(time_zone)
    begins = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    ends = datetime(following.year, following.month, following.day, tzinfo=zone)
    return int(begins.astimezone(UTC).timestamp()) * SECOND, int(ends.astimezone(UTC).timestamp()) * SECOND


def _pair(reference: str) -> tuple[str, str]:
    kind, _, id = reference.partition("/")
    return kind, id
