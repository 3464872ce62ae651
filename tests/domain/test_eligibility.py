"""Decisions on small policies: what decides, what is missing, when it opens."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.domain.combined import decide
from fhir_server.domain.criteria import AgeRange, AnyCode, Criterion, Flag
from fhir_server.domain.eligibility import BIRTHDAY_HORIZON, Decision, is_open_to
from fhir_server.domain.facts import BirthDate, Dose, Fact, Facts, Source, Value, birthday
from fhir_server.domain.phases import Group, Policy, in_force

POLICY = Policy("plan", date(2021, 1, 14))
NURSE = AnyCode("occupation", "health-care", frozenset({"health-care"}))
AS_OF = date(2021, 2, 1)


def group(phase: str, opens: str | None, *criteria: Criterion, closes: str | None = None) -> Group:
    start = date.fromisoformat(opens) if opens else None
    end = date.fromisoformat(closes) if closes else None
    return Group(f"Group/{phase}", phase, POLICY, "1", criteria, start, end)


WORKERS = group("1", "2020-12-14", NURSE, Flag("patient-contact"))
ELDERS = group("2", "2021-01-14", AgeRange(65))
EVERYONE = group("5", "2021-04-07", AgeRange(16))
PLAN = (WORKERS, ELDERS, EVERYONE)


def ask(
    as_of: date = AS_OF, plan: tuple[Group, ...] = PLAN, doses: tuple[Dose, ...] = (), **answers: Value
) -> Decision:
    return asked({name.replace("_", "-"): value for name, value in answers.items()}, as_of, plan, doses)


def asked(
    answers: Mapping[str, Value],
    as_of: date = AS_OF,
    plan: tuple[Group, ...] = PLAN,
    doses: tuple[Dose, ...] = (),
) -> Decision:
    known = [Fact(name, value, Source("self")) for name, value in answers.items()]
    decision = decide(Facts.of(known, doses), plan, as_of, None)
    # The short way round comes to the same.
    assert doses or is_open_to(Facts.of(known), plan, as_of) == (decision.status == "eligible")
    return decision


def born(text: str) -> BirthDate:
    return BirthDate.parse(text)


def test_eligible_by_age_needs_nothing_else() -> None:
    decision = ask(birth_date=born("1950-01-01"))
    assert (decision.status, decision.group, decision.missing) == ("eligible", ELDERS, ())
    assert [(reason.code, reason.met) for reason in decision.reasons] == [("phase-open", True), ("age", True)]


def test_the_phase_that_opened_first_decides() -> None:
    decision = ask(birth_date=born("1950"), occupation=frozenset({"health-care"}), patient_contact=True)
    assert decision.group is WORKERS


def test_a_fact_that_cannot_change_the_answer_is_not_asked_for() -> None:
    decision = ask(birth_date=born("1990-01-01"), occupation=frozenset({"other"}))
    assert (decision.status, decision.missing, decision.opens_on) == ("not-yet", (), date(2021, 4, 7))


def test_needs_info_names_the_questions_and_the_day_that_holds_anyway() -> None:
    decision = ask(birth_date=born("1990-01-01"))
    assert (decision.status, decision.group) == ("needs-info", WORKERS)
    assert decision.missing == ("occupation", "patient-contact")
    assert decision.opens_on == date(2021, 4, 7)


def test_without_a_birth_date() -> None:
    assert ask().missing == ("occupation", "patient-contact", "birth-date")
    assert ask(occupation=frozenset({"other"})).missing == ("birth-date",)


def test_a_partial_birth_date_matters_only_where_it_is_ambiguous() -> None:
    other = frozenset({"other"})
    assert ask(birth_date=born("1955"), occupation=other).status == "eligible"
    unsure = ask(birth_date=born("1956"), occupation=other)
    assert (unsure.status, unsure.missing) == ("needs-info", ("birth-date",))
    assert unsure.opens_on == date(2021, 4, 7)
    assert ask(birth_date=born("1957"), occupation=other).status == "not-yet"


def test_a_birthday_ahead_comes_before_a_later_phase() -> None:
    decision = ask(birth_date=born("1956-02-10"), occupation=frozenset({"other"}))
    assert (decision.status, decision.group, decision.opens_on) == ("not-yet", ELDERS, date(2021, 2, 10))
    assert decision.reasons[0].code == "birthday-ahead"
    assert not [reason for reason in decision.reasons if (reason.code, reason.met) == ("age", True)]


def test_age_counts_on_the_day_a_phase_opens() -> None:
    turning = ask(birth_date=born("2005-04-07"), occupation=frozenset({"other"}))
    assert (turning.status, turning.opens_on) == ("not-yet", date(2021, 4, 7))
    later = ask(birth_date=born("2005-04-08"), occupation=frozenset({"other"}))
    assert (later.status, later.opens_on) == ("not-yet", date(2021, 4, 8))


def test_a_child_is_not_promised_a_day_years_ahead() -> None:
    decision = ask(birth_date=born("2012-01-01"), occupation=frozenset({"other"}))
    assert (decision.status, decision.opens_on, decision.missing) == ("not-eligible", None, ())
    assert {reason.met for reason in decision.reasons} == {False}


def test_a_missing_fact_that_could_bring_the_day_nearer_is_named() -> None:
    plan = (group("4", "2021-03-17", Flag("high-risk-conditions")), EVERYONE)
    decision = ask(plan=plan, birth_date=born("1990-01-01"))
    assert (decision.status, decision.opens_on) == ("not-yet", date(2021, 4, 7))
    assert decision.missing == ("high-risk-conditions",)


def test_a_phase_announced_without_a_date() -> None:
    decision = ask(plan=(group("3", None, AgeRange(16)),), birth_date=born("1990-01-01"))
    assert (decision.status, decision.opens_on) == ("not-yet", None)
    assert decision.reasons[0].code == "phase-unscheduled"


def test_a_closed_phase_takes_nobody() -> None:
    plan = (group("1", "2020-12-14", AgeRange(16), closes="2021-01-31"),)
    assert ask(date(2021, 1, 31), plan, birth_date=born("1990-01-01")).status == "eligible"
    assert ask(date(2021, 2, 1), plan, birth_date=born("1990-01-01")).status == "not-eligible"


def test_open_from_its_first_day() -> None:
    assert ask(date(2021, 1, 13), birth_date=born("1950"), occupation=frozenset({"other"})).status == "not-yet"
    assert ask(date(2021, 1, 14), birth_date=born("1950"), occupation=frozenset({"other"})).status == "eligible"


@pytest.mark.parametrize(
    ("doses", "status"),
    [
        ([("208", "2021-01-01"), ("208", "2021-01-22")], "complete"),
        ([("208", "2021-01-01"), ("207", "2021-02-01")], "complete"),
        ([("208", "2021-01-01"), ("208", "2021-02-02")], "eligible"),
        ([("208", "2021-01-01")], "eligible"),
        ([("208", "2021-01-01"), ("208", "2021-01-01")], "eligible"),
        ([("212", "2021-01-30")], "complete"),
        ([("212", "2021-02-02")], "eligible"),
    ],
)
def test_complete(doses: list[tuple[str, str]], status: str) -> None:
    given = tuple(Dose(cvx, date.fromisoformat(day)) for cvx, day in doses)
    assert ask(doses=given, birth_date=born("1950")).status == status


def test_who_declined_is_opted_out_whatever_else_is_known() -> None:
    source = Source("self", "Consent/1")
    decision = decide(Facts.of([], [Dose("212", date(2021, 1, 1))], source), PLAN, AS_OF, None)
    assert (decision.status, decision.reasons[0].source) == ("opted-out", source)


def test_no_policy_known() -> None:
    assert ask(plan=()).reasons[0].code == "no-policy"


def test_the_policy_in_force() -> None:
    def plan(name: str, start: str, end: str | None = None, where: str = "US-NC") -> Group:
        policy = Policy(name, date.fromisoformat(start), date.fromisoformat(end) if end else None, where)
        return Group(f"Group/{name}", "1", policy, "1", (), date.fromisoformat(start))

    groups = (plan("b", "2021-01-14"), plan("a", "2020-12-30"), plan("sc", "2021-01-20", "2021-02-01", "US-SC"))

    def chosen(day: str, policy: str | None = None, where: str | None = "US-NC") -> list[str]:
        return [group.policy.identifier for group in in_force(groups, date.fromisoformat(day), policy, where)]

    assert chosen("2020-12-01") == ["a"]
    assert chosen("2021-01-13") == ["a"]
    assert chosen("2021-01-14") == ["b"]
    assert chosen("2021-01-25", where=None) == ["sc"]
    assert chosen("2021-02-02", where=None) == ["b"]
    assert chosen("2021-01-14", policy="a") == ["a"]
    assert chosen("2021-01-14", policy="x") == []


@given(
    birth=st.dates(date(1920, 1, 1), date(2021, 1, 1)),
    occupation=st.sampled_from([None, frozenset({"health-care"}), frozenset({"other"})]),
    contact=st.sampled_from([None, True, False]),
    days=st.integers(-60, 200),
)
def test_missing_facts_are_exactly_those_that_could_change_the_status(
    birth: date, occupation: frozenset[str] | None, contact: bool | None, days: int
) -> None:
    """Whatever the unknown facts turn out to be, a settled status stays; where one is open, it is named."""
    as_of = AS_OF + timedelta(days=days)
    answers: dict[str, Value] = {"birth-date": BirthDate(birth, birth)}
    if occupation is not None:
        answers["occupation"] = occupation
    if contact is not None:
        answers["patient-contact"] = contact
    decision = asked(answers, as_of)
    outcomes = set()
    for job in (frozenset({"health-care"}), frozenset({"other"})) if occupation is None else (occupation,):
        for yes in (True, False) if contact is None else (contact,):
            outcomes.add(asked(answers | {"occupation": job, "patient-contact": yes}, as_of).status)
    assert (decision.status == "needs-info") == (len(outcomes) > 1)
    if len(outcomes) == 1:
        assert outcomes == {decision.status}
    if decision.status == "needs-info":
        assert set(decision.missing) <= {"occupation", "patient-contact"} - set(answers)


PLANS = (
    group("1", "2020-12-14", NURSE, closes="2021-02-20"),
    group("2", "2021-01-14", AgeRange(65)),
    group("4", "2021-03-17", AgeRange(16, 64), Flag("high-risk-conditions")),
    group("5", "2021-04-07", AgeRange(16), closes="2021-06-30"),
    group("6", None, AgeRange(12, 15)),
)
_DAYS = {day for each in PLANS for day in (each.opens, each.closes and each.closes + timedelta(days=1)) if day}


@given(
    birth=st.dates(date(1950, 1, 1), date(2010, 1, 1)),
    occupation=st.sampled_from([None, frozenset({"health-care"}), frozenset({"other"})]),
    risk=st.sampled_from([None, True, False]),
    days=st.integers(-120, 300),
)
def test_between_two_boundary_days_nothing_changes(
    birth: date, occupation: frozenset[str] | None, risk: bool | None, days: int
) -> None:
    """Boundaries: a phase opens, the day after it closes, a birthday that matters, and a year before one."""
    day = AS_OF + timedelta(days=days)
    following = day + timedelta(days=1)
    birthdays = {birthday(birth, years) for years in (12, 16, 65)}
    ahead = {each - BIRTHDAY_HORIZON for each in birthdays}
    if following in _DAYS | birthdays | ahead:
        return
    answers: dict[str, Value] = {"birth-date": BirthDate(birth, birth)}
    if occupation is not None:
        answers["occupation"] = occupation
    if risk is not None:
        answers["high-risk-conditions"] = risk
    before, after = asked(answers, day, PLANS), asked(answers, following, PLANS)
    assert (before.status, before.group, before.opens_on, before.missing) == (
        after.status,
        after.group,
        after.opens_on,
        after.missing,
    )
