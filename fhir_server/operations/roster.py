"""$roster-upload: the people of a file become members of a roster Group.

https://hl7.org/fhir/R4/group.html

Order: read all lines -> find or create their people -> the Group, compared and set. A crash in between leaves people
without membership; the same file sent again finds them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from fhir_server.domain.roster_file import Problem, RosterFileError
from fhir_server.domain.sentences import sentence
from fhir_server.fhir import json, references
from fhir_server.fhir.outcome import FhirError, Issue, operation_outcome, refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations.registry import Call
from fhir_server.operations.rosters.lines import CSV, NDJSON, File, Line, TooManyRowsError, lines
from fhir_server.operations.rosters.members import Members, Seat
from fhir_server.operations.rosters.people import Found, People
from fhir_server.store.records import Member, Stored

Resource = dict[str, Any]

MEDIA_TYPES = CSV | NDJSON

MOST_ROWS = 5_000
"""Rows one request may bring."""

MOST_MEMBERS = 100_000
"""Members a roster may have: all are looked at for every upload."""

_TRIES = 50
"""Times the Group is read again when other uploads changed it meanwhile."""

_CODES = {"value-missing": "required", "repeated-row": "duplicate", "row-id-repeated": "duplicate"} | dict.fromkeys(
    ("row-id-reused", "possible-duplicate", "ambiguous-person", "several-patients"), "duplicate"
)
"""FHIR issue types of problems that are not about a value."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A line and what became of it."""

    line: Line
    status: str
    patient: str
    problems: tuple[Problem, ...]


async def upload(call: Call) -> Reply:
    """200 with `summary` and a `row` for every line.

    FhirError 400 for a file that is no roster, 404 or 410 for the Group, 413 past MOST_ROWS or MOST_MEMBERS, 415 for
    another media type, 422 where the Group is no roster.
    """
    if call.media_type not in MEDIA_TYPES:
        text = "A roster is sent as text/csv or application/fhir+ndjson."
        raise refuse(415, "not-supported", "unsupported-content-type", text, "Content-Type")
    store, base = call.context.store, call.context.settings.base
    today = datetime.fromtimestamp(call.context.clock() / 1_000_000, UTC).date()
    stored = await store.read(call.caller, call.predicate, "Group", call.id or "")
    group = _roster(stored)
    file = await _read(call, today)
    replace = call.arguments.one("replace") is True
    if replace and not file.lines:
        text = "The file has no rows; with 'replace' it would end every membership."
        raise refuse(400, "invalid", "empty-roster", text, "replace")
    members = await _members(call, today)
    if len(members.every) + len(file.lines) > MOST_MEMBERS:
        raise refuse(413, "too-costly", "roster-too-large", f"A roster may have {MOST_MEMBERS:,} members.")
    people = People(call, f"Group/{stored.id}", _owner(group, stored, base), members)
    outcomes, found = _outcomes(file.lines, await people.place(file.lines))
    staying = _staying(outcomes, members) if replace else None
    ended = await _seat(call, found, staying, today)
    notes = file.notes
    if replace and staying is None:
        notes = (*notes, Problem(1, None, "leavers-kept", "warning"))
    answer = _answer(outcomes, notes, ended if replace else None, call.language)
    return Reply(200, json.dump(answer), headers=(("cache-control", "no-store"),))


async def _read(call: Call, today: date) -> File:
    try:
        return await asyncio.to_thread(lines, call.body, call.media_type, today, MOST_ROWS)
    except RosterFileError as error:
        text = sentence("roster", error.code, call.language, error.details)
        raise refuse(400, "invalid", error.code, text) from None
    except TooManyRowsError:
        text = f"A file may have {MOST_ROWS:,} rows. Send it in parts; rows sent twice do no harm."
        raise refuse(413, "too-costly", "too-many-rows", text) from None


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


