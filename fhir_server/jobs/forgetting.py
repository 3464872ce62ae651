"""Forgetting: grants, sessions and counts that are long over are removed, by every worker now and then.

https://www.rfc-editor.org/rfc/rfc6819#section-5.1.5.3
"""

import asyncio
import logging

from fhir_server.background import Background
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError

_log = logging.getLogger(__name__)

EVERY_SECONDS = 600.0
KEPT_SECONDS = 86_400
"""Grants are kept for a day after their end: a code or refresh token shown again is then still known as one."""


def forgetting(context: Context) -> Background:
    """The loop of one worker."""

    async def once() -> None:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await forget(context)
        except FhirError as error:
            _log.warning("what is over was not removed: %s", error.issues[0].detail)

    return Background("forgetting", once)


async def forget(context: Context) -> None:
    """Remove what is over. FhirError 503."""
    now = context.clock() // 1_000_000
    await context.store.passing.purge(now)
    await context.store.grants.purge(now - KEPT_SECONDS)
