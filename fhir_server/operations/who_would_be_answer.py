"""The answer of $who-would-be: counts by county, age and race as Parameters, none of them small.

https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import msgspec

from fhir_server.domain import planning, small_cells
from fhir_server.domain.phases import Group
from fhir_server.domain.planning import Tally
from fhir_server.domain.sentences import sentence
from fhir_server.fhir import json
from fhir_server.operations import vocabulary

Resource = dict[str, Any]

SEVERAL = "multiple"
"""The row of those of several races."""


class Question(msgspec.Struct, frozen=True):
    """What is asked: of which Group, for which day, of the whole phase or of that Group alone; in which language."""

    group: str
    as_of: date
    whole: bool
    language: str


def answer(question: Question, groups: tuple[Group, Sequence[Group]], tally: Tally, limit: int) -> bytes:
    """A Parameters resource. `groups`: the one asked about, and all that were counted; no count below `limit`."""
    parameters = list(_parameters(question, groups, tally, limit))
    return json.dump({"resourceType": "Parameters", "parameter": parameters})


def _parameters(
    question: Question, groups: tuple[Group, Sequence[Group]], tally: Tally, limit: int
) -> Iterator[Resource]:
    asked, counted = groups
    yield {"name": "asOf", "valueDate": question.as_of.isoformat()}
    yield {"name": "phase", "valueString": asked.phase}
    yield {"name": "policy", "valueString": asked.policy.identifier}
    for group in counted:
        yield {"name": "group", "valueReference": {"reference": group.reference}}
    yield {"name": "smallest", "valuePositiveInt": max(limit, 1)}
    totals: dict[str, int | None] = {}
    tables: dict[str, dict[str, small_cells.Shown]] = {}
    for measure in planning.MEASURES:
        counts = {name: {row: cell[measure] for row, cell in rows.items()} for name, rows in tally.rows.items()}
        totals[measure], tables[measure] = small_cells.published(tally.total[measure], counts, limit)
    yield {"name": "total", "part": list(_cells(totals))}
    for name in planning.DIMENSIONS:
        for row in sorted(tally.rows[name], key=lambda row: _order(name, row)):
            cells: dict[str, int | None] = {measure: tables[measure][name][row] for measure in planning.MEASURES}
            described = [
                {"name": "dimension", "valueCode": name},
                {"name": "code", "valueString": row},
                {"name": "display", "valueString": _display(name, row, question.language)},
            ]
            yield {"name": "stratum", "part": [*described, *_cells(cells)]}


def _cells(cells: dict[str, int | None]) -> Iterator[Resource]:
    for measure, value in cells.items():
        if value is not None:
            yield {"name": measure, "valueUnsignedInt": value}
    for measure, value in cells.items():
        if value is None:
            yield {"name": "withheld", "valueCode": measure}


def _order(dimension: str, row: str) -> tuple[int, str]:
    if dimension == "age" and row in planning.AGE_BANDS:
        return planning.AGE_BANDS.index(row), row
    return (len(planning.AGE_BANDS) + (row == planning.UNKNOWN), row)


def _display(dimension: str, row: str, language: str) -> str:
    if row in (planning.UNKNOWN, SEVERAL):
        return sentence("planning", row, language, {})
    match dimension:
        case "county":
            return vocabulary.display(vocabulary.COUNTY, row, language)
        case "race":
            return sentence("planning", f"race-{row}", language, {})
        case _:
            return sentence("planning", "age", language, {"band": row})
