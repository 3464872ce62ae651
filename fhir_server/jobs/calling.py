"""Calling: one worker at a time makes the call list of the day, and keeps it up with what changes.

https://hl7.org/fhir/R4/list.html

Beside the reminders and not a part of them: clinics call before the hour of the e-mails, where no SMTP server is set,
and while one is away (docs/decisions/0036-call-list.md).
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from fhir_server.background import Background
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.jobs.runner import places
from fhir_server.operations import call_list

log = logging.getLogger("fhir_server.jobs")

EVERY_SECONDS = 5.0
LEASE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 600.0
"""After faults of ours, which the next round is likely to meet again."""


@dataclass
class Calling:
    """This process's part in it. `start` it once, `close` it before the store."""

    context: Context
    _failures: int = 0

    def __post_init__(self) -> None:
        self._turn = self.context.store.call_list.turn(LEASE_SECONDS)
        self._background = Background("call list", self._once)
        self.start = self._background.start

    async def close(self) -> None:
        """Stop; whoever has the turn next goes on, or begins again."""
        await self._background.close()
        # Interrupted right after taking it, the turn would be nobody's for a minute.
        with suppress(FhirError):
            await self._turn.pass_on()

    async def round(self, rest: float = 1.0) -> None:
        """Bring the list up to date, where it is this process's turn. FhirError 503."""
        if await call_list.is_current(self.context) or not await self._turn.take():
            return
        try:
            await call_list.update(self.context, self._turn, rest)
        finally:
            await self._turn.pass_on()

    async def _once(self) -> None:
        await asyncio.sleep(min(EVERY_SECONDS * 2.0**self._failures, LONGEST_PAUSE_SECONDS))
        try:
            await self.round()
        except FhirError as error:
            log.warning("the call list waits for the database: %s", error.issues[0].detail)
        except Exception as error:  # the boundary: one fault of ours must not end the lists of all days
            self._failures += 1
            # A message may quote personal data: only the kind of failure and the places in our code are logged.
            log.error("%s in the call list\n%s", type(error).__name__, places(error))
        else:
            self._failures = 0
