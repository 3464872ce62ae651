"""People: all that is stored about one person, or about a page of them.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html

A roster belongs to its employer, but that a person is on it is a fact about the person: whoever may see the person may
be told, also where the Group itself is hidden from them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

from fhir_server.caller import SERVER, Caller, Predicate, allow_all
from fhir_server.context import Context
from fhir_server.fhir import json, references
from fhir_server.fhir.condition import EVERYTHING, SEPARATOR, All, Condition, Keys
from fhir_server.operations import facts, histories, membership
from fhir_server.store.records import Selection, Stored

Resource = dict[str, Any]

PAGE = 200
"""People whose records are read together."""

Unless = Callable[[Resource], bool]
"""Tells of a Patient that the record is not wanted where the person has answered nothing: less is read then."""

_ROWS = 1_000
ABOUT = (
    ("QuestionnaireResponse", "subject"),
    ("Immunization", "patient"),
    ("Consent", "patient"),
    ("Condition", "subject"),
    ("AllergyIntolerance", "patient"),
    ("Observation", "subject"),
)
"""Types that say something of a person, each with the element that names the person. Of Observations only those are
read that a schedule asks for."""


async def one(
    context: Context, caller: Caller, predicate: Predicate, patient: Stored, answers: Sequence[Resource] = ()
) -> facts.Record:
    """The record of one person. `answers` are responses given with the request."""
    [record] = await _records(context, caller, predicate, [patient], answers)
    return record


async def page(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    after: tuple[str | int, ...] | None,
    limit: int,
    unless: Unless | None = None,
) -> tuple[list[facts.Record], tuple[str | int, ...] | None]:
    """Records of the next `limit` people, and the position to go on from; None at the end."""
    found = await context.store.search(caller, predicate, Selection("Patient", EVERYTHING, limit=limit, after=after))
    return await _records(context, caller, predicate, found.rows, unless=unless), found.next


async def listed(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    day: date,
    after: tuple[str | int, ...] | None,
    limit: int,
) -> tuple[list[facts.Record], tuple[str | int, ...] | None]:
    """Likewise of the next `limit` people on that day's call list."""
    found = await context.store.called(caller, predicate, day, limit, after)
    return await _records(context, caller, predicate, found.rows), found.next


async def some(
    context: Context, caller: Caller, predicate: Predicate, ids: Iterable[str], unless: Unless | None = None
) -> list[facts.Record]:
    """Records of those people with these ids who are there."""
    found = await context.store.read_many(caller, predicate, [("Patient", id) for id in ids])
    return await _records(context, caller, predicate, found, unless=unless)


async def _records(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    patients: Sequence[Stored],
    answers: Sequence[Resource] = (),
    unless: Unless | None = None,
) -> list[facts.Record]:
    if unless is not None:
        patients = await _without(context, caller, predicate, patients, unless)
    if not patients:
        return []
    base = context.settings.base
    names = [f"Patient/{patient.id}" for patient in patients]
    rosters, responses, immunizations, consents, conditions, allergies, observations = await asyncio.gather(
        _rosters(context, names),
        *(_about(context, caller, predicate, kind, element, names) for kind, element in ABOUT),
    )
    return [
        facts.Record(
            json.parse(patient.raw or b"{}"),
            responses.get(name, ()),
            rosters.get(name, ()),
            immunizations.get(name, ()),
            consents.get(name, ()),
            answers,
            base,
            conditions.get(name, ()),
            allergies.get(name, ()),
            observations.get(name, ()),
            context.settings.time_zone,
        )
        for patient, name in zip(patients, names, strict=True)
    ]


async def _without(
    context: Context, caller: Caller, predicate: Predicate, patients: Sequence[Stored], unless: Unless
) -> list[Stored]:
    left_out = {f"Patient/{each.id}" for each in patients if unless(json.parse(each.raw or b"{}"))}
    kind, element = ABOUT[0]
    answered = await _about(context, caller, predicate, kind, element, sorted(left_out)) if left_out else {}
    return [each for each in patients if f"Patient/{each.id}" not in left_out or f"Patient/{each.id}" in answered]


async def _about(
    context: Context, caller: Caller, predicate: Predicate, kind: str, element: str, names: Sequence[str]
) -> Mapping[str, list[Resource]]:
    """Resources of a type by the person they are about."""
    where: Condition = Keys("tk", tuple(f"{element}{SEPARATOR}{name}" for name in names))
    if kind == "Observation":
        where = All((where, Keys("tk", _observed())))
    found: dict[str, list[Resource]] = {}
    async for row in _rows(context, caller, predicate, kind, where):
        resource: Resource = json.parse(row.raw or b"{}")
        target = references.local(resource.get(element, {}).get("reference", ""), context.settings.base)
        if target is not None:
            found.setdefault(f"{target.type}/{target.id}", []).append(resource)
    return found


@cache
def _observed() -> tuple[str, ...]:
    codes = sorted(set(histories.asked_codes()))
    return tuple(f"{name}{SEPARATOR}{system}|{code}" for name in ("code", "value-concept") for system, code in codes)


async def _rosters(context: Context, names: Iterable[str]) -> Mapping[str, list[Resource]]:
    """By person: the Groups that could be rosters, each with the one member that counts."""
    base = context.settings.base
    spelled = {spelling: name for name in names for spelling in (name, f"{base}/{name}")}
    keys = tuple(f"member{SEPARATOR}{name}" for name in set(spelled.values()))
    found: dict[str, list[Resource]] = {}
    async for row in _rows(context, SERVER, allow_all, "Group", Keys("tk", keys)):
        group: Resource = json.parse(row.raw or b"{}")
        if not membership.may_be_roster(group):
            continue
        # Large Groups are stored without members.
        held = await context.store.find_members(SERVER, allow_all, row.id, spelled)
        for reference, member in held.items():
            found.setdefault(spelled[reference], []).append({**group, "member": [json.parse(member.raw)]})
    return found


async def _rows(
    context: Context, caller: Caller, predicate: Predicate, kind: str, where: Condition
) -> AsyncIterator[Stored]:
    after: tuple[str | int, ...] | None = None
    while True:
        found = await context.store.search(caller, predicate, Selection(kind, where, limit=_ROWS, after=after))
        for row in found.rows:
            yield row
        after = found.next
        if after is None:
            return
