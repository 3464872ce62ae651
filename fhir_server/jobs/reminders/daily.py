"""Daily: one worker at a time sends the day's reminders from its hour on, and welcomes whoever registers.

https://hl7.org/fhir/R4/communication.html

What the next worker has to know is left with the turn: the last day that was gone through, and until when those who
registered were welcomed. A day is gone through again from its beginning by whoever follows one that was killed: the
records say what was sent.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from fhir_server.background import Background
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.jobs.reminders.account import account
from fhir_server.jobs.reminders.post import Post, UnavailableError
from fhir_server.jobs.reminders.sending import Sending
from fhir_server.jobs.runner import places
from fhir_server.store.turns import Turn

log = logging.getLogger("fhir_server.reminders")

EVERY_SECONDS = 20.0
LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 900.0
DAYS_BACK = 3
"""Days that were missed, while no server ran or none could send, and are made up for."""
OVERLAP_SECONDS = 60
"""Looked at again, for what was stored while the last look was going on."""
SECOND = 1_000_000


@dataclass
class Daily:
    """This process's part in it. `start` it once, `close` it before the store; without an SMTP host it does nothing."""

    context: Context
    _failures: int = 0
    _turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self._turn = Turn(self.context.store.database, "reminders", LEASE_SECONDS)
        self._background = Background("reminders", self._once)

    def start(self) -> None:
        """Begin, where an SMTP server is set."""
        if self.context.settings.smtp_host:
            self._background.start()

    async def close(self) -> None:
        """Stop, when the message that is being sent has been."""
        await self._background.close()
        if self.context.settings.smtp_host:
            # Interrupted right after taking it, the turn would be nobody's for a minute.
            with suppress(FhirError):
                await self._turn.pass_on()

    async def _once(self) -> None:
        await asyncio.sleep(min(EVERY_SECONDS * 2.0**self._failures, LONGEST_PAUSE_SECONDS))
        try:
            await self._round_or_nothing()
        except FhirError as error:
            log.warning("reminders wait for the database: %s", error.issues[0].detail)
        except UnavailableError as error:
            self._failures += 1
            log.warning("reminders wait for the SMTP server: %s", error)
        except Exception as error:  # the boundary: one fault of ours must not end the reminders of all days
            # A message may quote personal data: only the kind of failure and the places in our code are logged.
            self._failures += 1
            log.error("%s in reminders\n%s", type(error).__name__, places(error))
        else:
            self._failures = 0

    async def _round_or_nothing(self) -> None:
        """A round, where it is this process's turn."""
        if not await self._turn.take():
            return
        post = Post(account(self.context.settings))
        sending = Sending(self.context, post)
        keeping = asyncio.create_task(self._keep(), name="reminders' turn")
        try:
            await self._round(sending)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await post.close()
            told = {name: count for name, count in sending.counts.items() if name not in ("before", "call list")}
            if told:
                log.warning("reminders: %s", ", ".join(f"{count} {name}" for name, count in sorted(told.items())))
            await self._turn.pass_on()

    async def _round(self, sending: Sending) -> None:
        left = await self._turn.left()
        now = self.context.clock()
        await sending.doubts()
        await sending.again()
        # At the very first time nobody is welcomed who registered long ago.
        await sending.welcomes(int(left.get("seen", now)) - OVERLAP_SECONDS * SECOND, now)
        await self._turn.leave({"seen": now})
        for day in self._days(left.get("day")):
            await sending.day(day)
            await self._turn.leave({"day": day.isoformat()})

    def _days(self, last: str | None) -> list[date]:
        """The days to go through now, oldest first."""
        zone = ZoneInfo(self.context.settings.time_zone)
        now = datetime.fromtimestamp(self.context.clock() // SECOND, UTC).astimezone(zone)
        today = now.date() if now.hour >= self.context.settings.remind_hour else now.date() - timedelta(days=1)
        if last is None:
            return [today] if today == now.date() else []
        first = max(date.fromisoformat(last) + timedelta(days=1), today - timedelta(days=DAYS_BACK))
        return [first + timedelta(days=number) for number in range((today - first).days + 1)]

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._turn.take()
            except FhirError as error:
                # Others may begin now: the records keep them from sending anything twice.
                log.warning("the turn of reminders could not be kept: %s", error.issues[0].detail)
