"""https://hl7.org/fhir/R4/http.html#cond-update"""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.http.answers import JSON, found, patient, put, refused

JSON_PATCH = {"content-type": "application/json-patch+json"}
Resource = dict[str, Any]


def known(value: str, **members: Any) -> Resource:
    """A Patient without id, known by an identifier."""
    return {"resourceType": "Patient", "identifier": [{"system": "urn:c", "value": value}], **members}


def by(value: str) -> str:
    return f"Patient?identifier=urn:c|{value}"


async def test_update_creates_then_updates(client: httpx.AsyncClient) -> None:
    first = await client.put(by("u1"), json=known("u1"), headers=JSON)
    assert first.status_code == 201
    assert first.headers["etag"] == 'W/"1"'
    id = first.json()["id"]
    second = await client.put(by("u1"), json=known("u1", active=True), headers=JSON)
    assert (second.status_code, second.json()["id"], second.headers["etag"]) == (200, id, 'W/"2"')
    third = await client.put(by("u1"), json=known("u1", id=id, active=False), headers=JSON)
    assert (third.status_code, third.headers["etag"]) == (200, 'W/"3"')
    assert found(await client.get(by("u1"))) == [f"Patient/{id}"]


async def test_update_under_the_clients_id(client: httpx.AsyncClient) -> None:
    first = await client.put(by("u2"), json=known("u2", id="cond-2"), headers=JSON)
    assert (first.status_code, first.json()["id"]) == (201, "cond-2")
    other = await client.put(by("u2"), json=known("u2", id="cond-other"), headers=JSON)
    assert refused(other, 400).detail == "wrong-id"
    await client.delete("Patient/cond-2")
    again = await client.put(by("u2"), json=known("u2", id="cond-2"), headers=JSON)
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"3"')
    await put(client, patient("cond-3", active=True))
    taken = await client.put(by("u3"), json=known("u3", id="cond-3"), headers=JSON)
    assert refused(taken, 409).detail == "duplicate-id"
    assert (await client.get("Patient/cond-3")).json()["active"] is True


async def test_several_matches(client: httpx.AsyncClient) -> None:
    await put(client, *({**known("u4"), "id": f"cond-4-{number}"} for number in range(2)))
    assert refused(await client.put(by("u4"), json=known("u4"), headers=JSON), 412).detail == "several-matches"
    change = [{"op": "add", "path": "/active", "value": True}]
    assert refused(await client.patch(by("u4"), json=change, headers=JSON_PATCH), 412).detail == "several-matches"
    assert refused(await client.delete(by("u4")), 412).detail == "several-matches"
    assert len(found(await client.get(by("u4")))) == 2


async def test_if_match_and_if_none_match(client: httpx.AsyncClient) -> None:
    none = await client.put(by("u5"), json=known("u5"), headers={**JSON, "if-match": 'W/"1"'})
    assert refused(none, 412).detail == "stale-version"
    only = {**JSON, "if-none-match": "*"}
    assert (await client.put(by("u5"), json=known("u5"), headers=only)).status_code == 201
    assert refused(await client.put(by("u5"), json=known("u5"), headers=only), 412).detail == "already-present"
    stale = {**JSON, "if-match": 'W/"7"'}
    assert refused(await client.put(by("u5"), json=known("u5"), headers=stale), 412).detail == "stale-version"
    right = {**JSON, "if-match": 'W/"1"'}
    assert (await client.put(by("u5"), json=known("u5"), headers=right)).status_code == 200
    assert refused(await client.delete(by("u5"), headers=stale), 412).detail == "stale-version"


async def test_patch(client: httpx.AsyncClient) -> None:
    change = [{"op": "add", "path": "/active", "value": True}]
    assert refused(await client.patch(by("u6"), json=change, headers=JSON_PATCH), 404).detail == "no-match"
    await client.put(by("u6"), json=known("u6"), headers=JSON)
    answer = await client.patch(by("u6"), json=change, headers=JSON_PATCH)
    assert (answer.status_code, answer.json()["active"], answer.headers["etag"]) == (200, True, 'W/"2"')


async def test_delete(client: httpx.AsyncClient) -> None:
    await put(client, {**known("u7"), "id": "cond-7"}, {**known("u8"), "id": "cond-8"})
    assert (await client.delete(by("u7"))).status_code == 204
    assert refused(await client.get("Patient/cond-7"), 410)
    assert (await client.delete(by("u7"))).status_code == 204
    assert (await client.get("Patient/cond-8")).status_code == 200


