"""One row of a roster: what it says of a person, what is wrong with it, and who it is about.

https://hl7.org/fhir/R4/group.html#Group.member
"""

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import date
from typing import TypeVar

from fhir_server.domain import demographics
from fhir_server.domain.demographics import comparable
from fhir_server.domain.facts import completed_years
from fhir_server.domain.roster_file import REQUIRED, Problem, Record

T = TypeVar("T")

LONGEST_CELL = 255
OLDEST = 125
"""Completed years beyond which a birth date is taken for a slip."""


@dataclass(frozen=True, slots=True)
class Row:
    """A person as a roster names them, every value in the form it is stored. `occupation` is the employer's word."""

    line: int
    row_id: str | None
    family: str
    given: tuple[str, ...]
    birth_date: date
    suffix: str | None = None
    gender: str | None = None
    email: str | None = None
    phone: str | None = None
    street: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    county: str | None = None
    races: tuple[str, ...] = ()
    ethnicity: str | None = None
    occupation: str | None = None

    @property
    def person(self) -> str:
        """Equal for rows about the same person, as far as `person_key` can tell."""
        return person_key(self.family, self.given[0], self.birth_date.isoformat())

    @property
    def digest(self) -> str:
        """Equal for rows that say the same, wherever they stand in the file."""
        return _digest(*(str(value) for value in astuple(self)[1:]))


def person_key(family: str, given: str, birth_date: str) -> str:
    """Equal for the same first and last name, as far as spelling goes, and the same birth date (YYYY-MM-DD)."""
    return _digest(comparable(family), comparable(given), birth_date)


def row(record: Record, today: date) -> tuple[Row | None, tuple[Problem, ...]]:
    """The row, None where it cannot be used, and everything that is wrong with it.

    What a person can do without is left out with a warning; names and birth date must be right.
    """
    reading = _Reading(record.line, record.cells)
    for column in record.cells:
        reading.check_characters(column)
    for column in REQUIRED:
        if column not in record.cells:
            reading.refuse(column, "value-missing")
    for column in ("first_name", "last_name"):
        if column in record.cells and not comparable(record.cells[column]):
            reading.refuse(column, "not-a-name")
    born = reading.birth_date(today)
    # A refused row's other columns are read all the same, so that one look at the answer is enough to mend it.
    races, ethnicity = (
        reading.optional("race", demographics.races),
        reading.optional("ethnicity", demographics.ethnicity),
    )
    gender, phone = reading.optional("sex", demographics.gender), reading.optional("phone", demographics.phone)
    email, postal_code = (
        reading.optional("email", demographics.email),
        reading.optional("zip", demographics.postal_code),
    )
    problems = tuple(reading.problems)
    if born is None or any(problem.severity == "error" for problem in problems):
        return None, problems
    state = reading.text("state")
    given = tuple(name for name in (reading.text("first_name"), reading.text("middle_name")) if name)
    return (
        Row(
            record.line,
            record.cells.get("row_id"),
            reading.text("last_name") or "",
            given,
            born,
            reading.text("suffix"),
            gender,
            email,
            phone,
            reading.text("address"),
            reading.text("city"),
            state.upper() if state and len(state) == 2 else state,
            postal_code,
            reading.text("county"),
            races or (),
            ethnicity,
            reading.text("occupation"),
        ),
        problems,
    )


class _Reading:
    """The cells of one row while they are read, and the problems met so far."""

    def __init__(self, line: int, cells: Mapping[str, str]) -> None:
        self.line = line
        self.cells = cells
        self.problems: list[Problem] = []

    def refuse(self, column: str, code: str, **details: str) -> None:
        self.problems.append(Problem(self.line, column, code, details=details))

    def check_characters(self, column: str) -> None:
        value = self.cells[column]
        if len(value) > LONGEST_CELL:
            self.refuse(column, "value-too-long", limit=str(LONGEST_CELL))
        if any(_forbidden(character) for character in value):
            self.refuse(column, "control-character")

    def text(self, column: str) -> str | None:
        """The cell with runs of blanks and line ends made one space."""
        return " ".join(self.cells.get(column, "").split()) or None

    def birth_date(self, today: date) -> date | None:
        text = self.cells.get("birth_date")
        if text is None:
            return None
        try:
            born = demographics.birth_date(text)
        except ValueError as error:
            self.refuse("birth_date", str(error), value=text[:40])
            return None
        if born > today:
            self.refuse("birth_date", "birth-date-future", value=text)
        elif completed_years(born, today) > OLDEST:
            self.refuse("birth_date", "birth-date-too-long-ago", value=text)
        return born

    def optional(self, column: str, read: Callable[[str], T | None]) -> T | None:
        text = self.text(column)
        value = None if text is None else read(text)
        if text is not None and value is None:
            self.problems.append(
                Problem(self.line, column, f"{column}-not-understood", "warning", {"value": text[:80]})
            )
        return value


def _forbidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") and character not in "\t\r\n"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
