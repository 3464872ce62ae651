"""Policy and schedule: two answers that stay apart, and what they come to together."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fhir_server.domain.assessment import Forecast
from fhir_server.domain.assessment import Reason as ScheduleReason
from fhir_server.domain.combined import decide
from fhir_server.domain.criteria import AgeRange
from fhir_server.domain.eligibility import Decision, NextDose
from fhir_server.domain.facts import BirthDate, Dose, Fact, Facts, Source
from fhir_server.domain.forecast import forecast as under
from fhir_server.domain.history import GivenDose, History
from fhir_server.domain.knowledge_bases import in_force
from fhir_server.domain.phases import Group, Policy

DAY = date(2021, 2, 1)
ELDERS = Group("Group/2", "2", Policy("plan"), "1", (AgeRange(65),), date(2021, 1, 14))
LATER = Group("Group/5", "5", Policy("plan"), "1", (AgeRange(16),), date(2021, 4, 7))
PLAN = (ELDERS, LATER)


def person(born: str, *doses: str, **more: Any) -> Facts:
    known = [Fact("birth-date", BirthDate.parse(born), Source("record"))]
    return Facts.of(known, [Dose("208", date.fromisoformat(day)) for day in doses], **more)


def forecast(status: Any = "not-complete", **more: Any) -> Forecast:
    days: dict[str, Any] = {name: date.fromisoformat(day) for name, day in more.items()}
    return Forecast("CDC-ACIP", "2021", DAY, status, (ScheduleReason("series-incomplete"),), dose_number=2, **days)


def codes(decision: Decision) -> list[tuple[str, bool | None]]:
    return [(reason.code, reason.met) for reason in decision.reasons]


def test_between_two_doses_the_policy_says_yes_and_the_schedule_from_when() -> None:
    ahead = forecast(earliest="2021-02-05", recommended="2021-02-06", past_due="2021-02-25")
    decision = decide(person("1950-01-01", "2021-01-15"), PLAN, DAY, ahead)
    assert (decision.status, decision.group, decision.opens_on) == ("eligible", ELDERS, None)
    assert decision.next_dose == NextDose(date(2021, 2, 5), date(2021, 2, 6), date(2021, 2, 25), 2)
    assert decision.dose_from == date(2021, 2, 5)
    assert codes(decision)[-1] == ("dose-later", False)


@pytest.mark.parametrize(
    ("born", "earliest", "status", "opens", "dose_from", "last"),
    [
        # policy open, dose possible: today
        ("1950-01-01", "2021-01-20", "eligible", None, "2021-02-01", "dose-now"),
        ("1950-01-01", "2021-02-01", "eligible", None, "2021-02-01", "dose-now"),
        # policy open, dose not yet possible
        ("1950-01-01", "2021-02-02", "eligible", None, "2021-02-02", "dose-later"),
        # policy closed until April: the later of the two days
        ("1990-01-01", "2021-02-10", "not-yet", "2021-04-07", "2021-04-07", "dose-later"),
        ("1990-01-01", "2021-05-01", "not-yet", "2021-04-07", "2021-05-01", "dose-later"),
        # never open to a child: no day
        ("2015-01-01", "2021-01-20", "not-eligible", None, None, "dose-now"),
    ],
)
def test_the_later_of_both_first_days(
    born: str, earliest: str, status: str, opens: str | None, dose_from: str | None, last: str
) -> None:
    decision = decide(person(born, "2021-01-01"), PLAN, DAY, forecast(earliest=earliest, recommended=earliest))
    assert decision.status == status
    assert decision.opens_on == (date.fromisoformat(opens) if opens else None)
    assert decision.dose_from == (date.fromisoformat(dose_from) if dose_from else None)
    assert decision.reasons[-1].code == last


def test_a_first_dose_that_is_possible_needs_no_words() -> None:
    decision = decide(person("1950-01-01"), PLAN, DAY, forecast(earliest="2020-12-13", recommended="2020-12-13"))
    assert codes(decision) == [("phase-open", True), ("age", True)]
    assert decision.dose_from == DAY


def test_a_dose_to_talk_over() -> None:
    talked = replace(forecast(earliest="2021-01-20", recommended="2021-01-20"), shared_decision=True)
    assert codes(decide(person("1950-01-01"), PLAN, DAY, talked))[-1] == ("shared-decision", None)


def test_who_must_not_have_it_is_not_eligible_though_the_policy_would() -> None:
    decision = decide(person("1950-01-01"), PLAN, DAY, forecast("contraindicated"))
    assert (decision.status, decision.group, decision.next_dose, decision.dose_from) == (
        "not-eligible",
        ELDERS,
        None,
        None,
    )
    assert codes(decision) == [
        ("contraindicated", False),
        ("series-incomplete", None),
        ("phase-open", True),
        ("age", True),
    ]
    assert decision.reasons[1].family == "forecast"


@pytest.mark.parametrize(
    ("status", "expected", "first"),
    [
        ("complete", "complete", "series-complete"),
        ("immune", "complete", "immune"),
        ("not-recommended", "eligible", "phase-open"),
        ("aged-out", "eligible", "phase-open"),
    ],
)
def test_no_dose_wanted(status: str, expected: str, first: str) -> None:
    decision = decide(person("1950-01-01"), PLAN, DAY, forecast(status))
    assert (decision.status, decision.next_dose, decision.reasons[0].code) == (expected, None, first)


@pytest.mark.parametrize("known", [None, forecast("unknown")])
def test_without_a_schedule_two_doses_complete(known: Forecast | None) -> None:
    assert decide(person("1950-01-01", "2021-01-01"), PLAN, DAY, known).status == "eligible"
    done = decide(person("1950-01-01", "2021-01-01", "2021-01-22"), PLAN, DAY, known)
    assert (done.status, done.reasons[0].details) == ("complete", {"day": date(2021, 1, 22)})


@pytest.mark.parametrize("which", ["declined", "deceased"])
def test_who_declined_or_died_is_offered_no_dose(which: str) -> None:
    facts = person("1950-01-01", **{which: Source("self", "Consent/1")})
    decision = decide(facts, PLAN, DAY, forecast(earliest="2021-01-20", recommended="2021-01-20"))
    assert decision.status == {"declined": "opted-out", "deceased": "not-eligible"}[which]
    assert (codes(decision)[0][0], decision.next_dose, decision.reasons[0].source) == (
        which,
        None,
        Source("self", "Consent/1"),
    )


def test_the_schedule_of_2021() -> None:
    """The second dose three weeks after the first; without it the series is open again."""
    base = in_force(DAY)
    assert base is not None

    def asked(day: str, *given: str) -> Decision:
        on = date.fromisoformat(day)
        history = History(date(1950, 1, 1), tuple(GivenDose(date.fromisoformat(each), "208") for each in given))
        return decide(person("1950-01-01", *given), PLAN, on, under(history, on, base))

    first = asked("2021-02-01", "2021-01-15")
    assert first.next_dose is not None
    assert (first.status, first.next_dose.earliest) == ("eligible", date(2021, 2, 5))
    assert asked("2021-02-04", "2021-01-15", "2021-02-05").status == "eligible"
    assert asked("2021-02-05", "2021-01-15", "2021-02-05").status == "complete"
    assert asked("2021-02-05", "2021-01-15").status == "eligible"
