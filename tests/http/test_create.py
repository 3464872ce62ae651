"""https://hl7.org/fhir/R4/http.html#create"""

import re
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, patient, refused, shape

BODY = '{ "resourceType" : "Patient", "id":"mine", "name":[{"given":["Zo\\u00eb"],"family":"Ø"}],\n "active":true }'


async def test_created_with_location_version_and_time(client: httpx.AsyncClient, server: Server) -> None:
    answer = await client.post("Patient", content=BODY, headers=JSON)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["etag"] == 'W/"1"'
    location = re.fullmatch(
        rf"{re.escape(server.base)}/Patient/([A-Za-z0-9.-]{{1,64}})/_history/1", answer.headers["location"]
    )
    assert location is not None
    created = answer.json()
    assert created["id"] == location[1] != "mine"
    assert created["meta"]["versionId"] == "1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", created["meta"]["lastUpdated"])
    assert (
        parsedate_to_datetime(answer.headers["last-modified"]).isoformat()[:19] == created["meta"]["lastUpdated"][:19]
    )
    assert (await client.get(answer.headers["location"])).content == answer.content


async def test_bytes_are_kept(client: httpx.AsyncClient) -> None:
    answer = await client.post("Patient", content=BODY, headers=JSON)
    id, meta = answer.json()["id"], answer.json()["meta"]
    assert answer.text == (
        f'{{"resourceType":"Patient","id":"{id}","name":[{{"given":["Zo\\u00eb"],"family":"Ø"}}],"active":true,'
        f'"meta":{{"versionId":"1","lastUpdated":"{meta["lastUpdated"]}"}}}}'
    ) or answer.text == (
        f'{{"resourceType":"Patient","id":"{id}","meta":{{"versionId":"1","lastUpdated":"{meta["lastUpdated"]}"}},'
        f'"name":[{{"given":["Zo\\u00eb"],"family":"Ø"}}],"active":true}}'
    )


async def test_meta_is_the_servers_but_tags_stay(client: httpx.AsyncClient) -> None:
    meta = {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "t"}]}
    created = (await client.post("Patient", json=patient("x", meta=meta), headers=JSON)).json()
    assert created["meta"]["versionId"] == "1"
    assert created["meta"]["lastUpdated"] > "2020"
    assert created["meta"]["tag"] == [{"code": "t"}]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("return=representation", "Patient"),
        ("return=minimal", None),
        ("return=OperationOutcome", "OperationOutcome"),
        ("respond-async, return=minimal", None),
        ("return=nonsense", "Patient"),
    ],
)
async def test_prefer(client: httpx.AsyncClient, prefer: str, expected: str | None) -> None:
    answer = await client.post("Patient", json=patient("x"), headers={**JSON, "prefer": prefer})
    assert answer.status_code == 201
    assert answer.headers["etag"] == 'W/"1"'
    assert "location" in answer.headers
    if expected is None:
        assert answer.content == b""
        assert answer.headers.get("content-length") == "0"
    else:
        assert answer.json()["resourceType"] == expected
        if expected == "OperationOutcome":
            assert shape(answer.json()).code == "informational"


@pytest.mark.parametrize("resource_type", ["Immunization", "Group", "Observation", "Basic", "Binary", "Bundle"])
async def test_any_type(client: httpx.AsyncClient, resource_type: str) -> None:
    required: dict[str, dict[str, Any]] = {
        "Immunization": {
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
            "patient": {"reference": "Patient/a"},
            "occurrenceDateTime": "2021-01-14",
        },
        "Group": {"type": "person", "actual": True},
        "Observation": {"status": "final", "code": {"text": "fever"}, "valueQuantity": {"value": 38.50}},
        "Basic": {"code": {"text": "anything"}},
        "Binary": {"contentType": "text/plain", "data": "aGVsbG8="},
        "Bundle": {"type": "collection"},
    }
    answer = await client.post(
        resource_type, json={"resourceType": resource_type, **required[resource_type]}, headers=JSON
    )
    assert answer.status_code == 201, answer.text
    assert (await client.get(answer.headers["location"])).content == answer.content


async def test_every_problem_is_listed_with_its_place(client: httpx.AsyncClient) -> None:
    body = patient("x", gender="woman", birthDate="1990-02-30", nom="?", contact=[{"gender": 1}])
    answer = await client.post("Patient", json=body, headers=JSON)
    assert refused(answer, 422)
    places = {place for issue in answer.json()["issue"] for place in issue["expression"]}
    assert places == {"Patient.gender", "Patient.birthDate", "Patient.nom", "Patient.contact[0].gender"}