def _outcomes(given: Sequence[Line], found: Iterable[Found]) -> tuple[list[_Outcome], list[Found]]:
    """What became of every line, in their order; and those found that change the Group."""
    by_line = {place.line.number: place for place in found}
    outcomes: list[_Outcome] = []
    for line in given:
        place = by_line.get(line.number)
        if place is None:
            outcomes.append(_Outcome(line, "refused", "", line.problems))
        elif place.status == "refused":
            column = "row_id" if line.row_id is not None else None
            problem = Problem(line.number, column, place.code)
            outcomes.append(_Outcome(line, "refused", "", (*line.problems, problem)))
        else:
            outcomes.append(_Outcome(line, place.status, place.patient, line.problems))
    return outcomes, [place for place in by_line.values() if place.status in ("created", "matched")]


def _staying(outcomes: Iterable[_Outcome], members: Members) -> set[str] | None:
    """The patients whose memberships last when the file is the whole roster; None where a refused row could be about
    any member."""
    staying: set[str] = set()
    for outcome in outcomes:
        if outcome.status != "refused":
            staying.add(outcome.patient)
            continue
        held = members.by_row.get(outcome.line.row_id or "")
        if held is None:
            return None
        staying.add(held[0])
    return staying


async def _members(call: Call, today: date) -> Members:
    """All members of the Group, however many."""
    members, position = Members(today), None
    while True:
        page = await call.context.store.members(call.caller, call.predicate, call.id or "", position)
        for member in page.members:
            members.add(json.parse(member.raw), call.context.settings.base)
        position = page.next
        if position is None or len(members.every) > MOST_MEMBERS:
            return members


async def _seat(call: Call, found: Sequence[Found], staying: set[str] | None, today: date) -> int:
    """Bring the Group up to date, whoever else is changing it; how many memberships were ended."""
    store, group_id = call.context.store, call.id or ""
    seats = [
        Seat(place.patient, place.row_id, place.row.person, place.line.digest, place.row.occupation) for place in found
    ]
    if not seats and staying is None:
        return 0
    for _ in range(_TRIES):
        stored = await store.read(call.caller, call.predicate, "Group", group_id)
        members = await _members(call, today)
        joining = members.seated(seats)
        leaving = [] if staying is None else members.ended(staying)
        changed = [Member(member["entity"]["reference"], json.dump(member)) for member in (*joining, *leaving)]
        if not changed:
            return 0
        try:
            await store.add_members(call.caller, call.predicate, group_id, changed, stored.version)
        except FhirError as error:
            if error.status not in (409, 412):
                raise
            continue
        return len(leaving)
    raise refuse(409, "conflict", "contended", "Others keep changing this roster. Send the file again.", "Group")


def _answer(outcomes: Sequence[_Outcome], notes: Sequence[Problem], ended: int | None, language: str) -> dict[str, Any]:
    counts = Counter(outcome.status for outcome in outcomes)
    summary: list[Resource] = [{"name": "total", "valueInteger": len(outcomes)}]
    summary += [
        {"name": status, "valueInteger": counts[status]} for status in ("created", "matched", "unchanged", "refused")
    ]
    if ended is not None:
        summary.append({"name": "ended", "valueInteger": ended})
    if notes:
        summary.append({"name": "issue", "resource": _issues(notes, language)})
    rows = [{"name": "row", "part": list(_row(outcome, language))} for outcome in outcomes]
    return {"resourceType": "Parameters", "parameter": [{"name": "summary", "part": summary}, *rows]}


def _row(outcome: _Outcome, language: str) -> Iterator[Resource]:
    yield {"name": "line", "valueInteger": outcome.line.number}
    if outcome.line.row_id is not None:
        yield {"name": "rowId", "valueString": outcome.line.row_id}
    yield {"name": "status", "valueCode": outcome.status}
    if outcome.patient:
        yield {"name": "patient", "valueReference": {"reference": outcome.patient}}
    if outcome.problems:
        yield {"name": "issue", "resource": _issues(outcome.problems, language)}


def _issues(problems: Iterable[Problem], language: str) -> dict[str, Any]:
    return operation_outcome(
        Issue(
            _CODES.get(problem.code, "value"),
            problem.code,
            sentence("roster", problem.code, language, problem.details),
            (problem.column,) if problem.column else (),
            "warning" if problem.severity == "warning" else "error",
        )
        for problem in problems
    )
