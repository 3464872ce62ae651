"""A forecast in days and reasons: the chosen series' outlook, put so that a person can follow it.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, chapters 7.5 and 9)
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from fhir_server.domain.assessment import Detail, Evaluation, Forecast, Reason
from fhir_server.domain.case import Case
from fhir_server.domain.course import Why
from fhir_server.domain.history import History
from fhir_server.domain.outlook import Dates, Outlook, dates
from fhir_server.domain.person import Person
from fhir_server.domain.relevance import Bearing


def explain(
    chosen: Outlook,
    evaluations: tuple[Evaluation, ...],
    found: Bearing,
    history: History,
    case: Case,
) -> Forecast:
    """The forecast that the chosen outlook comes to."""
    course, when, as_of = chosen.course, dates(chosen, case), date.fromordinal(case.day)
    answer = Forecast(
        authority=case.knowledge_base.authority,
        version=case.knowledge_base.version,
        as_of=as_of,
        status=chosen.status,
        reasons=tuple(_reasons(chosen, when, evaluations, found, history, as_of)),
        evaluations=evaluations,
        series=chosen.series.name,
        contraindicated=tuple(sorted(found.contraindicated)),
        completed_on=date.fromordinal(course.valid[-1][0]) if chosen.is_complete and course.valid else None,
        shared_decision=chosen.series.shared_decision,
    )
    if when is None:
        return answer
    return replace(
        answer,
        dose_number=len(course.valid) + 1,
        earliest=date.fromordinal(when.earliest),
        recommended=date.fromordinal(when.recommended),
        past_due=_day(when.past_due),
        latest=_day(when.latest),
        unadjusted_recommended=date.fromordinal(when.unadjusted_recommended),
        unadjusted_past_due=_day(when.unadjusted_past_due),
        vaccines=_vaccines(chosen, when, found, case.person, named=True),
        suitable=_vaccines(chosen, when, found, case.person, named=False),
    )


def reason_of(why: Why) -> Reason:
    """A reason and the day it is about."""
    code, day = why
    return Reason(code) if day is None else Reason(code, {"day": date.fromordinal(day)})


def _vaccines(chosen: Outlook, when: Dates, found: Bearing, person: Person, *, named: bool) -> tuple[str, ...]:
    """The products the schedule prefers, or recommends by name: fit for the age on the earliest or on the recommended
    day, and not contraindicated."""
    if chosen.target is None:
        return ()
    fit = {
        cvx
        for cvx, choices in chosen.series.doses[chosen.target].preferable.items()
        if cvx not in found.contraindicated
        and any(
            (one.forecast or not named)
            and (person.is_within(one.ages, when.earliest) or person.is_within(one.ages, when.recommended))
            for one in choices
        )
    }
    return tuple(sorted(fit))


def _reasons(
    chosen: Outlook,
    when: Dates | None,
    evaluations: Sequence[Evaluation],
    found: Bearing,
    history: History,
    as_of: date,
) -> Iterable[Reason]:
    yield _status(chosen, found)
    forbidding = tuple(dict.fromkeys(found.contraindicated.values()))
    if chosen.status == "contraindicated":
        yield from (Reason("contraindication", {"observation": code}) for code in found.forbidden or forbidding)
    if when is not None:
        yield Reason(f"earliest-{chosen.because}", {"day": date.fromordinal(when.earliest)})
        if when.recommended > when.earliest:
            yield Reason("recommended-later", {"day": date.fromordinal(when.recommended)})
        if when.past_due is not None and when.past_due < as_of.toordinal():
            yield Reason("overdue", {"day": date.fromordinal(when.past_due) + timedelta(days=1)})
        if chosen.series.shared_decision:
            yield Reason("shared-decision")
    if chosen.status != "contraindicated":
        yield from (Reason("product-contraindication", {"observation": code}) for code in forbidding)
    if chosen.series.type == "risk":
        asked = {one.observation for one in chosen.series.indications}
        yield from (Reason("indication", {"observation": code}) for code in found.indications if code in asked)
    if not history.born_exactly and history.born is not None:
        yield Reason("birth-date-partial", {"day": history.born})
    unclear = sum(1 for one in evaluations if one.reasons[0].code in ("date-unknown", "vaccine-unknown"))
    if unclear:
        yield Reason("history-unclear", {"count": unclear})


def _status(chosen: Outlook, found: Bearing) -> Reason:
    details: dict[str, Detail] = {}
    if chosen.is_complete:
        details["day"] = date.fromordinal(chosen.course.valid[-1][0])
    if chosen.status == "immune":
        if found.immune is None:
            return Reason("immune-by-birth")
        details["observation"] = found.immune
    return Reason(chosen.reason, details)


def _day(ordinal: int | None) -> date | None:
    return None if ordinal is None else date.fromordinal(ordinal)
