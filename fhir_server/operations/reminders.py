"""$reminders-due: who is to be reminded of what on a day; for staff, and for what sends the messages.

https://hl7.org/fhir/R4/communicationrequest.html

Everybody the caller may see is looked at, a page of people at a time; most of them have nothing due. For those to be
called there is a list of the day (call_list.py), whose people alone are looked at.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, get_args

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.domain import combined, reminders
from fhir_server.domain.eligibility import Decision
from fhir_server.domain.reminders import Channel, Reminder
from fhir_server.domain.sentences import sentence
from fhir_server.fhir import json, references
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions import paging
from fhir_server.interactions.reply import Reply
from fhir_server.operations import contacts, facts, forecasts, people, policies, registration
from fhir_server.operations.policies import Policies
from fhir_server.operations.registry import Call
from fhir_server.store.records import Stored

Resource = dict[str, Any]
Position = tuple[str | int, ...]

_PATH = "Patient/$reminders-due"


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder with the reference of its person, and of the provider on whose call list they are."""

    patient: str
    reminder: Reminder
    provider: str | None
    record: facts.Record


async def due(context: Context, caller: Caller, predicate: Predicate, day: date) -> AsyncIterator[Due]:
    """Everything that is due on that day, for everybody the caller may see."""
    after: Position | None = None
    while True:
        found, after = await page(context, caller, predicate, day, after, people.PAGE)
        for each in found:
            yield each
        if after is None:
            return


async def page(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    day: date,
    after: Position | None,
    limit: int,
    channel: Channel | None = None,
) -> tuple[list[Due], Position | None]:
    """What is due for the next `limit` people (over this channel alone), and where to go on; None at the end."""
    records, following = await people.page(context, caller, predicate, after, limit, _unless(day, channel))
    return await _decided(context, records, day, channel), following


async def listed(
    context: Context, caller: Caller, predicate: Predicate, day: date, after: Position | None, limit: int
) -> tuple[list[Due], Position | None]:
    """Likewise for the next `limit` people on that day's call list: decided on as they are now, not as they were when
    they came onto it."""
    records, following = await people.listed(context, caller, predicate, day, after, limit)
    return await _decided(context, records, day, "call-list"), following


async def of_people(
    context: Context, caller: Caller, predicate: Predicate, ids: Iterable[str], day: date, channel: Channel
) -> list[Due]:
    """What is due over this channel for the people with these ids."""
    records = await people.some(context, caller, predicate, ids, _unless(day, channel))
    return await _decided(context, records, day, channel)


async def of_person(
    context: Context, caller: Caller, predicate: Predicate, patient: Stored, occasion: str, day: date
) -> Due | None:
    """What is due for one person on that day, where it is still that."""
    record = await people.one(context, caller, predicate, patient)
    found = [_welcome(record, day)] if occasion == "welcome" else list(_of(record, *await _policies(context, day)))
    return next((each for each in found if each is not None and each.reminder.occasion == occasion), None)


async def welcomes(
    context: Context, caller: Caller, predicate: Predicate, since: int, until: int
) -> AsyncIterator[Due]:
    """For everybody who answered the registration questionnaire for the first time from `since` until before `until`
    (microseconds since 1970)."""
    after: Position | None = None
    while True:
        found = await context.store.history(
            caller, predicate, "QuestionnaireResponse", since=since, limit=people.PAGE, after=after
        )
        for version in found.rows:
            if version.created and version.updated < until and version.raw is not None:
                person = await _registered(context, caller, predicate, json.parse(version.raw), since)
                if person is not None:
                    yield person
        after = found.next
        if after is None:
            return


def over(each: Due, today: date) -> bool:
    """Whether what fell due on some day before is over by today: the person has had a dose since, or wants no more."""
    known = facts.read(each.record, today)
    contact = contacts.read(each.record, known, today)
    since = each.reminder.occasion != "welcome" and any(dose.given > each.reminder.day for dose in known.doses)
    return since or reminders.stopped(known, contact)


def _unless(day: date, channel: Channel | None) -> people.Unless | None:
    """Whose records tell nothing of those to be called: most people have an e-mail address."""
    if channel != "call-list":
        return None
    return lambda patient: patient.get("active") is False or contacts.has_email(patient, day)


async def _decided(context: Context, records: Sequence[facts.Record], day: date, channel: Channel | None) -> list[Due]:
    if not records:
        return []
    before, now = await _policies(context, day)
    return [each for record in records for each in _of(record, before, now, channel)]


async def _registered(
    context: Context, caller: Caller, predicate: Predicate, response: Resource, since: int
) -> Due | None:
    base = context.settings.base
    target = references.local(response.get("subject", {}).get("reference", ""), base)
    if not registration.asked_by(response, base) or target is None or target.type != "Patient":
        return None
    found = await context.store.read_many(caller, predicate, [("Patient", target.id)])
    if not found:
        return None
    record = await people.one(context, caller, predicate, found[0])
    earlier = [
        each
        for each in record.responses
        if registration.asked_by(each, base) and each["meta"]["lastUpdated"] < json.instant(since)
    ]
    return None if earlier else _welcome(record, context.today)


