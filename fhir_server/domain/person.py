"""A person as a schedule sees one: the day they reach an age, and what holds of them on a day.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, Date Calculations)
"""

from collections.abc import Iterable

from fhir_server.domain.calendar import FAR_FUTURE, FAR_PAST, Period
from fhir_server.domain.history import Observation
from fhir_server.domain.schedule import AgeRange


class Person:
    """Days are ordinals. Every series asks for the same few ages, so each is worked out once."""

    __slots__ = ("_ages", "_observed", "born", "country", "gender")

    def __init__(self, born: int, gender: str | None, country: str | None, observations: Iterable[Observation]) -> None:
        self.born = born
        self.gender = gender
        self.country = country
        self._ages: dict[Period, int] = {}
        self._observed: dict[str, list[tuple[int, int]]] = {}
        for one in observations:
            since = one.since.toordinal() if one.since else FAR_PAST
            until = one.until.toordinal() if one.until else FAR_FUTURE
            self._observed.setdefault(one.code, []).append((since, until))

    @property
    def is_observed(self) -> bool:
        """Whether anything was observed of the person at all."""
        return bool(self._observed)

    def at(self, age: Period) -> int:
        """The day on which the person reaches that age."""
        found = self._ages.get(age)
        if found is None:
            found = self._ages[age] = age.after(self.born)
        return found

    def is_within(self, ages: AgeRange, day: int) -> bool:
        """Whether the person is of these ages on that day; the end age is not."""
        start, end = ages.start, ages.end
        return (start is None or self.at(start) <= day) and (end is None or day < self.at(end))

    def has(self, code: str, day: int) -> bool:
        """Whether the observation holds on that day."""
        spans = self._observed.get(code)
        return spans is not None and any(since <= day <= until for since, until in spans)

    def last_observed(self, code: str, day: int) -> int | None:
        """The last day up to that one on which the observation was made, None where no day is known."""
        known = (since for since, _ in self._observed.get(code, ()) if FAR_PAST < since <= day)
        return max(known, default=None)
