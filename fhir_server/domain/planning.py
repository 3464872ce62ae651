"""Planning: who would be eligible if a phase were open on a day, counted by county, age and race.

https://hl7.org/fhir/R4/group.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from fhir_server.domain import combined
from fhir_server.domain.assessment import Forecast
from fhir_server.domain.facts import BIRTH_DATE, BirthDate, Facts
from fhir_server.domain.phases import Group

Measure = Literal["registered", "eligible", "unknown"]
"""People on record; those of them who would be eligible; those of whom too little is known to tell."""

MEASURES: tuple[Measure, ...] = ("registered", "eligible", "unknown")
DIMENSIONS = ("county", "age", "race")

UNKNOWN = "unknown"
"""The row of those whose county, age or race is not known."""

_BANDS = ((0, 4), (5, 11), (12, 15), (16, 17), (18, 29), (30, 39), (40, 49), (50, 64), (65, 74))
_OLDEST = "75+"

AGE_BANDS = (*(f"{low}-{high}" for low, high in _BANDS), _OLDEST)


def if_open(groups: Sequence[Group], on: date) -> tuple[Group, ...]:
    """The Groups as if they opened that day."""
    return tuple(replace(group, opens=on, closes=None) for group in groups)


def verdict(facts: Facts, opened: Sequence[Group], on: date, forecast: Forecast | None) -> Measure:
    """`eligible`, `unknown`, or only `registered`: for the Groups of `if_open`. Those who are done, who declined, or to
    whom the vaccine must not be given are not eligible."""
    match combined.decide(facts, opened, on, forecast).status:
        case "eligible":
            return "eligible"
        case "needs-info":
            return "unknown"
        case _:
            return "registered"


def county(facts: Facts) -> str:
    """The code of the county where the person lives, or `unknown`."""
    for fact in facts.about("county"):
        if isinstance(fact.value, frozenset) and len(fact.value) == 1:
            return next(iter(fact.value))
    return UNKNOWN


def age_band(facts: Facts, on: date) -> str:
    """The age band, or `unknown` where the birth date is not known well enough to tell (or lies ahead)."""
    for fact in facts.about(BIRTH_DATE):
        if isinstance(fact.value, BirthDate):
            bands = {_band(age) for age in fact.value.ages(on)}
            return bands.pop() if len(bands) == 1 else UNKNOWN
    return UNKNOWN


def _band(age: int) -> str:
    if age < 0:
        return UNKNOWN
    return next((f"{low}-{high}" for low, high in _BANDS if low <= age <= high), _OLDEST)


@dataclass(slots=True)
class Tally:
    """Counts as they grow: of everybody, and by dimension and row."""

    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEASURES, 0))
    rows: dict[str, dict[str, dict[str, int]]] = field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    """By dimension, row and measure."""

    def add(self, measure: Measure, traits: dict[str, str]) -> None:
        """One more person; `traits` names their row in every dimension."""
        cells = [self.total]
        cells += [self.rows[name].setdefault(traits[name], dict.fromkeys(MEASURES, 0)) for name in DIMENSIONS]
        for cell in cells:
            cell["registered"] += 1
            if measure != "registered":
                cell[measure] += 1
