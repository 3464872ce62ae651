"""$data-quality: how complete and how timely what an organization submits is, as a MeasureReport.

https://hl7.org/fhir/R4/measurereport.html

The organization's doses are read page by page; what is kept of them is counts, and who got them. Only what exists for
the caller is counted, and no small count leaves (docs/decisions/0024-small-cells.md).
"""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

from fhir_server.domain import small_cells
from fhir_server.fhir import json, references
from fhir_server.fhir.condition import All, Condition, Keys
from fhir_server.fhir.condition import Any as Either
from fhir_server.fhir.criteria import filter
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.relations import wrote
from fhir_server.interactions.reply import Reply
from fhir_server.operations import vocabulary
from fhir_server.operations.data_quality_measures import Counts, is_own, names
from fhir_server.operations.registry import Call
from fhir_server.store.records import Selection, Stored

Resource = dict[str, Any]

SYSTEM = f"{vocabulary.BASE}/CodeSystem/data-quality"
MEASURE = f"{vocabulary.BASE}/Measure/data-quality"
_POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

MOST = 50_000
"""Doses of one report; for more a shorter period is to be asked for."""

_PAGE = 1_000


async def report(call: Call) -> Reply:
    """200 with the MeasureReport.

    FhirError 404 or 410 for the organization, 400 for a wrong period or too many doses.
    """
    context = call.context
    await context.store.read(call.caller, call.predicate, "Organization", call.id or "")
    start, end = call.arguments.date("start"), call.arguments.date("end")
    if start is not None and end is not None and end < start:
        text = f"'end' ({end}) is before 'start' ({start})."
        raise refuse(400, "value", "invalid-value", text, "end")
    counts = Counts()
    counted: set[str] = set()
    seen = 0
    async for rows in _doses(call, start, end):
        seen += len(rows)
        if seen > MOST:
            text = f"{call.type}/{call.id} has more than {MOST:,} doses in this time; ask for less with start and end."
            raise refuse(400, "too-costly", "too-many-resources", text, "start")
        patients: dict[str, None] = {}
        for row in rows:
            dose = json.parse(row.raw or b"{}")
            if not is_own(dose):
                continue
            counts.dose(dose, _day(dose.get("occurrenceDateTime")), _recorded(call, dose, row))
            reference = references.local(dose.get("patient", {}).get("reference", ""), context.settings.base)
            if reference is not None and reference.type == "Patient" and reference.id not in counted:
                patients[reference.id] = None
        counted.update(patients)
        found = await context.store.read_many(call.caller, call.predicate, [("Patient", id) for id in patients])
        counts.people(json.parse(person.raw or b"{}") for person in found)
    body = json.dump(_report(call, counts, start, end))
    return Reply(200, body, headers=(("cache-control", "no-store"),))


async def _doses(call: Call, start: date | None, end: date | None) -> AsyncIterator[tuple[Stored, ...]]:
    """The Immunizations that the organization gave or submitted, a page at a time."""
    submitted = Keys("org", (wrote(call.id or ""),))
    performed = _filter("performer", f"Organization/{call.id}", call.context.settings.base)
    conditions: list[Condition] = [Either((performed, submitted))]
    conditions += [
        _filter("date", prefix + day.isoformat()) for prefix, day in (("ge", start), ("le", end)) if day is not None
    ]
    where, position = All(tuple(conditions)), None
    while True:
        page = await call.context.store.search(
            call.caller, call.predicate, Selection("Immunization", where, limit=_PAGE, after=position)
        )
        yield tuple(page.rows)
        position = page.next
        if position is None:
            return


def _filter(name: str, value: str, base: str = "") -> Condition:
    found = filter("Immunization", name, value, base)
    assert isinstance(found, Condition)
    return found


def _recorded(call: Call, dose: Resource, row: Stored) -> date | None:
    """The day the dose was recorded: as it says, else the day it came, if it has not been changed since."""
    said = _day(dose.get("recorded"))
    return said if said is not None or row.version != 1 else call.context.day(row.updated)


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None


def _report(call: Call, counts: Counts, start: date | None, end: date | None) -> Resource:
    today = call.context.today
    first, last = start or counts.first or end or today, end or counts.last or start or today
    now = datetime.fromtimestamp(call.context.clock() // 1_000_000, UTC)
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": MEASURE,
        "subject": {"reference": f"Organization/{call.id}"},
        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "reporter": {"display": "FHIR server for vaccination"},
        "period": {"start": min(first, last).isoformat(), "end": max(first, last).isoformat()},
        "improvementNotation": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/measure-improvement-notation", "code": "increase"}
            ]
        },
        "group": [_group(name, counts, call) for name in names()],
    }


def _group(name: str, counts: Counts, call: Call) -> Resource:
    about, having = counts.about.get(name, 0), counts.having.get(name, 0)
    limit = call.context.settings.small_cell
    total, tables = small_cells.published(about, {"": {"with": having, "without": about - having}}, limit)
    shown = tables[""]["with"]
    group: Resource = {
        "code": {
            "coding": [{"system": SYSTEM, "code": name}],
            "text": vocabulary.display(SYSTEM, name, call.language),
        },
        "population": [_population("denominator", total), _population("numerator", shown)],
    }
    score = _score(shown, tables[""]["without"], limit) if total else None
    group["measureScore"] = _percent(*score) if score is not None else {"extension": [_masked()]}
    return group


def _score(having: int | None, lacking: int | None, limit: int) -> tuple[int, str] | None:
    """The share in whole percent with its comparator, from what is shown alone: so it tells no more than the counts.

    Where one of the two is withheld it is only known to lie below the limit.
    """
    if having is not None and lacking is not None:
        return round(100 * having / (having + lacking)), ""
    if having is not None:
        return 100 * having // (having + limit - 1), ">="
    if lacking is not None:
        return -(-100 * (limit - 1) // (limit - 1 + lacking)), "<="
    return None


def _percent(value: int, comparator: str) -> Resource:
    compared = {"comparator": comparator} if comparator else {}
    return {"value": value, **compared, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}


def _population(code: str, count: int | None) -> Resource:
    told: Resource = {"count": count} if count is not None else {"_count": {"extension": [_masked()]}}
    return {"code": {"coding": [{"system": _POPULATION, "code": code}]}, **told}


def _masked() -> Resource:
    return {"url": _ABSENT, "valueCode": "masked"}
