"""Is each given dose valid, and why not: a person's doses held against the target doses of a series, one by one.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapters 4.4 and 6)
"""

from collections.abc import Iterable

from fhir_server.domain.case import Case
from fhir_server.domain.course import Course, Finding, Shot, Why
from fhir_server.domain.person import Person
from fhir_server.domain.schedule import Interval, Series, SeriesDose
from fhir_server.domain.skips import is_skipped


def evaluate(series: Series, case: Case) -> Course:
    """The course of the series after the doses given."""
    course = Course(series)
    for shot in case.given:
        finding = _next(course, shot, case)
        course.findings.append(finding)
        course.seen.append((shot.day, shot.cvx))
        if finding.status == "valid":
            course.valid.append((shot.day, shot.cvx))
            course.satisfied[course.target] = shot.day
            if not series.doses[course.target].recurring:
                course.target += 1
        if finding.why[0][0] == "inadvertent":
            course.mistaken = shot.day
        elif finding.status in ("valid", "not-valid"):
            course.counted.append((shot.day, shot.cvx))
    return course


def _next(course: Course, shot: Shot, case: Case) -> Finding:
    dose, day = shot.dose, shot.day
    if dose.expires is not None and day > dose.expires.toordinal():
        return Finding(shot, "sub-standard", (("lot-expired", dose.expires.toordinal()),), None)
    if dose.substandard:
        return Finding(shot, "sub-standard", (("sub-standard", None),), None)
    for target in course.series.doses[course.target :]:
        if not target.skips or not is_skipped(target, course, case, day, forecasting=False):
            return _hold(target, course, shot, case)
        course.target += 1
    return Finding(shot, "extraneous", (("series-done", None),), None)


def _hold(target: SeriesDose, course: Course, shot: Shot, case: Case) -> Finding:
    """The dose against a target dose. Age comes first, then interval, conflict and vaccine, as in CDSi's table."""
    at, person = course.target, case.person
    if shot.cvx in target.inadvertent:
        return Finding(shot, "not-valid", (("inadvertent", None),), at)
    notes: list[Why] = []
    day = shot.day
    for age in target.ages:
        if not age.effective <= day <= age.cessation:
            continue
        if age.absolute is not None and day < (from_day := person.at(age.absolute)):
            return Finding(shot, "not-valid", (("too-young", from_day),), at)
        if age.maximum is not None and day >= (end := person.at(age.maximum)):
            return Finding(shot, "extraneous", (("too-old", end),), at)
        if age.minimum is not None and day < (from_day := person.at(age.minimum)):
            notes.append(("grace-age", from_day))
    too_soon = _too_soon(target.intervals, course, person, shot, notes) if target.intervals else None
    if too_soon is not None:
        allowable = [one for one in target.allowable_intervals if one.effective <= shot.day <= one.cessation]
        if not allowable or _too_soon(allowable, course, person, shot, []) is not None:
            return Finding(shot, "not-valid", (("too-soon", too_soon),), at)
        notes.append(("allowable-interval", too_soon))
    conflict = _conflict(shot, course, case) if shot.cvx in case.knowledge_base.conflicts else None
    if conflict is not None:
        return Finding(shot, "not-valid", (("conflict", conflict),), at)
    vaccine = _vaccine(target, shot, person)
    if vaccine in ("wrong-vaccine", "wrong-vaccine-age"):
        return Finding(shot, "not-valid", ((vaccine, None),), at)
    return Finding(shot, "valid", ((vaccine, None), *notes), at)


def _too_soon(
    intervals: Iterable[Interval], course: Course, person: Person, shot: Shot, notes: list[Why]
) -> int | None:
    """The first day that would have kept all intervals, None where the dose keeps them. All of them have to be."""
    latest: int | None = None
    day = shot.day
    for one in intervals:
        if not one.effective <= day <= one.cessation:
            continue
        reference = course.reference(one, person, day)
        if reference is None:
            continue
        minimum = None if one.minimum is None else one.minimum.after(reference)
        absolute = None if one.absolute is None else one.absolute.after(reference)
        if absolute is not None and day < absolute:
            latest = absolute if latest is None or absolute > latest else latest
        elif minimum is not None and day < minimum:
            notes.append(("grace-interval", minimum))
    return latest


def _conflict(shot: Shot, course: Course, case: Case) -> int | None:
    """The first day without a conflict with an earlier product, None where there is none on the dose's day."""
    ends: list[int] = []
    conflicts = case.knowledge_base.conflicts[shot.cvx]
    for other in case.others:
        conflict = conflicts.get(other.cvx)
        if conflict is None or other.day > shot.day or other is shot:
            continue
        # Whether a dose against another disease was valid is not known here; it is taken to be.
        valid = other.cvx not in case.knowledge_base.vaccines or (other.day, other.cvx) in course.valid
        end = (conflict.minimum_end if valid else conflict.end).after(other.day)
        if conflict.begin.after(other.day) <= shot.day < end:
            ends.append(end)
    return max(ends, default=None)


def _vaccine(target: SeriesDose, shot: Shot, person: Person) -> str:
    dose = shot.dose
    for one in target.preferable.get(shot.cvx, ()):
        if person.is_within(one.ages, shot.day) and not (one.mvx and dose.mvx and one.mvx != dose.mvx):
            # CDSi: too small a volume is noted, it never makes a dose invalid.
            low = one.volume is not None and dose.volume is not None and dose.volume < one.volume
            return "preferable-low-volume" if low else "preferable"
    ranges = target.allowable.get(shot.cvx, ())
    if any(person.is_within(ages, shot.day) for ages in ranges):
        return "allowable"
    return "wrong-vaccine-age" if ranges or shot.cvx in target.preferable else "wrong-vaccine"
