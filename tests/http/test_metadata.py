"""https://hl7.org/fhir/R4/capabilitystatement.html"""

import json

import httpx
import pytest

from fhir_server.fhir import query, xml
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.params import parameters
from profiles import structure
from profiles.definitions import RESOURCE_TYPES
from tests.conftest import Server


async def test_statement(client: httpx.AsyncClient, server: Server) -> None:
    answer = await client.get("metadata")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json; charset=utf-8")
    statement = answer.json()
    assert (statement["resourceType"], statement["fhirVersion"], statement["kind"]) == (
        "CapabilityStatement",
        "4.0.1",
        "instance",
    )
    assert statement["implementation"]["url"] == server.base
    assert [issue for issue in structure.check(statement) if issue.severity == "error"] == []
    assert (await client.get("metadata?_format=json&_pretty=true")).json() == statement


async def test_nothing_is_promised_that_does_not_work(client: httpx.AsyncClient) -> None:
    [rest] = (await client.get("metadata")).json()["rest"]
    resources = {resource["type"]: resource for resource in rest["resource"]}
    assert set(resources) == RESOURCE_TYPES
    for resource_type, resource in resources.items():
        served = {name for name, parameter in parameters(resource_type).items() if parameter.type != "special"}
        assert {parameter["name"] for parameter in resource["searchParam"]} == served
    for resource_type in ("Patient", "Immunization", "Group", "Basic"):
        for parameter in resources[resource_type]["searchParam"]:
            answer = await client.get(resource_type, params={f"{parameter['name']}:missing": "true", "_count": "1"})
            assert answer.status_code == 200, (resource_type, parameter, answer.text[:300])


async def test_every_include_listed_works_and_no_other(client: httpx.AsyncClient) -> None:
    [rest] = (await client.get("metadata")).json()["rest"]
    for resource in rest["resource"]:
        if resource["type"] not in ("Patient", "Immunization", "Basic"):
            continue
        for name, listed in (("_include", resource["searchInclude"]), ("_revinclude", resource["searchRevInclude"])):
            assert listed[0] == "*"
            for start in range(0, len(listed), 90):
                asked = [("_count", "1"), *((name, value) for value in listed[start : start + 90])]
                answer = await client.get(resource["type"], params=httpx.QueryParams(tuple(asked)))
                assert answer.status_code == 200, answer.text[:300]
        assert "Provenance:target" in resource["searchRevInclude"]


async def test_no_parameter_works_that_is_not_listed(client: httpx.AsyncClient) -> None:
    [rest] = (await client.get("metadata")).json()["rest"]
    names = {each["name"] for resource in rest["resource"] for each in resource["searchParam"]} | {"near", "_query"}
    shared = {each["name"] for each in rest["searchParam"]}
    for resource in rest["resource"]:
        if resource["type"] not in ("Patient", "Immunization", "Location", "Group"):
            continue
        for name in names - {each["name"] for each in resource["searchParam"]} - shared:
            with pytest.raises(FhirError) as caught:
                query.parse(resource["type"], [(name, "x")])
            assert caught.value.status == 400


async def test_what_it_fulfils_and_offers_to_the_whole(client: httpx.AsyncClient) -> None:
    statement = (await client.get("metadata")).json()
    assert statement["instantiates"] == ["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"]
    interactions = {each["code"] for each in statement["rest"][0]["interaction"]}
    assert interactions == {"batch", "transaction", "history-system", "search-system"}
    compartments = [url.rpartition("/")[2] for url in statement["rest"][0]["compartment"]]
    assert compartments == ["device", "encounter", "patient", "practitioner", "relatedperson"]
    for name in ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"):
        assert (await client.get(f"{name}/metadata-1/*")).status_code == 200
    assert (await client.get("metadata?mode=full")).json() == statement
    assert (await client.get("metadata?mode=normative")).json() == statement
    short = (await client.get("metadata?_elements=fhirVersion")).json()
    assert short["fhirVersion"] == "4.0.1"
    assert "instantiates" not in short


async def test_in_xml(client: httpx.AsyncClient) -> None:
    answer = await client.get("metadata?_format=xml")
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert json.loads(xml.from_xml(answer.content)) == (await client.get("metadata")).json()


async def test_every_operation_has_its_definition(client: httpx.AsyncClient) -> None:
    [rest] = (await client.get("metadata")).json()["rest"]
    listed = [*rest.get("operation", []), *(each for r in rest["resource"] for each in r.get("operation", []))]
    assert listed
    for url in {each["definition"] for each in listed}:
        found = (await client.get("OperationDefinition", params={"url": url})).json()
        assert found["total"] == 1, url
