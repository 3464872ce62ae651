"""The day's call list: made by looking at everybody once, and kept up with whatever changes afterwards.

https://hl7.org/fhir/R4/list.html

Both may be done again at any time: who is on the list is decided on once more when it is read. Who has lost the turn
stops, so that what they knew does not take the place of what others know by then.
"""

import asyncio
import time
from collections.abc import Sequence

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir.condition import All, Ids
from fhir_server.operations import people, policies, reminders
from fhir_server.store.call_list import Standing
from fhir_server.store.records import Selection
from fhir_server.store.turns import Turn

AT_ONCE = 100
"""People looked at before others get their turn of the process."""
AS_OF_SECONDS = 30
"""While nothing changes the list is said to be that old at most."""
CHANGES = 1_000
"""Changes of the feed that are looked at together: whoever has several is looked at once."""
_TYPES = ("Patient", *(kind for kind, _ in people.ABOUT))


async def is_current(context: Context) -> bool:
    """Whether nothing has changed since the list was kept up, a short while ago."""
    standing = await context.store.call_list.standing()
    if standing is None or standing.day != context.today:
        return False
    is_recent = context.clock() - standing.as_of < AS_OF_SECONDS * 1_000_000
    return is_recent and await context.store.call_list.reached() == standing.number


async def update(context: Context, turn: Turn, rest: float = 1.0) -> None:
    """Make the list of today where it does not stand, else look at those about whom something has changed. `rest` is
    how long to pause after each part of the work, in its durations; the turn is kept meanwhile. FhirError 503."""
    standing = await context.store.call_list.standing()
    if standing is None or standing.day != context.today:
        standing = await _make(context, turn, rest)
    while standing is not None:
        standing = await _kept_up(context, turn, standing, rest)


async def _make(context: Context, turn: Turn, rest: float) -> Standing | None:
    """Go through everybody; None where the turn is lost. What changes meanwhile is behind the number of the feed that
    was the last before."""
    day, kept = context.today, context.store.call_list
    # What is written now takes the place of what is on the list of another day.
    await turn.leave({"day": ""})
    standing = Standing(day, context.clock(), await kept.reached())
    after: tuple[str | int, ...] | None = None
    while True:
        began = time.monotonic()
        found, after = await reminders.page(context, SERVER, allow_all, day, after, AT_ONCE, "call-list")
        if not await turn.take():
            return None
        await kept.put(day, [_id(each) for each in found], standing.number)
        if after is None:
            break
        await asyncio.sleep(rest * (time.monotonic() - began))
    await kept.clear(day, standing.number)
    await _leave(turn, standing)
    return standing


async def _kept_up(context: Context, turn: Turn, standing: Standing, rest: float) -> Standing | None:
    """Look at those about whom the next changes are; None where that were all by now, or the turn is lost. What comes
    meanwhile waits, so that on a busy server many are looked at together. Where one is of a phase, everybody is."""
    kept, now = context.store.call_list, context.clock()
    changes = await kept.changes(standing.number, _TYPES, CHANGES)
    if await _has_phase(context, changes.groups):
        return await _make(context, turn, rest)
    for start in range(0, len(changes.patients), AT_ONCE):
        began = time.monotonic()
        asked = changes.patients[start : start + AT_ONCE]
        found = await reminders.of_people(context, SERVER, allow_all, asked, standing.day, "call-list")
        due = [_id(each) for each in found]
        if not await turn.take():
            return None
        await kept.put(standing.day, due, changes.number)
        await kept.strike(sorted(set(asked) - set(due)))
        await asyncio.sleep(rest * (time.monotonic() - began))
    were_all = changes.number - standing.number < CHANGES
    following = Standing(standing.day, now if were_all else standing.as_of, changes.number)
    await _leave(turn, following)
    return None if were_all else following


async def _has_phase(context: Context, groups: Sequence[str]) -> bool:
    """Whether any of these Groups is a phase: what it says may be about anybody."""
    if not groups:
        return False
    asked = Selection("Group", All((Ids(tuple(groups)), policies.PHASES)), limit=1)
    return bool((await context.store.search(SERVER, allow_all, asked)).rows)


async def _leave(turn: Turn, standing: Standing) -> None:
    await turn.leave({"day": standing.day.isoformat(), "as_of": standing.as_of, "number": standing.number})


def _id(due: reminders.Due) -> str:
    return due.patient.removeprefix("Patient/")
