"""https://hl7.org/fhir/R4/security.html

Who sees what, through the API.
"""

from dataclasses import replace

import pytest

from fhir_server.caller import Caller
from tests.access.conftest import House
from tests.access.world import PEOPLE, STEWARD

ANN = Caller("u-ann", frozenset({"recipient"}), "app", ("patient/*.cruds",), frozenset({"ann"}), "ann")
NORTH = Caller(
    "u-north", frozenset({"provider"}), "ehr", ("user/*.cruds",), practitioner="doctor-north", organization="north"
)
SOUTH = replace(NORTH, subject="u-south", practitioner="doctor-south", organization="south")
PLANT = Caller("u-plant", frozenset({"employer"}), "hr", ("user/*.cruds",), organization="plant")
ANALYST = Caller("u-analyst", frozenset({"analyst"}), "charts", ("user/*.rs",))


async def found(house: House, caller: Caller, path: str) -> set[str]:
    answer = await house.ask(caller, "GET", path)
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


@pytest.mark.parametrize(
    ("caller", "people"),
    [
        (ANN, {"ann"}),
        (replace(ANN, patients=frozenset({"ann", "cat"})), {"ann"}),
        (replace(ANN, patients=frozenset({"ann", "cat"}), scopes=("user/*.rs",)), {"ann", "cat"}),
        (replace(ANN, patient=""), set()),
        (NORTH, {"ann", "cat", "dan"}),
        (SOUTH, {"ben", "fay"}),
        (PLANT, {"dan"}),
        (ANALYST, set()),
        (STEWARD, {"ann", "ben", "cat", "dan", "fay"}),
    ],
    ids=str,
)
async def test_people(house: House, caller: Caller, people: set[str]) -> None:
    assert await found(house, caller, "Patient?_count=1000") & set(PEOPLE) == people


async def test_doses(house: House) -> None:
    assert await found(house, ANN, "Immunization") == {"Immunization-ann"}
    assert await found(house, NORTH, "Immunization") == {f"Immunization-{each}" for each in ("ann", "cat", "dan")}
    assert await found(house, PLANT, "Immunization") == set()
