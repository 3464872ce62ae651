"""Which series speaks for the person: of each group the best by CDSi's points, then those no other group replaces.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapter 8)
"""

from collections.abc import Callable, Iterable, Sequence

from fhir_server.domain.calendar import FAR_FUTURE
from fhir_server.domain.outlook import Outlook
from fhir_server.domain.person import Person


def best(outlooks: Sequence[Outlook], person: Person, day: int) -> list[Outlook]:
    """The best series, one or none of a group; all of the chosen where none is best. Empty only for no series."""
    groups: dict[str, list[Outlook]] = {}
    for one in outlooks:
        groups.setdefault(one.series.group, []).append(one)
    chosen = [_prioritized(group, person, day) for group in groups.values()]
    return [one for one in chosen if _is_best(one, chosen)] or chosen


def _is_best(one: Outlook, chosen: Sequence[Outlook]) -> bool:
    if one.is_complete:
        return True
    equivalent = [other for other in chosen if other.series.group in one.series.equivalent]
    if one.series.type == "evaluation-only" or any(other.is_complete for other in equivalent):
        return False
    return one.series.type == "risk" or all(other.series.type != "risk" for other in equivalent)


def _prioritized(group: Sequence[Outlook], person: Person, day: int) -> Outlook:
    candidates = [one for one in group if one.status != "contraindicated"] or list(group)
    default = [one for one in group if one.series.default]
    scorable = [one for one in candidates if _is_scorable(one, group, bool(default), person)]
    if not scorable:
        return default[0] if default else _first(candidates)
    if len(scorable) == 1:
        return scorable[0]
    complete = [one for one in scorable if one.is_complete]
    in_process = [one for one in scorable if one.is_in_process]
    if complete:
        return _winner(complete, [_points(complete, _has_most_doses, 1, 0, -1)])
    if in_process:
        return _winner(
            in_process,
            [
                _points(in_process, _is_clean_product, 2, 2, -2),
                _points(in_process, lambda one, _: one.finish is not None, 3, 3, -3),
                _points(in_process, _has_most_doses, 2, 0, -2),
                _points(in_process, _is_closest, 2, 0, -2),
                _points(in_process, _finishes_first, 1, 0, -1),
            ],
        )
    if len(default) == 1:
        return default[0]

    def starts_first(one: Outlook, among: Sequence[Outlook]) -> bool:
        return _start(one, day) == min(_start(other, day) for other in among)

    return _winner(
        scorable,
        [
            _points(scorable, starts_first, 1, 0, -1),
            _points(scorable, lambda one, _: one.finish is not None, 1, 1, -1),
            # Without a dose, being bound to one product is a drawback.
            _points(scorable, lambda one, _: one.series.product, -1, -1, 1),
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


Condition = Callable[[Outlook, Sequence[Outlook]], bool]


def _points(among: Sequence[Outlook], condition: Condition, alone: int, tied: int, otherwise: int) -> list[int]:
    """The points of each series: true of it alone, true of several, or not true."""
    true = [condition(one, among) for one in among]
    reward = alone if sum(true) == 1 else tied
    return [reward if one else otherwise for one in true]


def _winner(among: Sequence[Outlook], scores: Sequence[Sequence[int]]) -> Outlook:
    totals = [sum(points) for points in zip(*scores, strict=True)]
    highest = max(totals)
    return _first([one for one, total in zip(among, totals, strict=True) if total == highest])


def _first(among: Sequence[Outlook]) -> Outlook:
    return min(among, key=lambda one: one.series.preference)


def _has_most_doses(one: Outlook, among: Sequence[Outlook]) -> bool:
    return len(one.course.valid) == max(len(other.course.valid) for other in among)


def _is_clean_product(one: Outlook, _: Sequence[Outlook]) -> bool:
    return one.series.product and all(finding.status == "valid" for finding in one.course.findings)


def _is_closest(one: Outlook, among: Sequence[Outlook]) -> bool:
    return one.remaining == min(other.remaining for other in among)


def _finishes_first(one: Outlook, among: Sequence[Outlook]) -> bool:
    finishes = [other.finish for other in among if other.finish is not None]
    return one.finish is not None and one.finish == min(finishes)


def _start(one: Outlook, day: int) -> int:
    """When the series could be begun, never where it cannot. A day that has passed is no advantage over others, so
    none is before the assessment."""
    return FAR_FUTURE if one.dates is None else max(one.dates.earliest, day)
