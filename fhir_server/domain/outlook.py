"""What comes next in one series: is a dose needed, from when, when best, and until when.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapter 7)
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from fhir_server.domain.assessment import SeriesStatus
from fhir_server.domain.calendar import Period
from fhir_server.domain.course import Course, Shot
from fhir_server.domain.person import Person
from fhir_server.domain.relevance import Bearing, is_contraindicated
from fhir_server.domain.schedule import Age, Interval, KnowledgeBase, Series, SeriesDose
from fhir_server.domain.skips import is_skipped


@dataclass(frozen=True, slots=True)
class Dates:
    """Ordinals of a forecast; `because` says which of its candidates made `earliest`."""

    earliest: int
    because: str
    recommended: int
    past_due: int | None
    latest: int | None
    unadjusted_recommended: int
    unadjusted_past_due: int | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The end of a course. `target` is the index of the dose that is next, `dates` its; both only where one is.
    `remaining` is how many target doses are neither satisfied nor skipped, `finish` the day the last of them could be
    given; None where it never could."""

    course: Course
    status: SeriesStatus
    reason: str
    target: int | None = None
    dates: Dates | None = None
    remaining: int = 0
    finish: int | None = None

    @property
    def series(self) -> Series:
        return self.course.series

    @property
    def is_complete(self) -> bool:
        return self.status == "complete"

    @property
    def is_in_process(self) -> bool:
        return self.status == "not-complete" and bool(self.course.satisfied)


def look_ahead(
    course: Course,
    person: Person,
    found: Bearing,
    knowledge_base: KnowledgeBase,
    others: Sequence[Shot],
    day: int,
    completed: Set[str],
) -> Outlook:
    """The outlook on the day of assessment. Leaves the course as it was. `others` are doses of every kind."""
    doses = course.series.doses
    target = _skip(course, person, course.target, day, completed)
    while True:
        if target >= len(doses):
            if course.satisfied:
                return Outlook(course, "complete", "series-complete")
            return Outlook(course, "not-recommended", "nothing-needed")
        if found.is_immune:
            return Outlook(course, "immune", "immune", target)
        if is_contraindicated(course.series, found):
            return Outlook(course, "contraindicated", "contraindicated", target)
        dose = doses[target]
        if day > dose.season_end:
            return Outlook(course, "not-recommended", "season-over", target)
        dates = _dates(dose, course, person, knowledge_base, others, day)
        maximum = _maximum(dose, person, day)
        if maximum is not None and (day >= maximum or dates.earliest >= maximum):
            return Outlook(course, "aged-out", "aged-out", target)
        # Would the dose still be needed on the day it was forecast for? If not, the next one is.
        following = _skip(course, person, target, dates.earliest, completed)
        if following == target:
            break
        target = _skip(course, person, following, day, completed)
    remaining = len(doses) - target
    return Outlook(
        course, "not-complete", "dose-needed", target, dates, remaining, _finish(doses[target:], dates, person, day)
    )


def _skip(course: Course, person: Person, target: int, day: int, completed: Set[str]) -> int:
    doses = course.series.doses
    while target < len(doses) and is_skipped(doses[target], course, person, day, completed, forecasting=True):
        target += 1
    return target


def _dates(
    dose: SeriesDose,
    course: Course,
    person: Person,
    knowledge_base: KnowledgeBase,
    others: Sequence[Shot],
    day: int,
) -> Dates:
    """CDSi's candidate earliest date and what follows from it; rules are those in force on the day of assessment."""
    ages = [one for one in dose.ages if one.effective <= day <= one.cessation]
    spans = _measured(dose.intervals, course, person, day)
    candidates: list[tuple[int, str]] = [(person.at(age.minimum), "age") for age in ages if age.minimum is not None]
    candidates += [(span.minimum.after(since), "interval") for span, since in spans if span.minimum is not None]
    if dose.season_start is not None:
        candidates.append((dose.season_start, "season"))
    if course.mistaken is not None:
        candidates.append((course.mistaken, "mistake"))
    if course.seen:
        candidates.append((course.seen[-1][0], "last-dose"))
    if knowledge_base.conflicts:
        candidates += _conflict_ends(dose, knowledge_base, others)
    # Of equal days the one named first is the reason; without any the birth date is.
    earliest, because = max(candidates, key=lambda one: one[0], default=(person.born, "age"))
    ideal = _first(_age_days(ages, "recommended", person), _interval_days(spans, "recommended"))
    due = _first(_age_days(ages, "latest", person), _interval_days(spans, "latest"))
    unadjusted = earliest if ideal is None else ideal
    past_due = None if due is None else due - 1
    maximum = _maximum(dose, person, day)
    return Dates(
        earliest=earliest,
        because=because,
        recommended=max(earliest, unadjusted),
        past_due=None if past_due is None else max(earliest, past_due),
        latest=None if maximum is None else maximum - 1,
        unadjusted_recommended=unadjusted,
        unadjusted_past_due=past_due,
    )


def _measured(intervals: Sequence[Interval], course: Course, person: Person, day: int) -> list[tuple[Interval, int]]:
    """The intervals in force that have something to be measured from, each with that day."""
    found = []
    for one in intervals:
        if one.effective <= day <= one.cessation:
            since = course.reference(one, person, day)
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


def _conflict_ends(dose: SeriesDose, knowledge_base: KnowledgeBase, others: Sequence[Shot]) -> list[tuple[int, str]]:
    """When the products preferred for the dose no longer conflict with what was given."""
    found = []
    for cvx in dose.preferable:
        conflicts = knowledge_base.conflicts.get(cvx)
        if conflicts is not None:
            found += [(conflicts[one.cvx].end.after(one.day), "conflict") for one in others if one.cvx in conflicts]
    return found


def _maximum(dose: SeriesDose, person: Person, day: int) -> int | None:
    """The day from which the person is too old for the dose; None where the schedule sets no such age."""
    ages = (one.maximum for one in dose.ages if one.effective <= day <= one.cessation)
    return max((person.at(one) for one in ages if one is not None), default=None)


def _finish(remaining: Sequence[SeriesDose], dates: Dates, person: Person, day: int) -> int | None:
    """When the series could be finished: the earliest day plus the longest of the intervals that then remain. None
    where the person would be too old for the last dose."""
    finish = dates.earliest
    for dose in remaining[1:]:
        for one in dose.intervals:
            if one.minimum is not None and one.effective <= day <= one.cessation:
                finish = max(finish, one.minimum.after(dates.earliest))
    maximum = _maximum(remaining[-1], person, day)
    return None if maximum is not None and finish >= maximum else finish