async def _policies(context: Context, day: date) -> tuple[tuple[date, Policies], tuple[date, Policies]]:
    """What applies on the day before and on the day."""
    eve = day - timedelta(days=1) if day > date.min else day
    before, now = await policies.in_force_on(context, eve, day)
    return (eve, before), (day, now)


async def answer(call: Call) -> Reply:
    """200 with what is due for the people of a page, and the address of the next page. FhirError 400 for a wrong
    argument."""
    context, arguments = call.context, call.arguments
    day = arguments.date("day") or context.today
    named = arguments.text("channel")
    channel = next((each for each in get_args(Channel) if each == named), None)
    if channel is None and named is not None:
        text = f"A channel is email or call-list, not '{named}'."
        raise refuse(400, "value", "invalid-value", text, "channel")
    count, everybody = arguments.one("_count"), arguments.one("everybody") is True
    limit = people.PAGE if count is None else min(int(count), context.settings.max_page_size)
    asked = [("day", day.isoformat()), ("_count", str(limit))] + ([("channel", channel)] if channel else [])
    patients = arguments.one("patients") is True
    asked += [(name, "true") for name, given in (("everybody", everybody), ("patients", patients)) if given]
    bound = [("", _PATH), *asked]
    position = None if call.page is None else paging.redeem(context, call.caller, bound, call.page)
    standing = await context.store.call_list.standing() if channel == "call-list" and not everybody else None
    if standing is not None and standing.day == day:
        # Places on the list and in everybody's order are the same: a page link outlives the list it was given for.
        found, following = await listed(context, call.caller, call.predicate, day, position, limit)
        parameters: list[Resource] = [{"name": "asOf", "valueInstant": json.instant(standing.as_of)}]
    else:
        found, following = await page(context, call.caller, call.predicate, day, position, limit, channel)
        parameters = []
    parameters += [_parameter(each, patients) for each in found]
    if following is not None:
        token = paging.issue(context, call.caller, bound, following)
        link = paging.address(f"{context.settings.base}/{_PATH}", [*asked, *call.shape, (paging.PARAMETER, token)])
        parameters.append({"name": "next", "valueUrl": link})
    body = json.dump({"resourceType": "Parameters", "parameter": parameters})
    return Reply(200, body, headers=(("cache-control", "no-store"),))


def _welcome(record: facts.Record, day: date) -> Due | None:
    known = facts.read(record, day)
    reminder = reminders.welcome(known, contacts.read(record, known, day), day)
    if reminder is None or record.patient.get("active") is False:
        return None
    return Due(f"Patient/{record.patient['id']}", reminder, contacts.provider(record), record)


def _of(
    record: facts.Record,
    before: tuple[date, Policies],
    now: tuple[date, Policies],
    channel: Channel | None = None,
) -> Iterator[Due]:
    if record.patient.get("active") is False:
        return
    day = now[0]
    known = facts.read(record, day)
    contact = contacts.read(record, known, day)
    if channel is not None and reminders.channel_of(contact) != channel:
        return

    groups = {on: policy.groups for on, policy in (before, now)}

    def may_come(on: date) -> bool:
        return combined.may_come(known, groups[on], on, partial(forecasts.of, record, known, on))

    def decided(on: date) -> Decision:
        # Of who has begun only the schedule is told; weighing all phases would cost as much again.
        weighed = () if reminders.has_begun(known, day) else groups[on]
        return combined.decide(known, weighed, on, forecasts.of(record, known, on))

    reminder = reminders.due(known, contact, may_come, decided, day)
    if reminder is not None:
        yield Due(f"Patient/{record.patient['id']}", reminder, contacts.provider(record), record)


def _parameter(each: Due, with_patient: bool) -> Resource:
    reminder = each.reminder
    parts: list[Resource] = [
        {"name": "patient", "valueReference": {"reference": each.patient}},
        {"name": "occasion", "valueCode": reminder.occasion},
        {"name": "day", "valueDate": reminder.day.isoformat()},
        {"name": "language", "valueCode": reminder.language},
        {"name": "channel", "valueCode": reminder.channel},
    ]
    if reminder.address is not None:
        parts.append({"name": "address", "valueString": reminder.address})
    if each.provider is not None:
        parts.append({"name": "provider", "valueReference": {"reference": each.provider}})
    if reminder.number is not None:
        parts.append({"name": "doseNumber", "valuePositiveInt": reminder.number})
    if reminder.group is not None:
        parts.append({"name": "group", "valueReference": {"reference": reminder.group.reference}})
    parts.append({"name": "text", "valueString": text(reminder)})
    if with_patient:
        parts.append({"name": "record", "resource": each.record.patient})
    return {"name": "reminder", "part": parts}


def text(reminder: Reminder) -> str:
    """The sentence to the person, in their language."""
    details: dict[str, object] = {"day": reminder.day}
    if reminder.group is not None:
        titles = reminder.group.titles
        details["phase"] = titles.get(reminder.language) or titles.get("en") or reminder.group.phase
    return sentence("reminder", reminder.occasion, reminder.language, details)
