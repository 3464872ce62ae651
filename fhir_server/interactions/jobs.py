"""Jobs as their callers see them: accepted, polled, fetched, removed.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request
"""

from datetime import UTC, datetime
from email.utils import format_datetime

from fhir_server.caller import Caller
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.interactions.reply import Reply
from fhir_server.store.jobs import Job

PATH = "_jobs"
"""Segment of the polling addresses, `<base>/_jobs/<id>`."""
WHOLE = 4_000_000
"""An answer of up to so many bytes is sent at once, in any format; a larger one as a stream, only as JSON."""

_LONGEST_PAUSE = 10
"""Seconds between polls asked of a client whose job takes long."""
_PRIVATE = (("cache-control", "no-store"),)


def accepted(context: Context, job: Job) -> Reply:
    """202 with the address to poll."""
    text = "The request is being worked on. Ask at the address in Content-Location how far it is."
    body = json.dump(operation_outcome([Issue("informational", "accepted", text, (), "information")]))
    location = ("content-location", f"{context.settings.base}/{PATH}/{job.id}")
    return Reply(202, body, headers=(location, ("retry-after", "1"), *_PRIVATE))


async def find(context: Context, caller: Caller, job_id: str) -> Job:
    """The caller's own job. FhirError 404 for any other."""
    return await context.store.jobs.find(caller, job_id)


async def status(context: Context, caller: Caller, job: Job) -> Reply:
    """202 with X-Progress and Retry-After while it is waiting or running; the answer, with Expires; or why there is
    none, with that failure's own status."""
    if job.state == "open":
        seconds = (context.clock() - (job.began or job.made)) // 1_000_000
        pause = str(max(1, min(_LONGEST_PAUSE, seconds // 5)))
        progress = job.progress or ("started" if job.began else "waiting")
        return Reply(202, headers=(("x-progress", progress), ("retry-after", pause), *_PRIVATE))
    expires = format_datetime(datetime.fromtimestamp(job.due // 1_000_000, UTC), usegmt=True)
    headers = (("expires", expires), *_PRIVATE)
    if job.state == "failed":
        code, outcome = job.outcome
        return Reply(code, outcome, headers=headers)
    stream = context.store.jobs.answer(caller, job.id)
    if job.size <= WHOLE:
        return Reply(200, b"".join([piece async for piece in stream]), headers=headers)
    return Reply(200, headers=(*headers, ("content-length", str(job.size))), stream=stream)


async def remove(context: Context, caller: Caller, job_id: str) -> Reply:
    """202: the job is stopped and forgotten. FhirError 404 for any other than the caller's own."""
    await context.store.jobs.remove(caller, job_id)
    return Reply(202)
