"""Reminding: the work behind `fhir-server remind`: what would be sent on a day, or sending it now.

https://hl7.org/fhir/R4/communication.html
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fhir_server.administering import opened
from fhir_server.caller import SERVER, allow_all
from fhir_server.commands.terminal import DataFolder, command, fail, out, progress, settings_of
from fhir_server.context import Context
from fhir_server.fhir.condition import EVERYTHING
from fhir_server.fhir.outcome import FhirError
from fhir_server.jobs.calling import Calling
from fhir_server.jobs.reminders import record
from fhir_server.jobs.reminders.account import account
from fhir_server.jobs.reminders.post import Post, UnavailableError
from fhir_server.jobs.reminders.sending import Result, Sending, bounds
from fhir_server.operations import people, reminders
from fhir_server.operations.reminders import Due
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedError
from fhir_server.store.schema import SchemaError
from smart_health_cards import CardError

Advance = Callable[[int, int], None]
"""Told how many people have been looked at, of how many."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message that falls due: reference of the person, occasion, language, address (shortened), and what stands in
    its way, if anything: a `call list`, that it is `over`, or what became of it `before`."""

    patient: str
    occasion: str
    language: str
    address: str
    standing: str


async def preview(settings: Settings, day: date | None, advance: Advance) -> list[Line]:
    """What would be sent on that day (absent: today in the jurisdiction). Errors as of `administering.opened`."""
    async with opened(settings) as context:
        day = day or context.today
        lines: list[Line] = []
        since, until = bounds(day, settings.time_zone)
        lines += [
            await _line(context, each) async for each in reminders.welcomes(context, SERVER, allow_all, since, until)
        ]
        async for found in _pages(context, day, advance):
            lines += [await _line(context, each) for each in found]
        return lines


async def send(settings: Settings, day: date | None, advance: Advance) -> Mapping[Result, int]:
    """Send what falls due on that day, and what is to be tried again by now; how many messages came to what. Today's
    call list is brought up to date as well.

    UnavailableError where no SMTP server is set, or it cannot be used; else as of `administering.opened`.
    """
    post = Post(account(settings))
    async with opened(settings) as context:
        # Needs no SMTP server that answers.
        await Calling(context).round(rest=0)
        await post.check()
        sending = Sending(context, post)
        day = day or context.today
        total = await context.store.count(SERVER, allow_all, "Patient", EVERYTHING)
        seen = 0

        def looked_at(people: int) -> None:
            nonlocal seen
            seen = min(seen + people, total)
            advance(seen, total)

        try:
            await sending.doubts()
            await sending.again()
            await sending.welcomes(*bounds(day, settings.time_zone))
            await sending.day(day, looked_at)
        finally:
            await post.close()
        return sending.counts


async def _pages(context: Context, day: date, advance: Advance) -> AsyncIterator[list[Due]]:
    total = await context.store.count(SERVER, allow_all, "Patient", EVERYTHING)
    after: tuple[str | int, ...] | None = None
    seen = 0
    while True:
        found, after = await reminders.page(context, SERVER, allow_all, day, after, people.PAGE)
        seen = min(seen + people.PAGE, total)
        advance(seen, total)
        yield found
        if after is None:
            return


async def _line(context: Context, due: Due) -> Line:
    reminder = due.reminder
    if reminder.channel != "email":
        standing = "call list"
    else:
        before = await record.find(context, record.About.of(due))
        standing = "" if before is None else f"before: {before.status}"
        if reminders.over(due, context.today):
            standing = "over"
    address = "" if reminder.address is None or reminder.channel != "email" else _shortened(reminder.address)
    return Line(due.patient, reminder.occasion, reminder.language, address, standing)


def _shortened(address: str) -> str:
    """Enough to know it again, too little to write to: what a terminal shows may be kept."""
    user, _, host = address.rpartition("@")
    return f"{user[:1]}…@{host}"


app = command()


@app.command()
def remind(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")] = False,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day whose reminders are meant. [default: today, there]"),
    ] = None,
    data: DataFolder = Path("data"),
) -> None:
    """Send the reminders of a day by e-mail now, each once; a server with an SMTP host does so every day by itself.

    It works beside a running server or without one, and may be stopped, killed and repeated at any time.
    """
    settings = settings_of(data=data)
    with progress() as bar:
        task = bar.add_task("Looking" if dry_run else "Sending", total=None)

        def advance(seen: int, total: int) -> None:
            bar.update(task, completed=seen, total=total)

        wanted = None if day is None else day.date()
        try:
            if dry_run:
                lines = asyncio.run(preview(settings, wanted, advance))
            else:
                counts = asyncio.run(send(settings, wanted, advance))
        except (EmbeddedError, SchemaError, FhirError, CardError, UnavailableError, OSError, ValueError) as error:
            fail(str(error))
    if dry_run:
        table = Table("Person", "Occasion", "Language", "To", "")
        for line in lines:
            table.add_row(line.patient, line.occasion, line.language, escape(line.address), line.standing)
        out.print(table)
        out.print(f"{sum(not line.standing for line in lines):,} to send", highlight=False)
        return
    out.print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "Nothing is due.")
