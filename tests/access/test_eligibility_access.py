"""Who may ask what of eligibility: people about themselves, staff about theirs, planners for numbers only."""

from typing import Any

import pytest

from fhir_server.caller import Caller
from fhir_server.operations import shipped
from tests.access.conftest import House
from tests.access.test_matrix import PRINCIPALS
from tests.access.world import STEWARD

DAN = Caller("m-dan", frozenset({"recipient"}), "app", ("patient/*.rs",), frozenset({"dan"}), "dan")


@pytest.fixture(scope="module", autouse=True)
async def policy(house: House) -> None:
    """The plan of January 2021, as every server has it."""
    groups = [each for each in shipped.resources() if each["id"].startswith("nc-2021-01-")]
    for group in groups:
        answer = await house.ask(STEWARD, "PUT", f"Group/{group['id']}", group)
        assert answer.status_code in (200, 201), answer.text


def caller(name: str) -> Caller:
    found = DAN if name == "dan" else PRINCIPALS[name]
    assert found is not None
    return found


def parts(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [
        {part["name"]: next(value for key, value in part.items() if key.startswith("value")) for part in each["part"]}
        for each in answer["parameter"]
        if each["name"] == name
    ]


async def test_a_roster_counts_for_the_person_who_may_not_see_it(house: House) -> None:
    assert (await house.ask(DAN, "GET", "Group/roster-plant")).status_code == 404
    answer = await house.ask(DAN, "GET", "Patient/dan/$vaccine-eligibility?asOf=2021-01-04")
    assert answer.status_code == 200, answer.text
    [reason] = [each for each in parts(answer.json(), "reason") if each["code"] == "roster-membership"]
    assert (reason["met"], reason["source"]["display"]) == (True, "employer")


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("dan", "Patient/ann/$vaccine-eligibility", 404),
        ("north", "Patient/ann/$vaccine-eligibility", 200),
        ("south", "Patient/ann/$vaccine-eligibility", 404),
        ("plant", "Patient/dan/$vaccine-eligibility", 403),
        ("dan", "Group/nc-2021-01-group-2/$who-would-be", 403),
        ("north", "Group/nc-2021-01-group-2/$who-would-be", 403),
        ("plant", "Group/nc-2021-01-group-2/$who-would-be", 403),
        ("analyst", "Group/nc-2021-01-group-2/$who-would-be", 200),
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


async def test_of_a_few_people_no_number_is_told(house: House) -> None:
    answer = await house.ask(caller("analyst"), "GET", "Group/nc-2021-01-group-5/$who-would-be?asOf=2021-04-07")
    assert answer.status_code == 200
    text = answer.text
    assert "valueUnsignedInt" not in text, "there are fewer than eleven people here"
    assert parts(answer.json(), "total")[0]["withheld"]
