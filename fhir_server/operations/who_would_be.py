"""$who-would-be: how many people would be eligible if a phase were open on a day, by county, age and race.

https://hl7.org/fhir/R4/group.html

Everybody on record is looked at, a page at a time; only counts leave, and no small ones. Above some thousand people the
answer is a job's.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from fhir_server.caller import SERVER, Caller, Predicate, allow_all
from fhir_server.context import Context
from fhir_server.domain import planning
from fhir_server.domain.demographics import RACES
from fhir_server.domain.phases import Group
from fhir_server.domain.planning import Tally
from fhir_server.fhir import json
from fhir_server.fhir.condition import EVERYTHING
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions import jobs
from fhir_server.interactions.reply import Reply
from fhir_server.operations import facts, forecasts, people, phases, policies, vocabulary
from fhir_server.operations.registry import Call
from fhir_server.operations.who_would_be_answer import SEVERAL, Question, answer
from fhir_server.store.held import Held

KIND = "who-would-be"

AT_ONCE = 2_000
"""People who are counted while the caller waits."""

_PAGES_A_STEP = 10

_RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"


class _Window(msgspec.Struct):
    """A step of the job: what was counted up to here, and where to go on."""

    total: dict[str, int]
    rows: dict[str, dict[str, dict[str, int]]]
    after: tuple[str | int, ...]


async def count(call: Call) -> Reply:
    """200 with the counts; 202 with the address to poll where there are many people, or `Prefer: respond-async`.

    FhirError 404 or 410 for the Group, 422 where it is no phase. Planners learn numbers of people whom they may not
    see.
    """
    context, arguments = call.context, call.arguments
    as_of = arguments.date("asOf") or context.today
    question = Question(call.id or "", as_of, arguments.one("whole") is not False, call.language)
    groups = await _groups(context, call.caller, call.predicate, question)
    registered = await context.store.count(SERVER, allow_all, "Patient", EVERYTHING)
    if registered > AT_ONCE or "respond-async" in (call.prefer or {}):
        job = await context.store.jobs.enqueue(call.caller, KIND, msgspec.to_builtins(question))
        return jobs.accepted(context, job)
    tally = Tally()
    after: tuple[str | int, ...] | None = None
    while True:
        after = await _page(context, tally, groups, as_of, after)
        if after is None:
            body = answer(question, groups, tally, context.settings.small_cell)
            return Reply(200, body, headers=(("cache-control", "no-store"),))


async def run(context: Context, predicate: Predicate, held: Held) -> None:
    """Count as a job, page by page, each recorded, and finish it. FhirError as of `count`."""
    question = msgspec.convert(held.job.given, Question)
    groups = await _groups(context, held.job.caller, predicate, question)
    last: _Window | None = None
    async for record in held.records():
        last = msgspec.msgpack.decode(record, type=_Window)
    tally = Tally() if last is None else Tally(last.total, last.rows)
    after: tuple[str | int, ...] | None = None if last is None else last.after
    pages = 0
    while True:
        after = await _page(context, tally, groups, question.as_of, after)
        if after is None:
            break
        pages += 1
        if pages % _PAGES_A_STEP == 0:
            window = _Window(tally.total, tally.rows, after)
            # How many people there are is a count of its own; the progress tells it only roughly.
            thousands = tally.total["registered"] // 1_000
            progress = f"some {thousands},000 people" if thousands else "begun"
            await held.record(msgspec.msgpack.encode(window), b"", progress)
    await held.finish(answer(question, groups, tally, context.settings.small_cell), b"", context.settings.job_seconds)


async def _groups(
    context: Context, caller: Caller, predicate: Predicate, question: Question
) -> tuple[Group, Sequence[Group]]:
    """The Group asked about (also one not in use yet), and all of its phase that count."""
    stored = await context.store.read(caller, predicate, "Group", question.group)
    resource = json.parse(stored.raw or b"{}")
    kind = vocabulary.own_code(resource.get("code", {}), vocabulary.GROUP_KIND)
    try:
        if resource.get("actual") is not False or kind != "eligibility-phase":
            raise ValueError("its code is not eligibility-phase, or it is not definitional (actual false)")
        asked = phases.read(resource, f"Group/{stored.id}/_history/{stored.version}")
    except ValueError as problem:
        text = f"Group/{stored.id} is no phase of a vaccination policy: {problem}."
        raise refuse(422, "business-rule", "not-a-phase", text, "Group") from None
    if not question.whole:
        return asked, (asked,)
    known, _ = await policies.every(context, question.as_of)
    beside = [
        group
        for group in known
        if (group.phase, group.policy.identifier) == (asked.phase, asked.policy.identifier)
        and group.reference.split("/")[1] != stored.id
    ]
    return asked, (asked, *sorted(beside, key=lambda group: group.reference))


async def _page(
    context: Context,
    tally: Tally,
    groups: tuple[Group, Sequence[Group]],
    as_of: date,
    after: tuple[str | int, ...] | None,
) -> tuple[str | int, ...] | None:
    """Count the next page of people; where to go on, None at the end."""
    opened = planning.if_open(groups[1], as_of)
    records, following = await people.page(context, SERVER, allow_all, after, people.PAGE)
    for record in records:
        known = facts.read(record, as_of)
        if known.deceased is not None or record.patient.get("active") is False:
            continue
        measure = planning.verdict(known, opened, as_of, forecasts.of(record, known, as_of))
        row = {"county": planning.county(known), "age": planning.age_band(known, as_of), "race": race(record.patient)}
        tally.add(measure, row)
    return following


def race(patient: facts.Resource) -> str:
    """The OMB category, `multiple` for several, `unknown` for none."""
    found = {
        part.get("valueCoding", {}).get("code")
        for extension in patient.get("extension", ())
        if extension.get("url") == _RACE
        for part in extension.get("extension", ())
        if part.get("url") == "ombCategory"
    } & RACES.keys()
    return planning.UNKNOWN if not found else next(iter(found)) if len(found) == 1 else SEVERAL
