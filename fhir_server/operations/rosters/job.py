"""Job: an upload that outlives its request, window by window, each recorded before its people become members.

https://hl7.org/fhir/R4/async.html

A window's people are found or created, which can be repeated; then its rows are recorded; then its memberships are
written, which can be repeated, too. So a process that goes on where another died comes to the same answer.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from tempfile import TemporaryFile
from uuid import UUID

import msgspec

from fhir_server.access import audit
from fhir_server.access.audit import Interaction
from fhir_server.caller import Predicate
from fhir_server.context import Context
from fhir_server.operations.rosters import outcomes
from fhir_server.operations.rosters.lines import File, Line
from fhir_server.operations.rosters.members import Seat
from fhir_server.operations.rosters.opening import opened
from fhir_server.operations.rosters.placing import Placing, members_of
from fhir_server.operations.rosters.seats import Seats
from fhir_server.operations.rosters.upload import WINDOW, Upload
from fhir_server.store.held import Held
from fhir_server.store.jobs import Job

KIND = "roster-upload"


class _Given(msgspec.Struct):
    """What a job's document keeps of its request."""

    group: str
    owner: str
    today: date
    language: str
    replace: bool
    key: UUID
    media_type: str


class _Window(msgspec.Struct, tag=True):
    """A window of rows that was placed: counts by status, the memberships to be, and who stays (None: who knows)."""

    counts: dict[str, int]
    seats: list[Seat]
    staying: list[str] | None


class _Leavers(msgspec.Struct, tag=True):
    """All rows are placed; these members are not among them and leave."""

    patients: list[str]


_records = msgspec.msgpack.Decoder(_Window | _Leavers)


async def enqueue(upload: Upload, media_type: str, content: AsyncIterator[bytes]) -> Job:
    """Keep the file and the request. FhirError as of `store.jobs.enqueue`."""
    given = _Given(upload.group, upload.owner, upload.today, upload.language, upload.replace, upload.key, media_type)
    return await upload.context.store.jobs.enqueue(upload.caller, KIND, msgspec.to_builtins(given), content)


async def run(context: Context, predicate: Predicate, held: Held) -> None:
    """Do the whole upload, or what is left of it, and finish the job. FhirError as of opening and placing."""
    given = msgspec.convert(held.job.given, _Given)
    upload = Upload(
        *(context, held.job.caller, predicate, given.group, given.owner),
        *(given.today, given.language, given.replace, given.key),
    )
    with TemporaryFile(dir=context.settings.data) as content:
        async for piece in held.content():
            await asyncio.to_thread(content.write, piece)
        file, rows = await opened(content, given.media_type, upload)
        await _Course(upload, held, file, rows).run()


class _Course:
    """One process's course through a job."""

    def __init__(self, upload: Upload, held: Held, file: File, rows: int) -> None:
        self._upload = upload
        self._held = held
        self._file = file
        self._rows = rows
        self._counts: Counter[str] = Counter()
        self._staying: set[str] | None = set() if upload.replace else None
        self._last: _Window | None = None
        self._leavers: _Leavers | None = None

    async def run(self) -> None:
        done = 0
        async for record in self._held.records():
            done += 1
            self._recall(_records.decode(record))
        # Whether or not a step was recorded, people of the next one may have been stored.
        upload = self._upload if self._held.job.tries == 1 and not done else replace(self._upload, resumed=True)
        members = await members_of(upload)
        seats = Seats(upload, members, self._held.require)
        placing = Placing(upload, members)
        if self._last is not None:
            await seats.take(self._last.seats)
        windows = _windows(self._file.lines(upload.today))
        for number in range(-(-self._rows // WINDOW)):
            lines: list[Line] = await asyncio.to_thread(next, windows, [])
            if number >= done:
                await self._place(placing, seats, lines)
        await self._end(seats)

    async def _place(self, placing: Placing, seats: Seats, lines: Sequence[Line]) -> None:
        placed = await placing.place(lines)
        counts = Counter(outcome.status for outcome in placed.outcomes)
        staying = None if placed.staying is None or not self._upload.replace else list(placed.staying)
        window = _Window(dict(counts), list(placed.seats), staying)
        self._recall(window)
        await self._log(each.patient for each in placed.outcomes if each.patient)
        rows = outcomes.rows(placed.outcomes, self._upload.language)
        progress = f"{self._counts.total():,} of {self._rows:,} rows"
        await self._held.record(msgspec.msgpack.encode(window), rows, progress)
        await seats.take(window.seats)

    async def _log(self, patients: Iterable[str]) -> None:
        """Put into the access log that the roster's owner has met these (`Patient/1`), before that counts as done: what
        is told while the upload is asked for or polled is not all that happened."""
        context, group = self._upload.context, f"Group/{self._upload.group}"
        ids = {each.removeprefix("Patient/") for each in patients}
        if not context.settings.audited or not ids:
            return
        moment, query = context.clock(), f"POST /fhir/{group}/$roster-upload"
        happened = Interaction(self._upload.caller, "operation", "E", moment, 200, group, query)
        await context.store.trail.append(audit.notes(happened, sorted(ids), context.settings.base))

    def _recall(self, record: _Window | _Leavers) -> None:
        if isinstance(record, _Leavers):
            self._leavers = record
            return
        self._last = record
        self._counts.update(record.counts)
        if self._staying is not None:
            if record.staying is None:
                self._staying = None
            else:
                self._staying.update(record.staying)

    async def _end(self, seats: Seats) -> None:
        ended, notes = None, self._file.notes
        if self._upload.replace:
            if self._leavers is None:
                leaving = [] if self._staying is None else await seats.leavers(self._staying)
                self._leavers = _Leavers(leaving)
                await self._log(leaving)
                await self._held.record(msgspec.msgpack.encode(self._leavers), b"", "ending memberships")
            await seats.leave(self._leavers.patients)
            ended = len(self._leavers.patients)
            if self._staying is None:
                notes = (*notes, outcomes.LEAVERS_KEPT)
        head = outcomes.head(self._counts, notes, ended, self._upload.language)
        await self._held.finish(head, outcomes.TAIL, self._upload.context.settings.job_seconds)


def _windows(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while window := list(islice(lines, WINDOW)):
        yield window
