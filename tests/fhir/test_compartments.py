"""Compartments as conditions.

https://hl7.org/fhir/R4/compartmentdefinition.html
"""

import pytest

from fhir_server.fhir.compartments import compartment
from fhir_server.fhir.condition import Any, Keys
from fhir_server.fhir.index import entries, satisfies
from fhir_server.fhir.outcome import FhirError


def test_the_patient_compartment_is_indexed() -> None:
    assert compartment("Patient", "1", "Immunization") == Keys("pt", ("Patient/1",))
    own = {"resourceType": "Patient", "id": "1"}
    assert satisfies(entries(own), "1", 0, compartment("Patient", "1", "Patient"))
    observed = {"resourceType": "Observation", "performer": [{"reference": "Patient/1"}]}
    assert satisfies(entries(observed), "o", 0, compartment("Patient", "1", "Observation"))
    assert not satisfies(entries(observed), "o", 0, compartment("Patient", "2", "Observation"))


def test_other_compartments_follow_their_parameters() -> None:
    assert compartment("Practitioner", "9", "Immunization") == Any((Keys("tk", ("performer␟Practitioner/9",)),))
    given = {"resourceType": "Immunization", "performer": [{"actor": {"reference": "Practitioner/9"}}]}
    assert satisfies(entries(given), "i", 0, compartment("Practitioner", "9", "Immunization"))


@pytest.mark.parametrize(
    ("kind", "type_name", "detail"),
    [("Patient", "Organization", "not-in-compartment"), ("Group", "Patient", "unknown-compartment")],
)
def test_refuses(kind: str, type_name: str, detail: str) -> None:
    with pytest.raises(FhirError) as caught:
        compartment(kind, "1", type_name)
    assert (caught.value.status, caught.value.issues[0].detail) == (404, detail)
