"""Outcomes: what became of a file's lines, and the Parameters that tell it.

https://hl7.org/fhir/R4/parameters.html

The answer is made in parts, `head` + `rows`... + TAIL, so that nobody has to hold all of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.domain.roster_file import Problem
from fhir_server.domain.sentences import sentence
from fhir_server.fhir import json
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.operations.rosters.lines import Line

Resource = dict[str, Any]

STATUSES = ("created", "matched", "unchanged", "refused")
TAIL = b"]}"
LEAVERS_KEPT = Problem(1, None, "leavers-kept", "warning")

_CODES = {"value-missing": "required", "repeated-row": "duplicate", "row-id-repeated": "duplicate"} | dict.fromkeys(
    ("row-id-reused", "possible-duplicate", "ambiguous-person", "several-patients"), "duplicate"
)
"""FHIR issue types of problems that are not about a value."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line and what became of it; `patient` is a relative reference, empty where it was refused."""

    line: Line
    status: str
    patient: str
    problems: tuple[Problem, ...]


def head(counts: Mapping[str, int], notes: Sequence[Problem], ended: int | None, language: str) -> bytes:
    """The answer up to its first row: the counts by status, and what is to be known of the file as a whole."""
    summary: list[Resource] = [{"name": "total", "valueInteger": sum(counts.values())}]
    summary += [{"name": status, "valueInteger": counts.get(status, 0)} for status in STATUSES]
    if ended is not None:
        summary.append({"name": "ended", "valueInteger": ended})
    if notes:
        summary.append({"name": "issue", "resource": _issues(notes, language)})
    whole = json.dump({"resourceType": "Parameters", "parameter": [{"name": "summary", "part": summary}]})
    return whole.removesuffix(TAIL)


def rows(outcomes: Iterable[Outcome], language: str) -> bytes:
    """The answer's part about these lines."""
    return b"".join(b"," + json.dump({"name": "row", "part": list(_row(each, language))}) for each in outcomes)


def _row(outcome: Outcome, language: str) -> Iterator[Resource]:
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
