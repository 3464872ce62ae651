"""The course of one series: which of the person's doses satisfied which target dose so far, and what did not count.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapter 4.4)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fhir_server.domain.assessment import DoseStatus
from fhir_server.domain.history import GivenDose
from fhir_server.domain.person import Person
from fhir_server.domain.schedule import Interval, Series

Why = tuple[str, int | None]
"""A reason before it is put in words: its code and the ordinal of the day it is about."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A dose that can be placed: its day and product are known. `position` is its place in the history."""

    day: int
    cvx: str
    dose: GivenDose
    position: int


@dataclass(slots=True)
class Finding:
    """What came of one dose, and the index of the target dose it was held against."""

    shot: Shot
    status: DoseStatus
    why: tuple[Why, ...]
    target: int | None


@dataclass(slots=True)
class Course:
    """Grows dose by dose. `target` is the index of the target dose that is next: `len(series.doses)` when none is left.

    `valid` and `seen` are day and product of the doses that count, and of all of them; `counted` of those intervals
    are measured from: valid or not valid, but not given by mistake. `satisfied` is the day each target dose was last
    satisfied; a recurring one is satisfied again and again. `mistaken` is the day of the last dose given by mistake.
    """

    series: Series
    target: int = 0
    findings: list[Finding] = field(default_factory=list)
    valid: list[tuple[int, str]] = field(default_factory=list)
    seen: list[tuple[int, str]] = field(default_factory=list)
    counted: list[tuple[int, str]] = field(default_factory=list)
    satisfied: dict[int, int] = field(default_factory=dict)
    mistaken: int | None = None

    @property
    def is_done(self) -> bool:
        return self.target >= len(self.series.doses)

    def reference(self, interval: Interval, person: Person, day: int) -> int | None:
        """The day an interval is measured from, None where there is nothing to measure from."""
        if interval.previous:
            return self.counted[-1][0] if self.counted else None
        if interval.vaccines:
            vaccines = interval.vaccines
            for given, cvx in reversed(self.counted):
                if cvx in vaccines:
                    return given
            return None
        if interval.target is not None:
            return self.satisfied.get(interval.target - 1)
        return person.last_observed(interval.observation, day) if interval.observation else None


def shots(doses: Sequence[GivenDose], born: int, as_of: int, vaccines: frozenset[str] | None = None) -> list[Shot]:
    """The doses that can be placed between birth and a day, in time; of certain products only where these are named.
    The order in which they came decides nothing."""
    placed = [
        Shot(dose.given.toordinal(), dose.cvx, dose, position)
        for position, dose in enumerate(doses)
        if dose.given is not None and dose.cvx is not None and (vaccines is None or dose.cvx in vaccines)
    ]
    return sorted((shot for shot in placed if born <= shot.day <= as_of), key=_order)


def _order(shot: Shot) -> tuple[int, str, str]:
    return shot.day, shot.cvx, shot.dose.key
