"""https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header"""

import asyncio
from typing import Any

import httpx
import pytest

from tests.http.answers import JSON, patient, put, refused
from tests.http.test_batch import entry, statuses


def keyed(key: str, **more: str) -> dict[str, str]:
    """The headers of a request with this key."""
    return {**JSON, "idempotency-key": key, **more}


def bundle(kind: str, *entries: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


async def versions(client: httpx.AsyncClient, id: str) -> int:
    return len((await client.get(f"Patient/{id}/_history")).json()["entry"])


async def test_a_create_is_answered_alike_and_done_once(client: httpx.AsyncClient) -> None:
    body = patient("x", identifier=[{"system": "urn:idem", "value": "1"}])
    first, again = [await client.post("Patient", json=body, headers=keyed("create-1")) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.content, first.headers["etag"]) == (again.content, again.headers["etag"])
    assert first.headers["location"] == again.headers["location"]
    assert (await client.get("Patient?identifier=urn:idem|1")).json()["total"] == 1
    id = first.json()["id"]
    await put(client, patient(id, active=True))
    late = await client.post("Patient", json=body, headers=keyed("create-1"))
    assert (late.status_code, late.content) == (201, first.content), "the reply is that of then"
    assert [late.headers[name] for name in ("location", "etag")] == [
        first.headers[name] for name in ("location", "etag")
    ]
    other = await client.post("Patient", json={**body, "active": True}, headers=keyed("create-1"))
    assert refused(other, 422) == ("business-rule", "idempotency-key-reused", ("Idempotency-Key",))
    elsewhere = await client.post("Group", json=body, headers=keyed("create-1"))
    assert refused(elsewhere, 422).detail == "idempotency-key-reused"
    fresh = await client.post("Patient", json=body, headers=keyed("create-2"))
    assert fresh.json()["id"] != id


async def test_every_write_of_one_resource(client: httpx.AsyncClient) -> None:
    stored = patient("idem-1")
    for number in range(2):
        answer = await client.put("Patient/idem-1", json=stored, headers=keyed("put"))
        assert answer.status_code == 201, number
    patched = [{"op": "add", "path": "/active", "value": True}]
    header = keyed("patch") | {"content-type": "application/json-patch+json"}
    for address in ("Patient/idem-1", "Patient/idem-1"):
        assert (await client.patch(address, json=patched, headers=header)).headers["etag"] == 'W/"2"'
    for _ in range(2):
        updated = await client.put("Patient?_id=idem-1", json=stored, headers=keyed("conditional put"))
        assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"3"')
    for _ in range(2):
        matched = keyed("stale", **{"if-match": 'W/"3"'})
        assert (await client.put("Patient/idem-1", json=stored, headers=matched)).headers["etag"] == 'W/"4"'
    for address in ("Patient/idem-1", "Patient/idem-1", "Patient?_id=nobody", "Patient?_id=nobody"):
        assert (await client.delete(address, headers=keyed(f"delete {address}"))).status_code == 204
    assert await versions(client, "idem-1") == 5


async def test_what_was_refused_is_judged_anew(client: httpx.AsyncClient) -> None:
    stale = keyed("refused", **{"if-match": 'W/"1"'})
    assert refused(await client.put("Patient/idem-2", json=patient("idem-2"), headers=stale), 412)
    await put(client, patient("idem-2"))
    assert (await client.put("Patient/idem-2", json=patient("idem-2"), headers=stale)).status_code == 200


async def test_a_transaction(client: httpx.AsyncClient) -> None:
    await put(client, patient("idem-3"), patient("idem-4"), patient("idem-5"))
    person = patient("x", identifier=[{"system": "urn:idem", "value": "3"}])
    content = bundle(
        "transaction",
        entry("GET", "Patient/idem-3"),
        entry("POST", "Patient", person, full_url="urn:uuid:0b4f0a5e-5d0f-4e0b-8a3c-1c1c1c1c1c1c"),
        entry("PUT", "Patient/idem-3", patient("idem-3", active=True)),
        entry("DELETE", "Patient/idem-4"),
        entry("POST", "Patient", person, ifNoneExist="_id=idem-5"),
    )
    first = await client.post("", json=content, headers=keyed("transaction"))
    assert statuses(first) == ["200", "201", "200", "204", "200"]
    again = await client.post("", json=content, headers=keyed("transaction"))
    assert again.content == first.content
    assert (await versions(client, "idem-3"), await versions(client, "idem-4")) == (2, 2)
    content["entry"][2]["resource"]["active"] = False
    assert refused(await client.post("", json=content, headers=keyed("transaction")), 422)


async def test_a_batch_goes_on_where_it_was_left(client: httpx.AsyncClient) -> None:
    await put(client, patient("idem-6"))
    content = bundle(
        "batch",
        entry("POST", "Patient", patient("x")),
        entry("PUT", "Patient/idem-6", patient("idem-6", active=True), ifMatch='W/"1"'),
        entry("PUT", "Patient/idem-7", patient("idem-7"), ifMatch='W/"1"'),
        entry("POST", "Patient/idem-6/$health-link-revoke", {"resourceType": "Parameters"}),
    )
    first = await client.post("", json=content, headers=keyed("batch"))
    assert statuses(first) == ["201", "200", "412", "400"]
    await put(client, patient("idem-7"))
    again = await client.post("", json=content, headers=keyed("batch"))
    assert statuses(again) == ["201", "200", "200", "400"], "what was refused is judged anew"
    assert again.json()["entry"][:2] == first.json()["entry"][:2]
    assert await versions(client, "idem-6") == 2
    content["entry"].pop()
    assert refused(await client.post("", json=content, headers=keyed("batch")), 422)


async def test_at_the_same_time(client: httpx.AsyncClient) -> None:
    body = patient("x", identifier=[{"system": "urn:idem", "value": "parallel"}])
    sent = (client.post("Patient", json=body, headers=keyed("parallel")) for _ in range(20))
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await client.get("Patient?identifier=urn:idem|parallel")).json()["total"] == 1


@pytest.mark.parametrize("keys", [[""], ["a" * 256], ["é"], ["a", "b"]], ids=["empty", "long", "foreign", "two"])
async def test_malformed_keys(client: httpx.AsyncClient, keys: list[str]) -> None:
    headers = [(b"content-type", b"application/fhir+json"), *((b"idempotency-key", key.encode()) for key in keys)]
    told = refused(await client.post("Patient", json=patient("x"), headers=headers), 400)
    assert told == ("invalid", "malformed-idempotency-key", ("Idempotency-Key",))


async def test_an_operation_that_changes_data_does_not_pass_it_over(client: httpx.AsyncClient) -> None:
    await put(client, patient("idem-8"))
    content = {"resourceType": "Parameters"}
    answer = await client.post("Patient/idem-8/$health-link-revoke", json=content, headers=keyed("operation"))
    assert refused(answer, 400).expression == ("Idempotency-Key",)
