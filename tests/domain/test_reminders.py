"""What falls due on which day, over which channel, and who is left in peace."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fhir_server.domain.assessment import Forecast
from fhir_server.domain.combined import decide, may_come
from fhir_server.domain.criteria import AgeRange
from fhir_server.domain.eligibility import Decision
from fhir_server.domain.facts import BirthDate, Dose, Fact, Facts, Source
from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import GivenDose, History
from fhir_server.domain.knowledge_bases import in_force
from fhir_server.domain.phases import Group, Policy
from fhir_server.domain.reminders import Contact, Reminder, due

ELDERS = Group("Group/2", "2", Policy("plan"), "1", (AgeRange(65),), date(2021, 1, 14))
EVERYONE = Group("Group/5", "5", Policy("plan"), "1", (AgeRange(16),), date(2021, 4, 7), date(2021, 5, 31))
MAIL = Contact("en", "ruth@example.org", "+19195550100")


def reminded(
    day: str, born: str, *doses: str, contact: Contact = MAIL, plan: tuple[Group, ...] = (ELDERS, EVERYONE), **more: Any
) -> Reminder | None:
    on = date.fromisoformat(day)
    given = [date.fromisoformat(each) for each in doses]
    birth = date.fromisoformat(born)
    known = [Fact("birth-date", BirthDate(birth, birth), Source("record"))]
    facts = Facts.of(known, [Dose("208", each) for each in given], **more)
    history = History(birth, tuple(GivenDose(each, "208") for each in given))

    def forecasted(each: date) -> Forecast | None:
        base = in_force(each)
        return forecast(history, each, base) if base is not None else None

    def decided(each: date) -> Decision:
        return decide(facts, plan, each, forecasted(each))

    def comes(each: date) -> bool:
        found = may_come(facts, plan, each, lambda: forecasted(each))
        # The short way round comes to the same.
        assert found == (decided(each).status == "eligible")
        return found

    return due(facts, contact, comes, decided, on)


CASES: list[tuple[str, str, tuple[str, ...], str | None]] = [
    # day, born, doses, occasion
    ("2021-02-04", "1950-01-01", ("2021-01-15",), None),
    ("2021-02-05", "1950-01-01", ("2021-01-15",), "dose-due"),
    ("2021-02-06", "1950-01-01", ("2021-01-15",), None),
    ("2021-02-25", "1950-01-01", ("2021-01-15",), None),
    ("2021-02-26", "1950-01-01", ("2021-01-15",), "dose-overdue"),
    ("2021-02-27", "1950-01-01", ("2021-01-15",), None),
    ("2021-02-05", "1950-01-01", ("2021-01-15", "2021-02-05"), None),
    ("2021-02-26", "1950-01-01", ("2021-01-15", "2021-02-05"), None),
    # who has begun goes on, though no phase is open to them
    ("2021-02-05", "1990-01-01", ("2021-01-15",), "dose-due"),
    # a phase opens
    ("2021-01-13", "1950-01-01", (), None),
    ("2021-01-14", "1950-01-01", (), "newly-eligible"),
    ("2021-01-15", "1950-01-01", (), None),
    ("2021-04-06", "1990-01-01", (), None),
    ("2021-04-07", "1990-01-01", (), "newly-eligible"),
    # a second phase opens to somebody who may come already
    ("2021-04-07", "1950-01-01", (), None),
    # a birthday, of 29 February too
    ("2021-02-09", "1956-02-10", (), None),
    ("2021-02-10", "1956-02-10", (), "newly-eligible"),
    ("2021-02-28", "1956-02-29", (), None),
    ("2021-03-01", "1956-02-29", (), "newly-eligible"),
    # the phase has closed by then
    ("2021-06-10", "2005-06-10", (), None),
]


@pytest.mark.parametrize(("day", "born", "doses", "occasion"), CASES)
def test_due_on_its_day_and_on_no_other(day: str, born: str, doses: tuple[str, ...], occasion: str | None) -> None:
    found = reminded(day, born, *doses)
    assert (found.occasion if found else None) == occasion
    if found is not None:
        assert found.day == date.fromisoformat(day)
        assert found.number == (2 if doses else None)
        assert (found.group is not None) == (occasion == "newly-eligible")


@pytest.mark.parametrize(
    ("contact", "channel", "address"),
    [
        (MAIL, "email", "ruth@example.org"),
        (replace(MAIL, email=None), "call-list", "+19195550100"),
        (replace(MAIL, email=None, phone=None), "call-list", None),
        (replace(MAIL, allow=frozenset({"phone"})), "call-list", "+19195550100"),
        (replace(MAIL, allow=frozenset({"email"})), "email", "ruth@example.org"),
        (replace(MAIL, allow=frozenset({"email"}), email=None), "call-list", "+19195550100"),
    ],
)
def test_by_mail_or_on_the_call_list(contact: Contact, channel: str, address: str | None) -> None:
    found = reminded("2021-01-14", "1950-01-01", contact=replace(contact, language="es"))
    assert found is not None
    assert (found.channel, found.address, found.language) == (channel, address, "es")


@pytest.mark.parametrize("case", [case for case in CASES if case[3]])
def test_some_get_nothing(case: tuple[str, str, tuple[str, ...], str | None]) -> None:
    day, born, doses, _ = case
    assert reminded(day, born, *doses) is not None
    assert reminded(day, born, *doses, contact=replace(MAIL, refused=Source("self"))) is None
    assert reminded(day, born, *doses, contact=replace(MAIL, allow=frozenset())) is None
    assert reminded(day, born, *doses, declined=Source("self")) is None
    assert reminded(day, born, *doses, deceased=Source("record")) is None
