"""fhirpy, an asynchronous client: https://github.com/beda-software/fhir-py"""

import json
from typing import Any

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
from fhirpy.lib import AsyncFHIRResource

from tests.clients.people import FAMILY, SYSTEM, household, misspelt, person
from tests.conftest import Server
from tests.http.answers import shape

ME = "fhirpy"


@pytest.fixture
def fhirpy(server: Server) -> AsyncFHIRClient:
    """The client on the server."""
    return AsyncFHIRClient(server.base)


async def test_a_life(fhirpy: AsyncFHIRClient) -> None:
    patient = made(fhirpy, person(ME, 1))
    await patient.create()
    assert patient["meta"]["versionId"] == "1"
    again = await fhirpy.reference("Patient", patient.id).to_resource()
    assert dict(again) == dict(patient)
    patient["gender"] = "female"
    await patient.update()
    assert patient["meta"]["versionId"] == "2"
    await again.refresh()
    assert again["gender"] == "female"
    await fhirpy.delete("Patient", patient.id)
    with pytest.raises(ResourceNotFound) as gone:
        await fhirpy.get("Patient", patient.id)
    assert shape(json.loads(str(gone.value))).detail == "deleted"


async def test_all_pages(fhirpy: AsyncFHIRClient) -> None:
    for number in range(7):
        await made(fhirpy, person(f"{ME}-pages", number)).create()
    mine = fhirpy.resources("Patient").search(family=FAMILY, given=f"{ME}-pages").sort("-birthdate").limit(2)
    days = [each["birthDate"] async for each in mine]
    assert days == [f"1950-01-{number + 1:02}" for number in reversed(range(7))]
    assert len(await mine.fetch()) == 2
    third = fhirpy.resources("Patient").search(identifier=f"{SYSTEM}/{ME}-pages|3")
    assert (await third.get())["birthDate"] == "1950-01-04"
    since = fhirpy.resources("Patient").search(given=f"{ME}-pages", birthdate__ge="1950-01-06")
    assert len(await since.fetch_all()) == 2


async def test_it_counts_leniently(fhirpy: AsyncFHIRClient, server: Server) -> None:
    """It counts with a parameter of one vendor, `_totalMethod`, which strict handling refuses."""
    await made(fhirpy, person(f"{ME}-count", 1)).create()
    with pytest.raises(OperationOutcome) as refused:
        await fhirpy.resources("Patient").search(given=f"{ME}-count").count()
    assert shape(refused.value.resource).expression == ("_totalMethod",)
    lenient = AsyncFHIRClient(server.base, extra_headers={"Prefer": "handling=lenient"})
    assert await lenient.resources("Patient").search(given=f"{ME}-count").count() == 1


async def test_references_and_includes(fhirpy: AsyncFHIRClient) -> None:
    answer = await made(fhirpy, household(ME)).save()
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["201 Created", "201 Created"]
    mine = fhirpy.resources("Patient").search(identifier=f"{SYSTEM}/{ME}|27")
    patient = await mine.get()
    clinic = await patient["managingOrganization"].to_resource()
    assert clinic["name"] == f"Clinic of {ME}"
    both = await mine.include("Patient", "organization").fetch_raw()
    assert [(entry.search.mode, entry.resource.reference) for entry in both.entry] == [
        ("match", patient.reference),
        ("include", clinic.reference),
    ]
    named = fhirpy.resources("Patient").search(organization__Organization__name=f"Clinic of {ME}")
    assert [each.id for each in await named.fetch_all()] == [patient.id]


async def test_conditional_update_and_delete(fhirpy: AsyncFHIRClient) -> None:
    mine = fhirpy.resources("Patient").search(identifier=f"{SYSTEM}/{ME}|5")
    created, is_new = await mine.update(made(fhirpy, person(ME, 5)))
    assert is_new
    changed, is_new = await mine.update(made(fhirpy, {**person(ME, 5), "active": True}))
    assert (changed.id, is_new, changed["meta"]["versionId"]) == (created.id, False, "2")
    answer, status = await mine.delete()
    assert (answer, status) == (None, 204)
    assert await mine.fetch() == []


async def test_it_understands_refusals(fhirpy: AsyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as invalid:
        await made(fhirpy, misspelt(ME)).create()
    assert shape(invalid.value.resource) == ("structure", "unknown-element", ("Patient.gendre",))
    with pytest.raises(OperationOutcome) as unknown:
        await fhirpy.resources("Patient").search(shoe_size="43").fetch()
    assert shape(unknown.value.resource) == ("not-found", "unknown-parameter", ("shoe-size",))
    with pytest.raises(ResourceNotFound) as missing:
        await fhirpy.get("Patient", "fhirpy-nobody")
    assert shape(json.loads(str(missing.value))).detail == "unknown-resource"
    for _ in range(2):
        await made(fhirpy, person(f"{ME}-twice", 1)).create()
    twice = fhirpy.resources("Patient").search(identifier=f"{SYSTEM}/{ME}-twice|1")
    with pytest.raises(MultipleResourcesFound) as several:
        await twice.update(made(fhirpy, person(f"{ME}-twice", 1)))
    assert shape(json.loads(str(several.value))).detail == "several-matches"


def made(client: AsyncFHIRClient, resource: dict[str, Any]) -> AsyncFHIRResource:
    """The resource as the client's own, not yet stored."""
    members = {name: value for name, value in resource.items() if name != "resourceType"}
    return client.resource(str(resource["resourceType"]), **members)
