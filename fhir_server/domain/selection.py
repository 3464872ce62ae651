"""Which series speaks for the person: of each group the best by CDSi's points, then those no other group replaces.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapter 8)
"""

from collections.abc import Iterable, Sequence

from fhir_server.domain.calendar import FAR_FUTURE
from fhir_server.domain.case import Case
from fhir_server.domain.outlook import Outlook, finish
from fhir_server.domain.person import Person
from fhir_server.domain.schedule import Series


def best(outlooks: Sequence[Outlook], case: Case) -> list[Outlook]:
    """The best series, one or none of a group; all of the chosen where none is best. Empty only for no series."""
    groups: dict[str, list[Outlook]] = {}
    for one in outlooks:
        groups.setdefault(one.series.group, []).append(one)
    chosen = [_prioritized(group, case) for group in groups.values()]
    return [one for one in chosen if _is_best(one, chosen)] or chosen


def is_begun_too_late(series: Series, case: Case) -> bool:
    """Whether every dose was given when the person was past the age to begin the series, so that it can be chosen only
    where no other series has a valid dose: most of the children's series for most adults."""
    limit = series.maximum_age_to_start
    return (
        series.type == "standard"
        and limit is not None
        and bool(case.given)
        and case.given[0].day >= case.person.at(limit)
    )


def is_ahead(one: Outlook, case: Case) -> bool:
    """Whether no series without a valid dose can be chosen over this one."""
    return (
        one.series.type != "risk"
        and (one.is_complete or one.is_in_process)
        and _is_scorable(one, (), False, case.person)
    )


def _is_best(one: Outlook, chosen: Sequence[Outlook]) -> bool:
    if one.is_complete:
        return True
    equivalent = [other for other in chosen if other.series.group in one.series.equivalent]
    if one.series.type == "evaluation-only" or any(other.is_complete for other in equivalent):
        return False
    return one.series.type == "risk" or all(other.series.type != "risk" for other in equivalent)


def _prioritized(group: Sequence[Outlook], case: Case) -> Outlook:
    candidates = [one for one in group if one.status != "contraindicated"] or list(group)
    # A default that is contraindicated stands for nobody while another series can be given.
    default = [one for one in candidates if one.series.default]
    scorable = [one for one in candidates if _is_scorable(one, group, bool(default), case.person)]
    if not scorable:
        return default[0] if default else _first(candidates)
    if len(scorable) == 1:
        return scorable[0]
    complete = [one for one in scorable if one.is_complete]
    in_process = [one for one in scorable if one.is_in_process]
    if complete:
        return _winner(complete, [_points(_most(complete), 1, 0, -1)])
    if in_process:
        ends = [finish(one, case) for one in in_process]
        return _winner(
            in_process,
            [
                _points([_is_clean_product(one) for one in in_process], 2, 2, -2),
                _points([end is not None for end in ends], 3, 3, -3),
                _points(_most(in_process), 2, 0, -2),
                _points(_least([_remaining(one) for one in in_process]), 2, 0, -2),
                _points(_least([FAR_FUTURE if end is None else end for end in ends]), 1, 0, -1),
            ],
        )
    if len(default) == 1:
        return default[0]
    return _winner(
        scorable,
        [
            _points(_least([_start(one, case.day) for one in scorable]), 1, 0, -1),
            _points([finish(one, case) is not None for one in scorable], 1, 1, -1),
            # Without a dose, being bound to one product is a drawback.
            _points([one.series.product for one in scorable], -1, -1, 1),
        ],
    )


def _is_scorable(one: Outlook, group: Iterable[Outlook], has_default: bool, person: Person) -> bool:
    series = one.series
    match series.type:
        case "risk":
            return all(series.priority <= other.series.priority for other in group)
        case "evaluation-only":
            return one.is_complete
        case _:
            valid = one.course.valid
            if not valid:
                return not has_default
            limit = series.maximum_age_to_start
            return limit is None or valid[0][0] < person.at(limit)


def _points(true: Sequence[bool], alone: int, tied: int, otherwise: int) -> list[int]:
    """The points of each series: a condition is true of it alone, of several, or not of it."""
    reward = alone if sum(true) == 1 else tied
    return [reward if one else otherwise for one in true]


def _winner(among: Sequence[Outlook], scores: Sequence[Sequence[int]]) -> Outlook:
    totals = [sum(points) for points in zip(*scores, strict=True)]
    highest = max(totals)
    return _first([one for one, total in zip(among, totals, strict=True) if total == highest])


def _first(among: Sequence[Outlook]) -> Outlook:
    return min(among, key=lambda one: one.series.preference)


def _most(among: Sequence[Outlook]) -> list[bool]:
    """Which have the most valid doses."""
    counts = [len(one.course.valid) for one in among]
    most = max(counts)
    return [count == most for count in counts]


def _least(values: Sequence[int]) -> list[bool]:
    least = min(values)
    return [value == least for value in values]


def _is_clean_product(one: Outlook) -> bool:
    return one.series.product and all(finding.status == "valid" for finding in one.course.findings)


def _remaining(one: Outlook) -> int:
    """How many target doses are neither satisfied nor skipped."""
    return 0 if one.target is None else len(one.series.doses) - one.target


def _start(one: Outlook, day: int) -> int:
    """When the series could be begun, never where it cannot. A day that has passed is no advantage over others, so
    none is before the assessment."""
    return FAR_FUTURE if one.earliest is None else max(one.earliest, day)
