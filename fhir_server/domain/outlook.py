"""What comes next in one series: is a dose needed, from when, when best, and until when.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapter 7)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.domain.assessment import SeriesStatus
from fhir_server.domain.calendar import FAR_PAST, Period
from fhir_server.domain.case import Case
from fhir_server.domain.course import Course
from fhir_server.domain.person import Person
from fhir_server.domain.relevance import Bearing, is_contraindicated
from fhir_server.domain.schedule import Age, Interval, Series, SeriesDose
from fhir_server.domain.skips import is_skipped


@dataclass(frozen=True, slots=True)
class Dates:
    """Ordinals of a forecast."""

    earliest: int
    recommended: int
    past_due: int | None
    latest: int | None
    unadjusted_recommended: int
    unadjusted_past_due: int | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The end of a course. `target` is the index of the dose that is next, `earliest` the first day it could be given
    and `because` what makes that day; all three only where a dose is needed."""

    course: Course
    status: SeriesStatus
    reason: str
    target: int | None = None
    earliest: int | None = None
    because: str = ""

    @property
    def series(self) -> Series:
        return self.course.series

    @property
    def is_complete(self) -> bool:
        return self.status == "complete"

    @property
    def is_in_process(self) -> bool:
        return self.status == "not-complete" and bool(self.course.satisfied)


def look_ahead(course: Course, found: Bearing, case: Case) -> Outlook:
    """The outlook on the day of assessment. Leaves the course as it was."""
    doses, day = course.series.doses, case.day
    target = _skip(course, case, course.target, day)
    while True:
        if target >= len(doses):
            if course.satisfied:
                return Outlook(course, "complete", "series-complete")
            return Outlook(course, "not-recommended", "nothing-needed")
        if found.is_immune:
            return Outlook(course, "immune", "immune")
        if is_contraindicated(course.series, found):
            return Outlook(course, "contraindicated", "contraindicated")
        dose = doses[target]
        if day > dose.season_end:
            return Outlook(course, "not-recommended", "season-over")
        earliest, because = _earliest(dose, course, case)
        maximum = _maximum(dose, case)
        if maximum is not None and (day >= maximum or earliest >= maximum):
            return Outlook(course, "aged-out", "aged-out")
        # Would the dose still be needed on the day it was forecast for? If not, the next one is.
        following = _skip(course, case, target, earliest)
        if following == target:
            return Outlook(course, "not-complete", "dose-needed", target, earliest, because)
        target = _skip(course, case, following, day)


def dates(outlook: Outlook, case: Case) -> Dates | None:
    """All dates of the dose that is needed, None where none is."""
    if outlook.target is None or outlook.earliest is None:
        return None
    earliest, dose, person = outlook.earliest, outlook.series.doses[outlook.target], case.person
    ages = [one for one in dose.ages if one.effective <= case.day <= one.cessation]
    spans = _measured(dose.intervals, outlook.course, case)
    ideal = _first(_age_days(ages, "recommended", person), _interval_days(spans, "recommended"))
    due = _first(_age_days(ages, "latest", person), _interval_days(spans, "latest"))
    unadjusted = earliest if ideal is None else ideal
    past_due = None if due is None else due - 1
    maximum = _maximum(dose, case)
    return Dates(
        earliest=earliest,
        recommended=max(earliest, unadjusted),
        past_due=None if past_due is None else max(earliest, past_due),
        latest=None if maximum is None else maximum - 1,
        unadjusted_recommended=unadjusted,
        unadjusted_past_due=past_due,
    )


def finish(outlook: Outlook, case: Case) -> int | None:
    """When the series could be finished: the earliest day plus the longest of the intervals that then remain. None
    where no dose is needed, or the person would be too old for the last one."""
    if outlook.target is None or outlook.earliest is None:
        return None
    earliest, remaining = outlook.earliest, outlook.series.doses[outlook.target :]
    end = earliest
    for dose in remaining[1:]:
        for one in dose.intervals:
            if one.minimum is not None and one.effective <= case.day <= one.cessation:
                end = max(end, one.minimum.after(earliest))
    maximum = _maximum(remaining[-1], case)
    return None if maximum is not None and end >= maximum else end


def _skip(course: Course, case: Case, target: int, day: int) -> int:
    doses = course.series.doses
    while target < len(doses) and is_skipped(doses[target], course, case, day, forecasting=True):
        target += 1
    return target


def _earliest(dose: SeriesDose, course: Course, case: Case) -> tuple[int, str]:
    """CDSi's candidate earliest date and what makes it; the rules are those in force on the day of assessment. Of
    equal days the one named first is the reason; without any the birth date is."""
    person, day, knowledge_base = case.person, case.day, case.knowledge_base
    latest, because = person.born, "age"
    for age in dose.ages:
        if age.minimum is not None and age.effective <= day <= age.cessation:
            latest = max(latest, person.at(age.minimum))
    for one in dose.intervals:
        if one.minimum is not None and one.effective <= day <= one.cessation:
            since = course.reference(one, person, day)
            if since is not None and (end := one.minimum.after(since)) > latest:
                latest, because = end, "interval"
    if dose.season_start is not None and dose.season_start > latest:
        latest, because = dose.season_start, "season"
    if course.mistaken is not None and course.mistaken > latest:
        latest, because = course.mistaken, "mistake"
    if course.seen and course.seen[-1][0] > latest:
        latest, because = course.seen[-1][0], "last-dose"
    if not knowledge_base.conflicts.keys().isdisjoint(dose.preferable):
        end = _conflict_end(dose, case)
        if end > latest:
            latest, because = end, "conflict"
    return latest, because


def _measured(intervals: Sequence[Interval], course: Course, case: Case) -> list[tuple[Interval, int]]:
    """The intervals in force that have something to be measured from, each with that day."""
    found = []
    for one in intervals:
        if one.effective <= case.day <= one.cessation:
            since = course.reference(one, case.person, case.day)
            if since is not None:
                found.append((one, since))
    return found


def _age_days(ages: Sequence[Age], which: str, person: Person) -> int | None:
    periods: list[Period | None] = [age.recommended if which == "recommended" else age.latest for age in ages]
    return max((person.at(one) for one in periods if one is not None), default=None)


def _interval_days(spans: Sequence[tuple[Interval, int]], which: str) -> int | None:
    days = [(span.recommended if which == "recommended" else span.latest, since) for span, since in spans]
    return max((one.after(since) for one, since in days if one is not None), default=None)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _conflict_end(dose: SeriesDose, case: Case) -> int:
    """When the products preferred for the dose no longer conflict with what was given."""
    conflicts = case.knowledge_base.conflicts
    tables = [conflicts[cvx] for cvx in dose.preferable if cvx in conflicts]
    ends = (table[one.cvx].end.after(one.day) for table in tables for one in case.others if one.cvx in table)
    return max(ends, default=FAR_PAST)


def _maximum(dose: SeriesDose, case: Case) -> int | None:
    """The day from which the person is too old for the dose; None where the schedule sets no such age."""
    ages = (one.maximum for one in dose.ages if one.effective <= case.day <= one.cessation)
    return max((case.person.at(one) for one in ages if one is not None), default=None)
