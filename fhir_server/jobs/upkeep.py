"""Upkeep: what a worker looks after now and then: late relationships, and the seals of the access log.

https://hl7.org/fhir/R4/security.html
"""

import asyncio
import logging
from dataclasses import dataclass

from fhir_server.background import Background
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError

log = logging.getLogger("fhir_server.jobs")

EVERY_SECONDS = 15.0
SEALS_EVERY = 40
"""Rounds after which it is looked whether a day of the access log is to be sealed."""


@dataclass
class Upkeep:
    """This process's upkeep. `start` it once, `close` it before the store."""

    context: Context
    _round: int = 0

    def __post_init__(self) -> None:
        self._background = Background("upkeep", self._once)
        self.start, self.close = self._background.start, self._background.close

    async def _once(self) -> None:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await self.context.store.settle_relations()
            if self._round % SEALS_EVERY == 0:
                await self.context.store.seal_log()
            self._round += 1
        except FhirError as error:
            log.warning("upkeep waits for the database: %s", error.issues[0].detail)
