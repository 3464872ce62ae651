"""The lines of an uploaded roster, CSV or NDJSON, each with the person it describes and its problems.

https://hl7.org/fhir/R4/nd-json.html
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from typing import Any, BinaryIO

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
_LONGEST_LINE = 2_000_000
"""Bytes of a Patient's line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the file. `row` and `patient` are None where it is refused; `digest` is of all it says."""

    number: int
    row_id: str | None
    row: Row | None
    patient: Resource | None
    digest: str
    problems: tuple[Problem, ...] = ()


class TooManyRowsError(Exception):
    """The file has more rows than asked for."""


class File:
    """An uploaded file whose shape has been understood; `notes` are what is to be known of it as a whole.

    Rows are read as they are asked for, from the beginning each time, one reading at a time: memory does not grow with
    them. RosterFileError where the file is no roster, at once or in the course of reading.
    """

    def __init__(self, content: BinaryIO, media_type: str) -> None:
        self._content = content
        self._csv = None if media_type in NDJSON else read(content)
        self.notes: Sequence[Problem] = () if self._csv is None else self._csv.notes

    def count(self, limit: int) -> int:
        """How many rows it has. TooManyRowsError past the limit."""
        rows = sum(1 for _ in islice(self._rows(), limit + 1))
        if rows > limit:
            raise TooManyRowsError
        if not rows and self._csv is None:
            raise RosterFileError("empty-file")
        return rows

    def lines(self, today: date) -> Iterator[Line]:
        """Its lines, those that repeat an earlier one refused."""
        return _once(self._found(today))

    def _rows(self) -> Iterator[object]:
        return self._texts() if self._csv is None else self._csv.records()

    def _found(self, today: date) -> Iterator[Line]:
        if self._csv is None:
            return (_resource(text, number, today) for number, text in self._texts())
        return (_csv(record, today) for record in self._csv.records())

    def _texts(self) -> Iterator[tuple[int, bytes]]:
        """The lines of NDJSON that are not blank, with their numbers."""
        self._content.seek(0)
        number = 0
        while text := self._content.readline(_LONGEST_LINE + 1):
            number += 1
            if len(text) > _LONGEST_LINE:
                raise RosterFileError("line-too-long")
            if text.strip():
                yield number, text.strip()


def _csv(record: Record | Problem, today: date) -> Line:
    if isinstance(record, Problem):
        return Line(record.line, None, None, None, "", (record,))
    found, problems = row(record, today)
    if found is None:
        return Line(record.line, record.cells.get("row_id"), None, None, "", problems)
    return Line(record.line, found.row_id, found, patient(found), found.digest, problems)


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


def _once(found: Iterable[Line]) -> Iterator[Line]:
    """The lines, those that repeat an earlier one refused, and a warning where one person has two row_ids."""
    seen = _Seen()
    for line in found:
        yield line if line.row is None else seen.judged(line, line.row.person)


@dataclass(slots=True)
class _Seen:
    """The lines so far: by row_id their number and person, by person the number of the first and whether it has a
    row_id. Nothing else of them is kept."""

    by_id: dict[str, tuple[int, str]] = field(default_factory=dict)
    by_person: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def judged(self, line: Line, person: str) -> Line:
        first, numbered = self.by_person.get(person, (0, True))
        if line.row_id is None and first:
            return _refused(line, "repeated-row", first)
        if line.row_id is not None and line.row_id in self.by_id:
            number, same = self.by_id[line.row_id]
            return _refused(line, "repeated-row" if same == person else "row-id-repeated", number)
        if not numbered:
            return _refused(line, "repeated-row", first)
        if line.row_id is not None:
            self.by_id[line.row_id] = (line.number, person)
        if first:
            warning = Problem(line.number, "row_id", "possible-duplicate", "warning", {"line": str(first)})
            return replace(line, problems=(*line.problems, warning))
        self.by_person[person] = (line.number, line.row_id is not None)
        return line


def _refused(line: Line, code: str, other: int) -> Line:
    column = "row_id" if line.row_id is not None else None
    problem = Problem(line.number, column, code, details={"line": str(other)})
    return replace(line, row=None, patient=None, problems=(*line.problems, problem))
