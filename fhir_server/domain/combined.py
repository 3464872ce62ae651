"""Policy and schedule combined: may the person come, is the series done, and from which day may a dose be given.

https://www.cdc.gov/iis/cdsi/index.html

The two sides stay apart (`next_dose` is the schedule's alone) and meet in three places: a completed series ends the
question, what must not be given is not offered, and `dose_from` is the later of the two sides' first days.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from fhir_server.domain import eligibility
from fhir_server.domain.assessment import Forecast
from fhir_server.domain.eligibility import Decision, NextDose, Reason
from fhir_server.domain.facts import Facts
from fhir_server.domain.phases import Group
from fhir_server.domain.series import completed_on


def decide(facts: Facts, groups: Sequence[Group], as_of: date, forecast: Forecast | None) -> Decision:
    """The combined answer. Without a forecast (no schedule is in force on that day) only a completed primary series
    is known of the doses."""
    policy = eligibility.decide(facts, groups, as_of)
    if facts.deceased is not None or facts.declined is not None:
        return policy
    if forecast is None or forecast.status == "unknown":
        completed = completed_on(facts.doses, as_of)
        return policy if completed is None else _complete(completed)
    match forecast.status:
        case "complete":
            return _complete(forecast.completed_on or completed_on(facts.doses, as_of) or as_of)
        case "immune":
            return Decision("complete", reasons=(Reason("immune", True, "immune"), *_clinical(forecast)))
        case "contraindicated":
            contraindicated = Reason("contraindicated", False, "contraindicated")
            reasons = (contraindicated, *_clinical(forecast), *policy.reasons)
            return replace(policy, status="not-eligible", reasons=reasons, missing=(), opens_on=None)
        case "not-recommended" | "aged-out":
            return replace(policy, reasons=(*policy.reasons, *_clinical(forecast)))
        case _:
            return _with_dose(policy, facts, forecast, as_of)


def may_come(facts: Facts, groups: Sequence[Group], as_of: date, forecasted: Callable[[], Forecast | None]) -> bool:
    """Whether `decide` says `eligible`, without a word about why; the schedule is asked last."""
    if not eligibility.is_open_to(facts, groups, as_of):
        return False
    forecast = forecasted()
    if forecast is None or forecast.status == "unknown":
        return completed_on(facts.doses, as_of) is None
    return forecast.status not in ("complete", "immune", "contraindicated")


def _complete(day: date) -> Decision:
    return Decision("complete", reasons=(Reason("series-complete", True, "series-complete", {"day": day}),))


def _with_dose(policy: Decision, facts: Facts, forecast: Forecast, as_of: date) -> Decision:
    if forecast.earliest is None:
        return policy
    recommended = forecast.recommended or forecast.earliest
    following = NextDose(forecast.earliest, recommended, forecast.past_due, forecast.dose_number)
    if policy.status == "eligible":
        opens: date | None = as_of
    else:
        opens = policy.opens_on
    first = None if opens is None else max(opens, forecast.earliest)
    reasons = policy.reasons
    if forecast.earliest > as_of:
        reasons = (*reasons, Reason("dose-later", False, "dose-later", {"day": forecast.earliest}))
    elif any(dose.given <= as_of for dose in facts.doses):
        reasons = (*reasons, Reason("dose-now", True, "dose-now", {"day": recommended}))
    if forecast.shared_decision:
        reasons = (*reasons, Reason("shared-decision", None, "shared-decision"))
    return replace(policy, reasons=reasons, next_dose=following, dose_from=first)


def _clinical(forecast: Forecast) -> tuple[Reason, ...]:
    """The schedule's own reasons, in its own sentences."""
    return tuple(
        Reason(reason.code, None, reason.code, dict(reason.details), family="forecast") for reason in forecast.reasons
    )
