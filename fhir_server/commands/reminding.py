"""Reminding: the work behind `fhir-server remind`: what would be sent on a day, or sending it now.

https://hl7.org/fhir/R4/communication.html
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date

from fhir_server.administering import opened
from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context, Settings
from fhir_server.fhir.condition import EVERYTHING
from fhir_server.jobs.reminders import record
from fhir_server.jobs.reminders.account import account
from fhir_server.jobs.reminders.post import Post
from fhir_server.jobs.reminders.sending import Result, Sending, bounds
from fhir_server.operations import people, reminders
from fhir_server.operations.reminders import Due

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
    """Send what falls due on that day, and what is to be tried again by now; how many messages came to what.

    UnavailableError where no SMTP server is set, or it cannot be used; else as of `administering.opened`.
    """
    post = Post(account(settings))
    async with opened(settings) as context:
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