async def test_criteria_with_a_chain(client: httpx.AsyncClient) -> None:
    await put(client, {**known("u9"), "id": "cond-9"})
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"text": "x"},
        "patient": {"reference": "Patient/cond-9"},
        "occurrenceDateTime": "2021-01-01",
    }
    address = "Immunization?patient.identifier=urn:c|u9"
    first = await client.put(address, json=dose, headers=JSON)
    second = await client.put(address, json=dose, headers=JSON)
    assert (first.status_code, second.status_code) == (201, 200)
    assert (await client.delete(address)).status_code == 204
    assert found(await client.get(address)) == []


@pytest.mark.parametrize(
    "criteria",
    [
        "",
        "?",
        "?_format=json",
        "?colour=red",
        "?identifer=urn:c|u10",
        "?identifier=",
        "?_count=1",
        "?_sort=_id",
        "?active:not=true",
        "?name:missing=true",
        "?_lastUpdated=gt2020",
        "?identifier:colour=x",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_condition_never_means_everybody(client: httpx.AsyncClient, method: str, criteria: str) -> None:
    await put(client, {**known("u10"), "id": "cond-10"})
    before = (await client.get("Patient/cond-10")).content
    body: dict[str, Any] = {}
    if method == "PUT":
        body = {"json": known("u10"), "headers": JSON}
    if method == "PATCH":
        body = {"json": [{"op": "add", "path": "/active", "value": True}], "headers": JSON_PATCH}
    # Leniency is for searches: a condition is never loosened.
    body["headers"] = {**body.get("headers", {}), "prefer": "handling=lenient"}
    assert refused(await client.request(method, f"Patient{criteria}", **body), 400)
    assert (await client.get("Patient/cond-10")).content == before


async def test_forty_updates_at_the_same_time_make_one_resource(client: httpx.AsyncClient) -> None:
    async def send(number: int) -> int:
        body = known("u11", multipleBirthInteger=number)
        return (await client.put(by("u11"), json=body, headers=JSON)).status_code

    statuses = Counter(await asyncio.gather(*(send(number) for number in range(40))))
    assert statuses == {201: 1, 200: 39}
    [row] = (await client.get(by("u11"))).json()["entry"]
    assert row["resource"]["meta"]["versionId"] == "40"


async def test_forty_updates_under_different_ids_make_one_resource(client: httpx.AsyncClient) -> None:
    async def send(number: int) -> int:
        body = known("u12", id=f"cond-12-{number}")
        return (await client.put(by("u12"), json=body, headers=JSON)).status_code

    statuses = Counter(await asyncio.gather(*(send(number) for number in range(40))))
    # The others carry another id than the one that is there now.
    assert statuses == {201: 1, 400: 39}
    assert len(found(await client.get(by("u12")))) == 1


async def test_forty_transactions_at_the_same_time_make_one_resource(client: httpx.AsyncClient) -> None:
    async def send(number: int) -> int:
        name = f"urn:uuid:0b0f2f7e-0000-4000-8000-{number:012}"
        entries = [
            {"fullUrl": name, "request": {"method": "PUT", "url": by("u13")}, "resource": known("u13")},
            {
                "request": {"method": "POST", "url": "Basic"},
                "resource": {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": name}},
            },
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return (await client.post("", json=bundle, headers=JSON)).status_code

    assert Counter(await asyncio.gather(*(send(number) for number in range(40)))) == {200: 40}
    [reference] = found(await client.get(by("u13")))
    assert (await client.get(f"Basic?subject={reference}&_summary=count")).json()["total"] == 40


async def test_in_a_batch_and_a_transaction(client: httpx.AsyncClient) -> None:
    for kind in ("batch", "transaction"):
        entries = [
            {"request": {"method": "PUT", "url": by(f"{kind}-a")}, "resource": known(f"{kind}-a")},
            {"request": {"method": "DELETE", "url": by(f"{kind}-b")}},
        ]
        await put(client, {**known(f"{kind}-b"), "id": f"cond-{kind}-b"})
        bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
        for status in ("201", "200"):
            answer = await client.post("", json=bundle, headers=JSON)
            assert [entry["response"]["status"][:3] for entry in answer.json()["entry"]] == [status, "204"], answer.text
        assert len(found(await client.get(by(f"{kind}-a")))) == 1
        assert refused(await client.get(f"Patient/cond-{kind}-b"), 410)


async def test_capabilities_tell(client: httpx.AsyncClient) -> None:
    statement = (await client.get("metadata")).json()
    patches = ["application/json-patch+json", "application/xml-patch+xml"]
    assert statement["patchFormat"] == [*patches, "application/fhir+json", "application/fhir+xml"]
    [row] = [each for each in statement["rest"][0]["resource"] if each["type"] == "Patient"]
    assert {"code": "patch"} in row["interaction"]
    assert (row["conditionalUpdate"], row["conditionalDelete"]) == (True, "single")
