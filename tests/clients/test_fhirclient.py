"""SMART client-py, whose models check every answer: https://github.com/smart-on-fhir/client-py"""

import pytest
import requests
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.immunization import Immunization
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.organization import Organization
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRServer

from tests.clients.people import FAMILY, SYSTEM, household, misspelt, person
from tests.conftest import Server
from tests.http.answers import shape

ME = "fhirclient"


@pytest.fixture
def smart(server: Server) -> FHIRServer:
    """The client's side of the server, prepared: its CapabilityStatement read and checked."""
    client = FHIRClient(settings={"app_id": "tests", "api_base": server.base})
    assert client.prepare()
    return client.server


def test_it_reads_the_capability_statement(smart: FHIRServer) -> None:
    statement = smart.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    patient = next(each for each in statement.rest[0].resource if each.type == "Patient")
    assert {"read", "create", "update", "delete", "search-type"} <= {each.code for each in patient.interaction}


def test_a_life(smart: FHIRServer) -> None:
    created = Patient(Patient(person(ME, 1)).create(smart))
    assert created.meta.versionId == "1"
    patient = Patient.read(created.id, smart)
    assert patient.as_json() == created.as_json()
    assert patient.birthDate.date.isoformat() == "1950-01-02"
    patient.gender = "female"
    assert Patient(patient.update()).meta.versionId == "2"
    assert Patient.read(created.id, smart).gender == "female"
    assert patient.delete() is None
    with pytest.raises(requests.HTTPError) as gone:
        Patient.read(created.id, smart)
    assert _told(gone.value.response) == (410, "deleted")


def test_all_pages(smart: FHIRServer) -> None:
    for number in range(7):
        Patient(person(f"{ME}-pages", number)).create(smart)
    search = Patient.where({"family": {"$exact": FAMILY}, "given": f"{ME}-pages", "_sort": "birthdate", "_count": "3"})
    days = [each.birthDate.as_json() for each in search.perform_resources_iter(smart)]
    assert days == [f"1950-01-{number + 1:02}" for number in range(7)]
    assert [len(page.entry) for page in search.perform_iter(smart)] == [3, 3, 1]
    several = Patient.where({"identifier": f"{SYSTEM}/{ME}-pages|2,{SYSTEM}/{ME}-pages|4"})
    assert sorted(each.identifier[0].value for each in several.perform_resources_iter(smart)) == ["2", "4"]


def test_references_and_includes(smart: FHIRServer) -> None:
    answer = Bundle(Bundle(household(ME)).create(smart))
    assert [entry.response.status for entry in answer.entry] == ["201 Created", "201 Created"]
    search = Patient.where({"identifier": f"{SYSTEM}/{ME}|27"})
    [patient] = search.perform_resources_iter(smart)
    clinic = patient.managingOrganization.resolved(Organization)
    assert clinic.name == f"Clinic of {ME}"
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
        "patient": {"reference": f"Patient/{patient.id}"},
        "occurrenceDateTime": "2021-01-05",
    }
    Immunization(dose).create(smart)
    with_doses = search.include("patient", Immunization, reverse=True).perform_resources_iter(smart)
    assert [each.resource_type for each in with_doses] == ["Patient", "Immunization"]


def test_it_understands_refusals(smart: FHIRServer) -> None:
    with pytest.raises(requests.HTTPError) as invalid:
        smart.post_json("Patient", misspelt(ME))
    assert _told(invalid.value.response) == (422, "unknown-element")
    with pytest.raises(requests.HTTPError) as unknown:
        list(Patient.where({"shoe-size": "43"}).perform_iter(smart))
    assert _told(unknown.value.response) == (400, "unknown-parameter")
    with pytest.raises(FHIRNotFoundException) as missing:
        Patient.read("fhirclient-nobody", smart)
    assert _told(missing.value.response) == (404, "unknown-resource")


def _told(response: requests.Response | None) -> tuple[int, str]:
    """Status and detail code of a refusal that the client's own model reads, too."""
    assert response is not None
    outcome = OperationOutcome(response.json())
    detail = outcome.issue[0].details.coding[0].code
    assert shape(response.json()).detail == detail
    return response.status_code, detail
