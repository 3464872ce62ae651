"""https://hl7.org/fhir/R4/capabilitystatement.html"""

import httpx

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
            allowed = (200, 400) if parameter["name"] in ("_id", "_lastUpdated") else (200,)
            assert answer.status_code in allowed, (resource_type, parameter, answer.text[:300])


async def test_every_operation_has_its_definition(client: httpx.AsyncClient) -> None:
    [rest] = (await client.get("metadata")).json()["rest"]
    listed = [*rest.get("operation", []), *(each for r in rest["resource"] for each in r.get("operation", []))]
    assert listed
    for url in {each["definition"] for each in listed}:
        found = (await client.get("OperationDefinition", params={"url": url})).json()
        assert found["total"] == 1, url
