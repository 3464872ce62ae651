"""$roster-upload: the people of a file become members of a roster Group.

https://hl7.org/fhir/R4/group.html

Order: open the file and count its rows -> find or create their people -> the Group, compared and set. A crash in
between leaves people without membership; the same file sent again finds them. Files of many rows become a job.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import Any
from uuid import uuid4

from fhir_server.fhir import json, references
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions import jobs
from fhir_server.interactions.reply import Reply
from fhir_server.operations.registry import Call
from fhir_server.operations.rosters import job, outcomes
from fhir_server.operations.rosters.lines import CSV, NDJSON, File
from fhir_server.operations.rosters.members import Seat
from fhir_server.operations.rosters.opening import opened
from fhir_server.operations.rosters.outcomes import Outcome
from fhir_server.operations.rosters.placing import Placing, members_of
from fhir_server.operations.rosters.seats import Seats
from fhir_server.operations.rosters.upload import WINDOW, Upload
from fhir_server.store.records import Stored

Resource = dict[str, Any]

MEDIA_TYPES = CSV | NDJSON

AT_ONCE_ROWS = 5_000
AT_ONCE_BYTES = 20_000_000
"""What is answered at once; a file of more rows or bytes becomes a job. (5,000 rows of CSV, each cell of the greatest
length, are as many bytes.)"""


async def upload(call: Call) -> Reply:
    """200 with `summary` and a `row` for every line; 202 with the address to poll for a file too long for that, or
    where `Prefer: respond-async` asks for it.

    FhirError 400 for a file that is no roster, 404 or 410 for the Group, 413 past the rows of a file or the members of
    a roster, 415 for another media type, 422 where the Group is no roster.
    """
    if call.media_type not in MEDIA_TYPES or call.body is None:
        text = "A roster is sent as text/csv or application/fhir+ndjson."
        raise refuse(415, "not-supported", "unsupported-content-type", text, "Content-Type")
    asked = await _asked(call)
    start, ended = await _start(call.body)
    if ended:
        file, rows = await opened(BytesIO(b"".join(start)), call.media_type, asked)
        if rows <= AT_ONCE_ROWS and "respond-async" not in (call.prefer or {}):
            return await _at_once(asked, file)
    return jobs.accepted(call.context, await job.enqueue(asked, call.media_type, _chained(start, call.body)))


async def _asked(call: Call) -> Upload:
    stored = await call.context.store.read(call.caller, call.predicate, "Group", call.id or "")
    owner = _owner(_roster(stored), stored, call.context.settings.base)
    whole = call.arguments.one("replace") is True
    return Upload(
        call.context, call.caller, call.predicate, stored.id, owner, call.context.today, call.language, whole, uuid4()
    )


async def _at_once(asked: Upload, file: File) -> Reply:
    members = await members_of(asked)
    placing, seats = Placing(asked, members), Seats(asked, members)
    told: list[Outcome] = []
    taken: list[Seat] = []
    staying: set[str] | None = set()
    lines = list(file.lines(asked.today))
    for start in range(0, len(lines), WINDOW):
        placed = await placing.place(lines[start : start + WINDOW])
        told += placed.outcomes
        taken += placed.seats
        staying = None if staying is None or placed.staying is None else staying.union(placed.staying)
    await seats.take(taken)
    ended, notes = None, file.notes
    if asked.replace:
        leaving = [] if staying is None else await seats.leavers(staying)
        await seats.leave(leaving)
        ended = len(leaving)
        if staying is None:
            notes = (*notes, outcomes.LEAVERS_KEPT)
    head = outcomes.head(Counter(each.status for each in told), notes, ended, asked.language)
    body = head + outcomes.rows(told, asked.language) + outcomes.TAIL
    return Reply(200, body, headers=(("cache-control", "no-store"),))


async def _start(body: AsyncIterator[bytes]) -> tuple[list[bytes], bool]:
    """The first chunks of the body, and whether they are all of it."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in body:
        chunks.append(chunk)
        size += len(chunk)
        if size > AT_ONCE_BYTES:
            return chunks, False
    return chunks, True


async def _chained(start: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in start:
        yield chunk
    async for chunk in rest:
        yield chunk


def _roster(stored: Stored) -> Resource:
    group = json.parse(stored.raw or b"{}")
    if group.get("actual") is not True or group.get("type") != "person":
        text = f"Group/{stored.id} is no roster: that is a Group with actual true and type person."
        raise refuse(422, "business-rule", "not-a-roster", text, "Group.actual")
    if group.get("active") is False:
        text = f"Group/{stored.id} is no longer in use (active is false)."
        raise refuse(422, "business-rule", "roster-not-active", text, "Group.active")
    return group


def _owner(group: Resource, stored: Stored, base: str) -> str:
    """Who gives the row_ids: the managing organization; without one they hold within the Group."""
    manager = references.local(group.get("managingEntity", {}).get("reference", ""), base)
    return str(manager) if manager is not None and manager.type == "Organization" else f"Group/{stored.id}"
