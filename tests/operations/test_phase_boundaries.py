"""Every criterion of every shipped phase, on both sides of its boundary and of the phase's days.

The table is made from the Groups as shipped, so that a phase that is added or changed is covered; what the Groups must
say is held in test_phases.py.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from fhir_server.domain.criteria import AgeRange, AnyCode, Criterion, Flag
from fhir_server.domain.eligibility import Decision, decide
from fhir_server.domain.facts import BirthDate, Fact, Facts, Source, Value
from fhir_server.domain.phases import Group
from fhir_server.domain.sentences import LANGUAGES, sentence
from fhir_server.operations import phases, shipped, vocabulary

GROUPS = {
    resource["id"]: phases.read(resource, f"Group/{resource['id']}")
    for resource in shipped.resources()
    if resource["resourceType"] == "Group"
}
SYSTEMS = {
    "occupation": vocabulary.OCCUPATION,
    "residence": vocabulary.RESIDENCE,
    "high-risk-conditions": vocabulary.CONDITION,
    "roster-membership": vocabulary.ROSTER_KIND,
}
ONE = timedelta(days=1)


def years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years)


def on_day(group: Group) -> date:
    """The day the Group opens; any day of its policy for one without."""
    return group.opens or group.policy.start or date(2021, 1, 5)


def meeting(criterion: Criterion, day: date) -> Value:
    """A value that just meets the criterion."""
    match criterion:
        case AgeRange(low=low, high=high):
            born = years_before(day, low if low is not None else high or 0)
            return BirthDate(born, born)
        case AnyCode(label=label):
            return frozenset({label})
        case Flag(wanted=wanted):
            return wanted


def person(group: Group, day: date, **changed: Value | None) -> Facts:
    """Who just meets every criterion of the Group on that day, with facts changed or (None) taken away."""
    values: dict[str, Value | None] = {each.fact: meeting(each, day) for each in group.criteria}
    values |= {name.replace("_", "-"): value for name, value in changed.items()}
    return Facts.of(Fact(name, value, Source("self")) for name, value in values.items() if value is not None)


def ask(group: Group, day: date, **changed: Value | None) -> Decision:
    return decide(person(group, on_day(group), **changed), [group], day)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_from_the_day_it_opens_and_not_a_day_before(group: Group) -> None:
    day = on_day(group)
    if group.opens is None:
        decision = ask(group, day)
        assert (decision.status, decision.opens_on, decision.reasons[0].code) == ("not-yet", None, "phase-unscheduled")
        return
    assert ask(group, day).status == "eligible"
    before = ask(group, day - ONE)
    assert (before.status, before.opens_on, before.group) == ("not-yet", day, group)


def values() -> Iterator[tuple[str, Group, str, Value | None, bool | None]]:
    """Group, fact, value, and whether the criterion is met by it; None: it cannot be told."""
    for name, group in GROUPS.items():
        for criterion in group.criteria:
            for label, value, met in _around(criterion, on_day(group)):
                yield f"{name}-{criterion.fact}-{label}", group, criterion.fact, value, met
            yield f"{name}-{criterion.fact}-missing", group, criterion.fact, None, None


def _around(criterion: Criterion, day: date) -> Iterator[tuple[str, Value, bool | None]]:
    match criterion:
        case AgeRange(low=low, high=high):
            if low is not None:
                yield from _edge("low", years_before(day, low), True)
            if high is not None:
                yield from _edge("high", years_before(day, high + 1), False)
            year = years_before(day, low or high or 0).year
            yield "year-of-birthday", BirthDate(date(year, 1, 1), date(year, 12, 31)), None
        case AnyCode(label=label, accepts=accepts, possible=possible):
            system = SYSTEMS[criterion.fact]
            for code in sorted(_codes(system)):
                met = True if code in accepts else None if code in possible else False
                yield code, frozenset({code}), met
            yield "none", frozenset(), False
            assert label in accepts
        case Flag(wanted=wanted):
            yield "yes", True, wanted
            yield "no", False, not wanted


def _edge(label: str, birthday: date, met: bool) -> Iterator[tuple[str, Value, bool | None]]:
    """Born that many years before the day, and a day later."""
    yield f"{label}-on-the-day", BirthDate(birthday, birthday), met
    yield f"{label}-a-day-later", BirthDate(birthday + ONE, birthday + ONE), not met
    yield f"{label}-a-day-earlier", BirthDate(birthday - ONE, birthday - ONE), met


def _codes(system: str) -> set[str]:
    resource = next(found for found in shipped.resources() if found.get("url") == system)

    def walk(concepts: list[dict[str, Any]]) -> Iterator[str]:
        for concept in concepts:
            yield concept["code"]
            yield from walk(concept.get("concept", []))

    return set(walk(resource["concept"]))


TABLE = list(values())


@pytest.mark.parametrize(("group", "fact", "value", "met"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_criterion_on_both_sides(group: Group, fact: str, value: Value | None, met: bool | None) -> None:
    decision = ask(group, on_day(group), **{fact.replace("-", "_"): value})
    open_now = group.opens is not None
    if met:
        assert decision.status == ("eligible" if open_now else "not-yet")
    elif met is None:
        assert decision.status == "needs-info"
        assert decision.missing == (fact,)
    elif decision.status == "not-yet":
        # A day short of the age: the birthday is tomorrow.
        assert (fact, decision.opens_on) == ("birth-date", on_day(group) + ONE)
    else:
        assert (decision.status, decision.opens_on) == ("not-eligible", None)
        assert [reason.code for reason in decision.reasons if reason.met is False]
    for reason in decision.reasons:
        details = {
            name: ", ".join(sorted(detail)) if isinstance(detail, frozenset) else detail
            for name, detail in reason.details.items()
        }
        texts = {sentence(reason.family, reason.sentence, language, details) for language in LANGUAGES}
        assert len(texts) == len(LANGUAGES), "a reason says the same in both languages"


@pytest.mark.parametrize(
    ("low", "birthday", "day", "status"),
    [
        (16, "2004-02-29", "2020-02-28", "not-yet"),
        (16, "2004-02-29", "2020-02-29", "eligible"),
        (17, "2004-02-29", "2021-02-28", "not-yet"),
        (17, "2004-02-29", "2021-03-01", "eligible"),
        (65, "1956-02-29", "2021-02-28", "not-yet"),
        (65, "1956-02-29", "2021-03-01", "eligible"),
        (16, "2004-12-31", "2020-12-30", "not-yet"),
        (16, "2004-12-31", "2020-12-31", "eligible"),
    ],
)
def test_birthdays(low: int, birthday: str, day: str, status: str) -> None:
    some = GROUPS["nc-2021-01-group-5"]
    group = Group("Group/x", "x", some.policy, "1", (AgeRange(low),), date(2020, 1, 1))
    born = date.fromisoformat(birthday)
    known = Facts.of([Fact("birth-date", BirthDate(born, born), Source("record"))])
    assert decide(known, [group], date.fromisoformat(day)).status == status


@pytest.mark.parametrize(("day", "status"), [("2021-05-31", "eligible"), ("2021-06-01", "not-eligible")])
def test_a_closed_phase_says_when_it_closed(day: str, status: str) -> None:
    some = GROUPS["nc-2021-01-group-5"]
    group = Group("Group/x", "x", some.policy, "1", some.criteria, some.opens, date(2021, 5, 31))
    decision = ask(group, date.fromisoformat(day))
    assert decision.status == status
    assert (decision.reasons[0].code == "phase-closed") is (status == "not-eligible")
