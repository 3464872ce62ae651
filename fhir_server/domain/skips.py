"""Conditional skips: is a target dose not needed, by what the person has had by then and how old they are.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapters 6.2, 7.1 and 7.6)
"""

from fhir_server.domain.case import Case
from fhir_server.domain.course import Course
from fhir_server.domain.person import Person
from fhir_server.domain.schedule import Condition, ConditionSet, SeriesDose


def is_skipped(dose: SeriesDose, course: Course, case: Case, day: int, *, forecasting: bool) -> bool:
    """Whether the target dose can be skipped on that day: the day of the dose under evaluation, the day of assessment,
    or the earliest day that was forecast. The course holds the doses before it."""
    for skip in dose.skips:
        if not (skip.forecast if forecasting else skip.evaluation):
            continue
        sets = [one for one in skip.sets if one.effective <= day <= one.cessation]
        met = (_is_set_met(one, course, case, day) for one in sets)
        if sets and (all(met) if skip.all else any(met)):
            return True
    return False


def _is_set_met(one: ConditionSet, course: Course, case: Case, day: int) -> bool:
    met = (_is_met(condition, course, case, day) for condition in one.conditions)
    return all(met) if one.all else any(met)


def _is_met(condition: Condition, course: Course, case: Case, day: int) -> bool:
    match condition.kind:
        case "age":
            return case.person.is_within(condition.ages, day)
        case "interval":
            # The last dose that counts for an interval; without any dose there is no interval.
            span = condition.interval
            return span is not None and bool(course.counted) and span.after(course.counted[-1][0]) <= day
        case "completed":
            return not condition.groups.isdisjoint(case.completed)
        case _:
            return _is_count_met(condition, course, case.person)


def _is_count_met(condition: Condition, course: Course, person: Person) -> bool:
    ages, vaccines = condition.ages, condition.vaccines
    start, end = condition.start, condition.end
    if ages.start is not None:
        start = max(start, person.at(ages.start))
    if ages.end is not None:
        end = min(end, person.at(ages.end))
    count = 0
    for day, cvx in course.valid if condition.valid else course.seen:
        if start <= day < end and (not vaccines or cvx in vaccines):
            count += 1
    match condition.compare:
        case "greater than":
            return count > condition.count
        case "equal to":
            return count == condition.count
        case _:
            return count < condition.count
