"""People: all that is stored about one person, or about everybody, a page of them at a time.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html

A roster belongs to its employer, but that a person is on it is a fact about the person: whoever may see the person may
be told, also where the Group itself is hidden from them.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from fhir_server.caller import SERVER, Caller, Predicate, allow_all
from fhir_server.context import Context
from fhir_server.fhir import json, references
from fhir_server.fhir.condition import EVERYTHING, SEPARATOR, Condition, Keys
from fhir_server.operations import facts
from fhir_server.store.records import Selection, Stored

Resource = dict[str, Any]

PAGE = 200
"""People whose records are read together."""

_ROWS = 1_000
_ABOUT = (
    ("QuestionnaireResponse", "subject"),
    ("Immunization", "patient"),
    ("Consent", "patient"),
)


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
    after: tuple[str | int, ...] | None = None,
    limit: int = PAGE,
    where: Condition = EVERYTHING,
) -> tuple[list[facts.Record], tuple[str | int, ...] | None]:
    """Records of up to `limit` people who satisfy `where`, and the position to go on from, None at the end."""
    found = await context.store.search(caller, predicate, Selection("Patient", where, limit=limit, after=after))
    return await _records(context, caller, predicate, found.rows), found.next


async def everybody(context: Context, caller: Caller, predicate: Predicate) -> AsyncIterator[facts.Record]:
    """The record of every person there is, read a page at a time."""
    after: tuple[str | int, ...] | None = None
    while True:
        records, after = await page(context, caller, predicate, after)
        for record in records:
            yield record
        if after is None:
            return


async def _records(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    patients: Sequence[Stored],
    answers: Sequence[Resource] = (),
) -> list[facts.Record]:
    if not patients:
        return []
    base = context.settings.base
    names = [f"Patient/{patient.id}" for patient in patients]
    responses, immunizations, consents, rosters = await asyncio.gather(
        *(_about(context, caller, predicate, kind, parameter, names) for kind, parameter in _ABOUT),
        _rosters(context, names),
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
        )
        for patient, name in zip(patients, names, strict=True)
    ]


async def _about(
    context: Context, caller: Caller, predicate: Predicate, kind: str, parameter: str, names: Sequence[str]
) -> Mapping[str, list[Resource]]:
    """Resources of a type by the person they are about."""
    where = Keys("tk", tuple(f"{parameter}{SEPARATOR}{name}" for name in names))
    found: dict[str, list[Resource]] = {}
    async for row in _rows(context, caller, predicate, kind, where):
        resource: Resource = json.parse(row.raw or b"{}")
        target = references.local(resource.get(parameter, {}).get("reference", ""), context.settings.base)
        if target is not None:
            found.setdefault(f"{target.type}/{target.id}", []).append(resource)
    return found


async def _rosters(context: Context, names: Iterable[str]) -> Mapping[str, list[Resource]]:
    """By person: the Groups that could be rosters, each with the one member that counts."""
    base = context.settings.base
    spelled = {spelling: name for name in names for spelling in (name, f"{base}/{name}")}
    keys = tuple(f"member{SEPARATOR}{name}" for name in set(spelled.values()))
    found: dict[str, list[Resource]] = {}
    async for row in _rows(context, SERVER, allow_all, "Group", Keys("tk", keys)):
        group: Resource = json.parse(row.raw or b"{}")
        if not facts.may_be_roster(group):
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
