"""https://hl7.org/fhir/R4/search.html#summary"""

import json
from typing import Any

import httpx
import pytest

from profiles import structure
from tests.http.answers import JSON, link, patient, put, refused

TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
Resource = dict[str, Any]


def dose(id: str, patient: str) -> Resource:
    """An Immunization with more than a summary shows."""
    return {
        "resourceType": "Immunization",
        "id": id,
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">dose</div>'},
        "status": "completed",
        "vaccineCode": {"text": "x"},
        "patient": {"reference": f"Patient/{patient}"},
        "occurrenceDateTime": "2021-01-01",
        "lotNumber": "L1",
        "note": [{"text": "n"}],
        "doseQuantity": {"value": 0},
    }


@pytest.fixture(scope="module")
async def doses(client: httpx.AsyncClient) -> None:
    await put(client, patient("sub-1", name=[{"family": "Subset"}], maritalStatus={"text": "x"}))
    await put(client, dose("sub-1", "sub-1"), dose("sub-2", "sub-1"))


def members(resource: Resource) -> set[str]:
    assert TAG in resource["meta"]["tag"]
    assert [issue for issue in structure.check(resource) if issue.severity == "error"] == []
    return set(resource) - {"resourceType", "id", "meta"}


MANDATORY = {"status", "vaccineCode", "patient", "occurrenceDateTime"}
ALL = MANDATORY | {"text", "lotNumber", "note", "doseQuantity"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_summary=true", MANDATORY | {"note"}),
        ("_summary=text", MANDATORY | {"text"}),
        ("_summary=data", ALL - {"text"}),
        ("_elements=lotNumber", MANDATORY | {"lotNumber"}),
        ("_elements=lotNumber,note", MANDATORY | {"lotNumber", "note"}),
        ("_elements=Immunization.note", MANDATORY | {"note"}),
        ("_elements=note&_summary=false", MANDATORY | {"note"}),
    ],
)
async def test_on_reads_and_searches(client: httpx.AsyncClient, doses: None, query: str, expected: set[str]) -> None:
    read = await client.get(f"Immunization/sub-1?{query}")
    assert read.status_code == 200
    assert members(read.json()) == expected
    assert read.headers["etag"] == f'W/"{read.json()["meta"]["versionId"]}"'
    version = await client.get(f"Immunization/sub-1/_history/{read.json()['meta']['versionId']}?{query}")
    assert version.content == read.content
    found = await client.get(f"Immunization?patient=sub-1&_sort=_id&{query}")
    assert [members(entry["resource"]) for entry in found.json()["entry"]] == [expected, expected]
    assert found.json()["entry"][0]["resource"] == read.json()
    assert query.replace(",", "%2C") in (link(found.json(), "self") or "")


async def test_false_is_the_whole(client: httpx.AsyncClient, doses: None) -> None:
    whole = (await client.get("Immunization/sub-1")).content
    assert (await client.get("Immunization/sub-1?_summary=false")).content == whole
    assert set(json.loads(whole)) - {"resourceType", "id", "meta"} == ALL
    assert "tag" not in json.loads(whole)["meta"]


async def test_included_resources(client: httpx.AsyncClient, doses: None) -> None:
    address = "Immunization?_id=sub-1&_include=Immunization:patient"
    _, included = (await client.get(f"{address}&_summary=true")).json()["entry"]
    assert members(included["resource"]) == {"name"}
    # The names of elements are those of the type searched for: what is included comes whole.
    _, included = (await client.get(f"{address}&_elements=lotNumber")).json()["entry"]
    assert "maritalStatus" in included["resource"]
    assert "tag" not in included["resource"]["meta"]


async def test_pages(client: httpx.AsyncClient, doses: None) -> None:
    first = (await client.get("Immunization?patient=sub-1&_elements=lotNumber&_count=1")).json()
    following = link(first, "next")
    assert following is not None
    [row] = (await client.get(following)).json()["entry"]
    assert members(row["resource"]) == MANDATORY | {"lotNumber"}


async def test_count(client: httpx.AsyncClient, doses: None) -> None:
    answer = (await client.get("Immunization?patient=sub-1&_summary=count")).json()
    assert (answer["total"], "entry" in answer) == (2, False)


async def test_in_a_batch(client: httpx.AsyncClient, doses: None) -> None:
    entries = [
        {"request": {"method": "GET", "url": "Immunization/sub-1?_elements=note"}},
        {"request": {"method": "GET", "url": "Immunization/sub-1?_colour=red"}},
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=JSON)
    good, bad = answer.json()["entry"]
    assert members(good["resource"]) == MANDATORY | {"note"}
    assert bad["response"]["status"].startswith("400")


@pytest.mark.parametrize(
    "query",
    ["_summary=count", "_summary=some", "_elements=colour", "_elements=", "_summary=true&_elements=note", "_count=1"],
)
async def test_refused(client: httpx.AsyncClient, doses: None, query: str) -> None:
    refused(await client.get(f"Immunization/sub-1?{query}"), 400)


WHOLE = {
    "resourceType": "Patient",
    "name": [{"family": "Whole"}],
    "birthDate": "1970-01-01",
    "contact": [{"name": {"family": "Contact"}}],
}


async def test_an_excerpt_cannot_be_put_back(client: httpx.AsyncClient) -> None:
    created = (await client.post("Patient", json=WHOLE)).json()
    address = f"Patient/{created['id']}"
    excerpt = (await client.get(address, params={"_summary": "true"})).json()
    assert "contact" not in excerpt
    entry = {"resource": excerpt, "request": {"method": "PUT", "url": address}}
    for answer in (
        await client.put(address, json=excerpt),
        await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "subsetted"
    assert (await client.get(address)).json()["contact"] == WHOLE["contact"]
