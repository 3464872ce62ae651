"""Evaluation and forecast of one disease: what a person's doses are worth on a day, and when the next one is due.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapters 4 and 9)

Everything comes from the knowledge base. What no schedule can be applied to (a dose of an unknown day, a person of
unknown birth) gets an answer and a reason as well, never an exception.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache

from fhir_server.domain.assessment import DoseStatus, Evaluation, Forecast, Reason, SeriesStatus
from fhir_server.domain.calendar import FAR_FUTURE
from fhir_server.domain.case import Case
from fhir_server.domain.course import Finding, Shot, shots
from fhir_server.domain.evaluate import evaluate
from fhir_server.domain.explain import explain, reason_of
from fhir_server.domain.history import GivenDose, History
from fhir_server.domain.outlook import Outlook, look_ahead
from fhir_server.domain.person import Person
from fhir_server.domain.relevance import Bearing, bearing
from fhir_server.domain.schedule import KnowledgeBase
from fhir_server.domain.selection import best, is_ahead, is_begun_too_late

_PRECEDENCE = ("not-complete", "contraindicated", "aged-out", "not-recommended", "immune", "complete")
"""Where several series speak for a person: a dose that is needed comes first, the earliest before others."""


def forecast(history: History, as_of: date, knowledge_base: KnowledgeBase, *, later_doses: bool = False) -> Forecast:
    """Evaluation and forecast as of that day, which later doses do not change. Never raises for what a history holds.

    `later_doses`: they count all the same. CDSi itself does not look whether a dose is later than the assessment.
    """
    if history.born is None or history.born > as_of:
        code = "no-birth-date" if history.born is None else "not-born"
        return _nothing("unknown", code, history, as_of, knowledge_base)
    born, day = history.born.toordinal(), as_of.toordinal()
    until = FAR_FUTURE if later_doses else day
    person = Person(born, history.gender, history.birth_country, history.observations)
    given, repeated = _once_a_day(shots(history.doses, born, until, knowledge_base.vaccines), knowledge_base)
    others = shots(history.doses, born, until) if knowledge_base.conflicts else given
    case = Case(person, knowledge_base, day, given, others)
    found = bearing(case)
    if not found.series:
        return _nothing("not-recommended", "no-series", history, as_of, knowledge_base)
    chosen = min(best(_outlooks(found, case), case), key=_standing)
    findings = {one.shot.position: one for one in chosen.course.findings}
    evaluations = tuple(
        _evaluation(dose, findings.get(position), position in repeated, chosen, history, knowledge_base)
        for position, dose in _in_time(history)
    )
    return explain(chosen, evaluations, found, history, case)


def _standing(one: Outlook) -> tuple[int, int]:
    return _PRECEDENCE.index(one.status), FAR_FUTURE if one.earliest is None else one.earliest


def _outlooks(found: Bearing, case: Case) -> list[Outlook]:
    """The relevant series to their ends, save those that cannot be chosen any more. Where series ask which groups are
    complete, that is found out first."""
    if _asks_for_groups(case.knowledge_base):
        courses = [evaluate(one, case) for one in found.series]
        case = replace(case, completed={course.series.group for course in courses if course.is_done})
    late = [one for one in found.series if is_begun_too_late(one, case)]
    outlooks = [look_ahead(evaluate(one, case), found, case) for one in found.series if one not in late]
    decided = {one.series.group for one in outlooks if is_ahead(one, case)}
    return outlooks + [look_ahead(evaluate(one, case), found, case) for one in late if one.group not in decided]


@cache
def _asks_for_groups(knowledge_base: KnowledgeBase) -> bool:
    return any(
        condition.kind == "completed"
        for series in knowledge_base.series
        for dose in series.doses
        for skip in dose.skips
        for one in skip.sets
        for condition in one.conditions
    )


def _once_a_day(given: Sequence[Shot], knowledge_base: KnowledgeBase) -> tuple[list[Shot], set[int]]:
    """One dose a day: one without a flaw if there is one, a named product rather than an unspecified one. And the
    positions of the doses left out."""

    def worse(shot: Shot) -> tuple[bool, bool]:
        expires = shot.dose.expires
        flawed = shot.dose.substandard or (expires is not None and shot.day > expires.toordinal())
        return flawed, shot.cvx in knowledge_base.unspecified

    kept: dict[int, Shot] = {}
    for shot in given:
        before = kept.setdefault(shot.day, shot)
        if before is not shot and worse(shot) < worse(before):
            kept[shot.day] = shot
    once = list(kept.values())
    return once, {shot.position for shot in given} - {shot.position for shot in once}


def _in_time(history: History) -> list[tuple[int, GivenDose]]:
    """The doses with their positions, earliest first, those without a day last."""
    return sorted(enumerate(history.doses), key=lambda one: (one[1].given or date.max, one[1].cvx or "", one[1].key))


def _evaluation(
    dose: GivenDose,
    finding: Finding | None,
    repeated: bool,
    chosen: Outlook,
    history: History,
    knowledge_base: KnowledgeBase,
) -> Evaluation:
    if finding is not None:
        reasons = tuple(reason_of(one) for one in finding.why)
        series = chosen.series
        target = None if finding.target is None else finding.target + 1
        return Evaluation(dose, finding.status, reasons, series.name, target, len(series.doses))
    if repeated:
        return Evaluation(dose, "not-evaluated", (Reason("duplicate"),))
    status, code = _unplaced(dose, history, knowledge_base)
    return Evaluation(dose, status, (Reason(code),))


def _unplaced(dose: GivenDose, history: History, knowledge_base: KnowledgeBase) -> tuple[DoseStatus, str]:
    """Why the schedule was not applied to a dose."""
    if dose.cvx is None:
        return "not-evaluated", "vaccine-unknown"
    if dose.given is None:
        return "not-evaluated", "date-unknown"
    if history.born is not None and dose.given < history.born:
        return "not-valid", "before-birth"
    if dose.cvx not in knowledge_base.vaccines:
        return "not-evaluated", "other-disease"
    return "not-evaluated", "after-assessment"


def _nothing(status: SeriesStatus, code: str, history: History, as_of: date, knowledge_base: KnowledgeBase) -> Forecast:
    """The answer where no series can be applied."""
    evaluations = tuple(Evaluation(dose, "not-evaluated", (Reason(code),)) for _, dose in _in_time(history))
    return Forecast(knowledge_base.authority, knowledge_base.version, as_of, status, (Reason(code),), evaluations)
