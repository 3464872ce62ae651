"""Again: a read-modify-write that starts afresh while others are faster.

https://hl7.org/fhir/R4/http.html#concurrency
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.failures import contended

ATTEMPTS = 50
"""Times a request without If-Match looks again after another one changed what it had found."""

_PAUSE = 0.002
"""Seconds; the longest pause grows by it with every attempt, up to ten times."""

Done = TypeVar("Done")


async def again(attempt: Callable[[], Awaitable[Done | None]], *, stale_too: bool) -> Done:
    """What `attempt` returns, once it neither meets a stale version nor returns None. FhirError 409 after 50 times.

    Without `stale_too` a stale version is raised at once: the client itself named the one it expects.
    """
    for number in range(ATTEMPTS):
        try:
            done = await attempt()
        except FhirError as error:
            if not stale_too or not is_stale(error):
                raise
        else:
            if done is not None:
                return done
        # Random, so that those who collided do not collide again.
        await asyncio.sleep(random.uniform(0, _PAUSE * min(number + 1, 10)))  # noqa: S311 - nothing secret
    raise contended()


def is_stale(error: FhirError) -> bool:
    """Whether a write was refused because the resource has another version by now."""
    return error.status == 412 and any(issue.detail == "stale-version" for issue in error.issues)
