"""The lines of an uploaded roster, CSV or NDJSON, each with the person it describes and its problems.

https://hl7.org/fhir/R4/nd-json.html
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from fhir_server.domain.roster import Row, row
from fhir_server.domain.roster_file import Problem, Record, RosterFileError, read
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.operations.rosters.person import official_name, patient
from profiles import structure

Resource = dict[str, Any]

CSV = frozenset({"text/csv", "application/csv"})
NDJSON = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"})

_EMPLOYEE_NUMBER = "EI"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the file. `row` and `patient` are None where it is refused; `digest` is of all it says."""

    number: int
    row_id: str | None
    row: Row | None
    patient: Resource | None
    digest: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """All lines, and what is to be known of the file as a whole."""

    lines: Sequence[Line]
    notes: Sequence[Problem] = field(default=())


class TooManyRowsError(Exception):
    """The file has more rows than asked for."""


def lines(body: bytes, media_type: str, today: date, limit: int) -> File:
    """The file's lines; rows that repeat an earlier one are refused. RosterFileError, TooManyRowsError."""
    if media_type in NDJSON:
        notes: Sequence[Problem] = ()
        found = _ndjson(body, today)
    else:
        file = read(body)
        notes = file.notes
        found = (_csv(record, today) for record in file.records())
    kept: list[Line] = []
    for line in found:
        if len(kept) == limit:
            raise TooManyRowsError
        kept.append(line)
    return File(list(_once(kept)), notes)


def _csv(record: Record | Problem, today: date) -> Line:
    if isinstance(record, Problem):
        return Line(record.line, None, None, None, "", (record,))
    found, problems = row(record, today)
    if found is None:
        return Line(record.line, record.cells.get("row_id"), None, None, "", problems)
    return Line(record.line, found.row_id, found, patient(found), found.digest, problems)


def _ndjson(body: bytes, today: date) -> Iterator[Line]:
    if not body.strip():
        raise RosterFileError("empty-file")
    number = 0
    start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        number += 1
        text = body[start:end].strip()
        start = end + 1
        if text:
            yield _resource(text, number, today)


def _resource(text: bytes, number: int, today: date) -> Line:
    try:
        resource = json.parse(text)
    except FhirError as error:
        return _unusable(number, None, error.issues[0].text)
    if resource.get("resourceType") != "Patient":
        return _unusable(number, None, str(resource.get("resourceType", "no resourceType")))
    wrong = [issue for issue in structure.check(resource) if issue.severity in ("error", "fatal")]
    if wrong:
        return _unusable(number, None, " ".join(issue.text for issue in wrong[:5]))
    cells = _cells(resource)
    found, problems = row(Record(number, cells), today)
    if found is None:
        return Line(number, cells.get("row_id"), None, None, "", problems)
    kept = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    digest = hashlib.sha256(json.dump(kept)).hexdigest()[:24]
    return Line(number, found.row_id, found, kept, digest, problems)


def _unusable(number: int, row_id: str | None, problem: str) -> Line:
    reason = Problem(number, None, "not-a-patient", details={"problem": problem[:400]})
    return Line(number, row_id, None, None, "", (reason,))


def _cells(resource: Mapping[str, Any]) -> dict[str, str]:
    """What identity needs, as if it stood in columns."""
    name = official_name(resource)
    given = [part for part in name.get("given", ()) if part]
    cells = {
        "row_id": _row_id(resource.get("identifier", ())),
        "first_name": given[0] if given else None,
        "middle_name": " ".join(given[1:]),
        "last_name": name.get("family"),
        "birth_date": resource.get("birthDate"),
    }
    return {column: value for column, value in cells.items() if value}


def _row_id(identifiers: Sequence[Mapping[str, Any]]) -> str | None:
    """The employee number, else the first identifier with its system."""
    held = [identifier for identifier in identifiers if identifier.get("value")]
    for identifier in held:
        if any(coding.get("code") == _EMPLOYEE_NUMBER for coding in identifier.get("type", {}).get("coding", ())):
            return str(identifier["value"])
    return next((f"{identifier.get('system', '')}|{identifier['value']}" for identifier in held), None)


def _once(found: Sequence[Line]) -> Iterator[Line]:
    """The lines, those that repeat an earlier one refused, and a warning where one person has two row_ids."""
    by_id: dict[str, Line] = {}
    by_person: dict[str, Line] = {}
    for line in found:
        if line.row is None:
            yield line
            continue
        person = line.row.person
        same = by_id.get(line.row_id) if line.row_id is not None else by_person.get(person)
        if same is not None and same.row is not None:
            code = "repeated-row" if same.row.person == person else "row-id-repeated"
            yield _refused(line, code, same)
            continue
        twin = by_person.get(person)
        if twin is not None and twin.row_id is None:
            yield _refused(line, "repeated-row", twin)
            continue
        if line.row_id is not None:
            by_id[line.row_id] = line
        if twin is not None:
            warning = Problem(line.number, "row_id", "possible-duplicate", "warning", {"line": str(twin.number)})
            yield replace(line, problems=(*line.problems, warning))
            continue
        by_person[person] = line
        yield line


def _refused(line: Line, code: str, other: Line) -> Line:
    column = "row_id" if line.row_id is not None else None
    problem = Problem(line.number, column, code, details={"line": str(other.number)})
    return replace(line, row=None, patient=None, problems=(*line.problems, problem))
