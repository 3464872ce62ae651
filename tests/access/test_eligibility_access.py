"""Who may ask what of eligibility: people about themselves, staff about theirs, planners for numbers only."""

from datetime import date

import pytest

from fhir_server.access import policy
from fhir_server.caller import Caller
from fhir_server.operations import facts, people
from tests.access.conftest import House
from tests.access.test_matrix import PRINCIPALS

DAN = Caller("m.dan", frozenset({"recipient"}), "app", ("patient/*.rs",), frozenset({"dan"}), "dan")


def caller(name: str) -> Caller:
    found = DAN if name == "dan" else PRINCIPALS[name]
    assert found is not None
    return found


async def test_a_roster_counts_for_the_person_who_may_not_see_it(house: House) -> None:
    assert (await house.ask(DAN, "GET", "Group/roster-plant")).status_code == 404
    predicate = policy.access(DAN, house.context.clock())
    patient = await house.context.store.read(DAN, predicate, "Patient", "dan")
    record = await people.one(house.context, DAN, predicate, patient)
    [fact] = facts.read(record, date(2021, 1, 4)).about("roster-membership")
    assert (fact.value, fact.source.attester, fact.source.by) == (
        frozenset({"first-phase"}),
        "employer",
        "Organization/plant",
    )
    # Of the others on it the record holds nothing.
    assert [len(group["member"]) for group in record.rosters] == [1]


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("dan", "Patient/dan/$vaccine-eligibility", 200),
        ("dan", "Patient/ann/$vaccine-eligibility", 404),
        ("north", "Patient/ann/$vaccine-eligibility", 200),
        ("south", "Patient/ann/$vaccine-eligibility", 404),
        ("plant", "Patient/dan/$vaccine-eligibility", 403),
        ("dan", "Group/phase/$who-would-be", 403),
        ("north", "Group/phase/$who-would-be", 403),
        ("plant", "Group/phase/$who-would-be", 403),
        # The Group of this world is no phase, which only a planner is told.
        ("analyst", "Group/phase/$who-would-be", 422),
        ("analyst", "Group/roster-plant/$who-would-be", 404),
        ("analyst", "Patient/$reminders-due", 403),
        ("dan", "Patient/$reminders-due", 403),
        ("plant", "Patient/$reminders-due", 403),
        ("north", "Patient/$reminders-due", 200),
    ],
)
async def test_who_may_ask(house: House, who: str, path: str, status: int) -> None:
    answer = await house.ask(caller(who), "GET", path)
    assert answer.status_code == status, answer.text
