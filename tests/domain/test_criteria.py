"""Three-valued criteria: met, not met, not known yet."""

from datetime import date

import pytest

from fhir_server.domain.criteria import AgeRange, AnyCode, Criterion, Finding, Flag, all_met, examine
from fhir_server.domain.facts import BirthDate, Fact, Facts, Source, Value

ON = date(2021, 6, 1)
EDUCATION = AnyCode("occupation", "education", frozenset({"education"}), frozenset({"frontline-essential"}))
SELF, EMPLOYER = Source("self"), Source("employer", "Group/7")


def facts(name: str, *values: Value) -> Facts:
    return Facts.of(Fact(name, value, SELF) for value in values)


@pytest.mark.parametrize(
    ("low", "high", "born", "met"),
    [
        (65, None, "1956-06-01", True),
        (65, None, "1956-06-02", False),
        (65, None, "1956-06", None),
        (65, None, "1956-05", True),
        (65, None, "1956", None),
        (65, None, "1957", False),
        (16, 64, "1956-06-02", True),
        (16, 64, "1956-06-01", False),
        (16, 64, "2005-06-01", True),
        (16, 64, "2005-06-02", False),
        (16, 64, "1956", None),
        (64, 65, "1956", True),
        (None, 15, "2021-06-02", False),
        (None, 15, "2021-06-01", True),
        (None, None, "1990", True),
    ],
)
def test_age(low: int | None, high: int | None, born: str, met: bool | None) -> None:
    assert examine(AgeRange(low, high), facts("birth-date", BirthDate.parse(born)), ON).met is met
    opposite = None if met is None else not met
    assert examine(AgeRange(low, high, exclude=True), facts("birth-date", BirthDate.parse(born)), ON).met is opposite


@pytest.mark.parametrize(
    ("criterion", "values", "met"),
    [
        (EDUCATION, (frozenset({"education"}),), True),
        (EDUCATION, (frozenset({"grocery"}),), False),
        (EDUCATION, (frozenset({"frontline-essential"}),), None),
        (EDUCATION, (frozenset(),), False),
        (EDUCATION, (), None),
        (EDUCATION, (frozenset({"grocery"}), frozenset({"education"})), True),
        (EDUCATION, (frozenset({"grocery"}), frozenset({"frontline-essential"})), None),
        (EDUCATION, (True,), None),
        (Flag("occupation"), (True,), True),
        (Flag("occupation"), (False,), False),
        (Flag("occupation", wanted=False), (False,), True),
        (Flag("occupation", exclude=True), (True,), False),
        (Flag("occupation"), (), None),
    ],
)
def test_codes_and_flags(criterion: Criterion, values: tuple[Value, ...], met: bool | None) -> None:
    assert examine(criterion, facts("occupation", *values), ON).met is met


def test_the_attester_who_satisfies_is_quoted() -> None:
    known = Facts.of([Fact("patient-contact", False, SELF), Fact("patient-contact", True, EMPLOYER)])
    finding = examine(Flag("patient-contact"), known, ON)
    assert finding.met is True
    assert finding.fact is not None
    assert finding.fact.source is EMPLOYER


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [((), True), ((True, True), True), ((True, None), None), ((None, False), False), ((False, True), False)],
)
def test_all_met(verdicts: tuple[bool | None, ...], together: bool | None) -> None:
    assert all_met(Finding(Flag("x"), verdict, None) for verdict in verdicts) is together
