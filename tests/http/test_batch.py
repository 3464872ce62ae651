"""https://hl7.org/fhir/R4/http.html#transaction: batches, whose entries stand alone"""

from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, Resource, patient, put, shape


def entry(method: str, url: str, resource: Resource | None = None, **members: Any) -> Resource:
    """An entry of a batch or transaction; `full_url` beside the members of its request."""
    made: Resource = {"request": {"method": method, "url": url, **members}}
    full_url = made["request"].pop("full_url", None)
    if full_url is not None:
        made["fullUrl"] = full_url
    if resource is not None:
        made["resource"] = resource
    return made


async def post(client: httpx.AsyncClient, kind: str, *entries: Any, **headers: str) -> httpx.Response:
    """Post a Bundle of this kind."""
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await client.post("", json=bundle, headers={**JSON, **headers})


def statuses(answer: httpx.Response) -> list[str]:
    """The status codes of the entries, in order."""
    assert answer.status_code == 200, answer.text
    return [each["response"]["status"][:3] for each in answer.json()["entry"]]


async def test_every_kind_of_entry_in_the_order_asked(client: httpx.AsyncClient, server: Server) -> None:
    await put(client, patient("batch-1"), patient("batch-2"), patient("batch-2"))
    answer = await post(
        client,
        "batch",
        entry("GET", "Patient/batch-1"),
        entry("GET", "Patient?_id=batch-2"),
        entry("PUT", "Patient/batch-3", patient("batch-3")),
        entry("POST", "Patient", patient("ignored")),
        entry("DELETE", "Patient/batch-2"),
        entry("GET", "Patient/batch-2/_history/1"),
        entry("HEAD", f"{server.base}/Patient/batch-1"),
        entry("PUT", "Patient/batch-1", patient("batch-1", active=True), ifMatch='W/"1"'),
    )
    assert statuses(answer) == ["200", "200", "201", "201", "204", "200", "200", "200"]
    bundle = answer.json()
    assert bundle["type"] == "batch-response"
    read, searched, created, posted, deleted, old, _, updated = bundle["entry"]
    # DELETE comes first, then POST, PUT, and GET last, whatever the order of the request.
    assert read["resource"]["active"] is True
    assert searched["resource"]["type"] == "searchset"
    assert searched["resource"]["total"] == 0
    assert created["response"]["location"] == f"{server.base}/Patient/batch-3/_history/1"
    assert (created["response"]["etag"], created["response"]["lastModified"][:2]) == ('W/"1"', "20")
    assert created["resource"]["id"] == "batch-3"
    assert posted["response"]["location"] == f"{server.base}/Patient/{posted['resource']['id']}/_history/1"
    assert "resource" not in deleted
    assert old["resource"]["meta"]["versionId"] == "1"
    assert updated["response"]["etag"] == 'W/"2"'


async def test_none_fails_another(client: httpx.AsyncClient) -> None:
    await put(client, patient("batch-4"))
    answer = await post(
        client,
        "batch",
        entry("GET", "Patient/nobody"),
        entry("PUT", "Patient/batch-5", patient("batch-5", nom="x")),
        entry("PUT", "Patient/batch-5", patient("other")),
        entry("PUT", "Patient/batch-4", patient("batch-4"), ifMatch='W/"7"'),
        entry("GET", "Patient?nonsense=1"),
        entry("GET", "patient/1"),
        entry("POST", "Patient"),
        entry("POST", "Patient", patient("x"), ifNoneExist="nonsense=1"),
        entry("POST", "Patient/batch-4", patient("batch-4")),
        entry("POST", "Patient/$nonsense", {"resourceType": "Parameters"}),
        entry("GRAB", "Patient/batch-4"),
        {"resource": patient("x")},
        5,
        {"request": {"method": "GET"}},
        {"request": {"method": "GET", "url": 7}},
        {"resource": 5, "request": {"method": "POST", "url": "Patient"}},
        entry("GET", "Patient/batch-4"),
        entry("PUT", "Patient/batch-6", patient("batch-6")),
    )
    found = statuses(answer)
    assert found == ["404", "422", "400", "412", "400", "404", *["400"] * 3, "404", *["400"] * 6, "200", "201"]
    for number, each in enumerate(answer.json()["entry"][:16]):
        told = shape(each["response"]["outcome"])
        assert told.expression
        assert all(place.startswith(f"Bundle.entry[{number}]") for place in told.expression), told
        assert "resource" not in each
    assert (await client.get("Patient/batch-6")).status_code == 200
    assert (await client.get("Patient/batch-5")).status_code == 404


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("prefer", ["minimal", "OperationOutcome"])
async def test_prefer_leaves_the_written_out(client: httpx.AsyncClient, kind: str, prefer: str) -> None:
    id = f"prefer-{prefer}-{kind}"
    answer = await post(
        client,
        kind,
        entry("PUT", f"Patient/{id}", patient(id)),
        entry("GET", f"Patient/{id}"),
        prefer=f"return={prefer}",
    )
    written, read = answer.json()["entry"]
    assert statuses(answer) == ["201", "200"]
    assert "resource" not in written
    assert written["response"]["location"].endswith(f"/Patient/{id}/_history/1")
    assert ("outcome" in written["response"]) == (prefer == "OperationOutcome")
    if prefer == "OperationOutcome":
        assert shape(written["response"]["outcome"]) == ("informational", "stored", ())
    assert read["resource"]["id"] == id
    assert "outcome" not in read["response"]


async def test_trailing_slash_and_none(client: httpx.AsyncClient, server: Server) -> None:
    body = {"resourceType": "Bundle", "type": "batch", "entry": [entry("GET", "Patient?_count=0")]}
    for address in (server.base, server.base + "/"):
        assert statuses(await client.post(address, json=body, headers=JSON)) == ["200"]


async def test_empty_bundles(client: httpx.AsyncClient) -> None:
    for kind in ("batch", "transaction"):
        answer = await client.post("", json={"resourceType": "Bundle", "type": kind}, headers=JSON)
        assert answer.status_code == 200
        assert answer.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


async def test_too_many_entries(client: httpx.AsyncClient) -> None:
    answer = await post(client, "batch", *[entry("GET", "Patient/1")] * 5_001)
    assert answer.status_code == 413
    assert shape(answer.json()) == ("too-costly", "too-many-entries", ("Bundle.entry",))
