"""Runner: takes jobs that are due, one at a time, and keeps hold of them while they run.

https://hl7.org/fhir/R4/async.html

Every worker process has one. A job whose process died falls due when its lease ends and is gone on with by any other.
"""

import asyncio
import logging
import secrets
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from fhir_server.background import Background
from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, operation_outcome, refuse
from fhir_server.jobs.catalogue import KINDS, Handler
from fhir_server.store.held import Held, LostJob, take

log = logging.getLogger("fhir_server.jobs")

LEASE_SECONDS = 5.0
RENEW_SECONDS = 1.5
POLL_SECONDS = 1.0
"""How soon jobs opened or left by other processes are seen; those of this one wake the runner."""
MOST_TRIES = 10
"""Times a job is begun, or gone on with, without a step being done, before it is given up."""
LONGEST_PAUSE_SECONDS = 60.0

_PASSING = frozenset({409, 503})
"""Contention, and a database that is away: to be tried again."""


@dataclass
class Runner:
    """This process's runner. `permitted` gives what a caller may see now, which may be less than when they asked."""

    context: Context
    permitted: Callable[[Caller], Predicate]
    kinds: Mapping[str, Handler] = field(default_factory=lambda: KINDS)
    _name: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self._background = Background("jobs", self._once)

    def start(self) -> None:
        """Begin to run jobs in the background."""
        self._background.start()

    async def close(self) -> None:
        """Stop, and leave the job that is running to others at once."""
        await self._background.close()

    async def _once(self) -> None:
        """Run the job that is due, or wait for one."""
        jobs = self.context.store.jobs
        try:
            jobs.woken.clear()
            held = await take(jobs, self._name, LEASE_SECONDS)
            if held is not None:
                await self._hold(held)
                return
        except FhirError as error:
            log.warning("jobs wait for the database: %s", error.issues[0].detail)
        except LostJob:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await jobs.woken.wait()

    async def _hold(self, held: Held) -> None:
        """Run the job while it is held. LostJob where it went to another process or was removed."""
        working = asyncio.create_task(self._work(held), name="job")
        keeping = asyncio.create_task(self._keep(held), name="lease")
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _stopped(working, keeping)
            # The job may have ended while we were told to stop, or the database may be gone: the lease ends by itself.
            with suppress(LostJob, FhirError):
                await held.give_back(0)
            raise
        ended = working.done()
        await _stopped(working, keeping)
        await (working if ended else keeping)

    async def _work(self, held: Held) -> None:
        job, keep = held.job, self.context.settings.job_seconds
        handler = self.kinds.get(job.kind)
        try:
            if job.tries > MOST_TRIES:
                log.error("job of kind %s given up after %d tries", job.kind, MOST_TRIES)
                raise refuse(500, "exception", "job-given-up", "The server tried this several times and gave up.")
            if handler is None:
                # Another version of this server, beside or after this one, may know it.
                return await held.give_back(_pause(job.tries))
            await handler(self.context, self.permitted(job.caller), held)
        except FhirError as error:
            if error.status in _PASSING:
                await held.give_back(_pause(job.tries))
            else:
                await held.fail(error.status, json.dump(operation_outcome(error.issues)), keep)
        except LostJob:
            raise
        except Exception as error:  # the boundary: a job that fails by a fault of ours must not end the runner
            # A message may quote personal data: only the kind of failure and the places in our code are logged.
            log.error("%s in a job of kind %s\n%s", type(error).__name__, job.kind, places(error))
            told = refuse(500, "exception", "internal", "The server failed; the failure has been logged.")
            await held.fail(500, json.dump(operation_outcome(told.issues)), keep)

    async def _keep(self, held: Held) -> None:
        """Renew the lease until it is lost."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await held.renew()
            except FhirError as error:
                # The next attempt is still in time; if it is not, the comparison at the next step tells.
                log.warning("a job's lease could not be renewed: %s", error.issues[0].detail)


def _pause(tries: int) -> float:
    return min(2.0**tries, LONGEST_PAUSE_SECONDS)


def places(error: BaseException) -> str:
    """Where a failure came about, a line for each place, without its message."""
    return "".join(f"  {at.filename}:{at.lineno} {at.name}\n" for at in traceback.extract_tb(error.__traceback__))


async def _stopped(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
