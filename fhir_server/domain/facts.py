"""Facts about a person: each value with who attested it and since when; birth dates and completed years.

https://hl7.org/fhir/R4/datatypes.html#date
"""

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, date
from typing import Literal

Attester = Literal["self", "employer", "provider", "record"]
"""The person's own answer, an employer's roster, a provider's entry, or the person's record on this server."""

BIRTH_DATE = "birth-date"

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """Who attested a fact: in which capacity, and `by` whom exactly, if known. `reference` points to where it was said,
    `since` is the day it was. Pointers are opaque."""

    attester: Attester
    reference: str | None = None
    since: date | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class BirthDate:
    """A birth date as precise as it is known: somewhere from `earliest` to `latest`, both included."""

    earliest: date
    latest: date

    @classmethod
    def parse(cls, text: str) -> "BirthDate":
        """From `YYYY`, `YYYY-MM` or `YYYY-MM-DD`. ValueError where the text is no such date."""
        parts = _DATE.fullmatch(text)
        if parts is None:
            raise ValueError(f"not a date: {text!r}")
        year, month, day = int(parts[1]), int(parts[2] or 0), int(parts[3] or 0)
        if parts[2] is None:
            return cls(date(year, 1, 1), date(year, 12, 31))
        if parts[3] is None:
            return cls(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))
        return cls(date(year, month, day), date(year, month, day))

    def ages(self, on: date) -> tuple[int, int]:
        """The lowest and the highest possible completed years on that day; negative before birth."""
        return completed_years(self.latest, on), completed_years(self.earliest, on)


Value = BirthDate | bool | frozenset[str]
"""A birth date, a yes or no, or the codes that apply (none of them is an answer too)."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One attested value. Its name is the question's linkId in the registration questionnaire."""

    name: str
    value: Value
    source: Source


@dataclass(frozen=True, slots=True)
class Dose:
    """A completed dose: CVX code and local calendar date."""

    cvx: str
    given: date


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one person. Several attesters may speak to one fact; a name that is absent is unknown."""

    known: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    doses: tuple[Dose, ...] = ()
    declined: Source | None = None
    deceased: Source | None = None

    @classmethod
    def of(
        cls,
        facts: Iterable[Fact],
        doses: Iterable[Dose] = (),
        declined: Source | None = None,
        deceased: Source | None = None,
    ) -> "Facts":
        """Facts by name, in the order given: the first that satisfies a criterion is the one quoted."""
        known: dict[str, tuple[Fact, ...]] = {}
        for fact in facts:
            known[fact.name] = (*known.get(fact.name, ()), fact)
        return cls(known, tuple(doses), declined, deceased)

    def about(self, name: str) -> tuple[Fact, ...]:
        return self.known.get(name, ())


def birthday(born: date, years: int) -> date:
    """The day on which somebody born then completes that many years; born on 29 February: 1 March in common years.
    The last day of the calendar where it lies beyond."""
    year = born.year + years
    if year > MAXYEAR:
        return date.max
    if born.month == 2 and born.day == 29 and not calendar.isleap(year):
        return date(year, 3, 1)
    return born.replace(year=year)


def completed_years(born: date, on: date) -> int:
    """Whole years lived on that day; the birthday itself completes one. Negative before birth."""
    years = on.year - born.year
    return years if (on.month, on.day) >= (born.month, born.day) else years - 1
