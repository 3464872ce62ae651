"""https://hl7.org/fhir/R4/terminology-service.html

What codes mean is for everybody; what is stored, and what is known of a dose, is for those it exists for.
"""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.caller import Caller
from tests.access.conftest import House
from tests.access.test_policy import ANN, NORTH, SOUTH
from tests.access.world import STEWARD

CVX = "http://hl7.org/fhir/sid/cvx"
COVID = "https://fhir-server.example/fhir/ValueSet/covid-19-vaccine"
NARROW = replace(ANN, scopes=("patient/Immunization.rs",))
STORED = {
    "resourceType": "ValueSet",
    "id": "t-access",
    "url": "urn:t-access",
    "status": "active",
    "compose": {"include": [{"system": CVX, "concept": [{"code": "208"}]}]},
}


@pytest.fixture(scope="module", autouse=True)
async def stored(house: House) -> None:
    assert (await house.ask(STEWARD, "PUT", "ValueSet/t-access", STORED)).status_code in (200, 201)


@pytest.mark.parametrize(
    ("caller", "path", "status"),
    [
        (NARROW, f"CodeSystem/$lookup?system={CVX}&code=208", 200),
        (NARROW, f"ValueSet/$expand?url={COVID}", 200),
        (NARROW, "ConceptMap/$translate?system=http://hl7.org/fhir/sid/ndc&code=59267-1000-1", 200),
        (NARROW, f"Immunization?vaccine-code:in={COVID}", 200),
        (NARROW, f"CodeSystem/$lookup?system={quote('urn:nobody-has-it')}&code=208", 404),
        (ANN, "ValueSet/$expand?url=urn:t-access", 200),
        (ANN, "Immunization?vaccine-code:in=urn:t-access", 200),
        # Stored, and without a scope to read it as good as not there.
        (NARROW, "ValueSet/$expand?url=urn:t-access", 404),
        (NARROW, "Immunization?vaccine-code:in=urn:t-access", 400),
        (NARROW, "Immunization?vaccine-code:in=ValueSet/t-access", 400),
    ],
)
async def test_who_learns_what_codes_mean(house: House, caller: Caller, path: str, status: int) -> None:
    answer = await house.ask(caller, "GET", path)
    assert answer.status_code == status, answer.text[:500]


@pytest.mark.parametrize(("caller", "told"), [(NORTH, True), (SOUTH, False)])
async def test_a_birth_date_is_not_told_to_whom_it_does_not_exist_for(house: House, caller: Caller, told: bool) -> None:
    dose: dict[str, Any] = {
        "resourceType": "Immunization",
        "status": "completed",
        "primarySource": False,
        "vaccineCode": {"coding": [{"system": CVX, "code": "08"}]},
        "patient": {"reference": "Patient/ann"},
        "occurrenceDateTime": "1800-01-01",
    }
    answer = await house.ask(caller, "POST", "Immunization/$validate", dose)
    assert answer.status_code == 200, answer.text[:500]
    codes = {issue["details"]["coding"][0]["code"] for issue in answer.json()["issue"]}
    assert ("dose-before-birth" in codes) is told
