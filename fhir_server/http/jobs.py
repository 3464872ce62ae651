"""Jobs' routes: the polling address of an asynchronous request.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.http.exchange import Exchange
from fhir_server.http.wire import Endpoint
from fhir_server.interactions import jobs
from fhir_server.interactions.reply import Reply

HASTY_SECONDS = 0.5
"""Polls of an unfinished job that follow each other faster are hasty."""
HASTY_POLLS = 10
"""So many hasty polls in a row are answered."""

_REMEMBERED = 1_000


def job_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`GET` tells how far a job is, or its answer; `DELETE` ends it."""
    patience = Patience()

    async def poll(exchange: Exchange) -> Reply:
        exchange.require_no_parameters()
        job = await jobs.find(exchange.context, exchange.caller, exchange.path["job"])
        if job.state == "open":
            patience.require(job.id)
        return await jobs.status(exchange.context, exchange.caller, job)

    async def remove(exchange: Exchange) -> Reply:
        exchange.require_no_parameters()
        return await jobs.remove(exchange.context, exchange.caller, exchange.path["job"])

    return [Route(f"/fhir/{jobs.PATH}/{{job}}", Endpoint(context, {"GET": poll, "DELETE": remove}))]


class Patience:
    """Who polls too fast, as far as this process can tell. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._polls: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def require(self, job_id: str) -> None:
        """FhirError 429 from the poll on that is one too many in a row."""
        now = self._clock()
        last, hasty = self._polls.pop(job_id, (0.0, 0))
        hasty = hasty + 1 if now - last < HASTY_SECONDS else 0
        self._polls[job_id] = (now, hasty)
        while len(self._polls) > _REMEMBERED:
            self._polls.popitem(last=False)
        if hasty > HASTY_POLLS:
            text = "Do not ask more often than Retry-After says."
            raise FhirError(429, [Issue("throttled", "hasty-polling", text)], {"Retry-After": "1"})
