"""https://hl7.org/fhir/R4/http.html#update"""

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, patient, put, refused


async def test_update_makes_the_next_version(client: httpx.AsyncClient, server: Server) -> None:
    first = await client.put("Patient/update-1", json=patient("update-1"), headers=JSON)
    second = await client.put("Patient/update-1", json=patient("update-1", active=True), headers=JSON)
    assert (first.status_code, second.status_code) == (201, 200)
    assert (first.headers["etag"], second.headers["etag"]) == ('W/"1"', 'W/"2"')
    assert second.headers["location"] == f"{server.base}/Patient/update-1/_history/2"
    assert "last-modified" in second.headers
    assert second.json()["meta"]["lastUpdated"] > first.json()["meta"]["lastUpdated"]
    assert (await client.get("Patient/update-1")).content == second.content


async def test_searches_follow_an_update(client: httpx.AsyncClient) -> None:
    await put(client, patient("update-2", name=[{"family": "Updatebefore"}]))
    await put(client, patient("update-2", name=[{"family": "Updateafter"}]))
    assert (await client.get("Patient?family=updatebefore")).json()["total"] == 0
    assert (await client.get("Patient?family=updateafter")).json()["total"] == 1


@pytest.mark.parametrize(
    ("if_match", "status", "detail"),
    [
        ('W/"2"', 200, ""),
        ('"2"', 200, ""),
        ('W/"1"', 412, "stale-version"),
        ('W/"3"', 412, "stale-version"),
        ('W/"0"', 412, "stale-version"),
        ("2", 400, "malformed-if-match"),
        ('W/"two"', 400, "malformed-if-match"),
        ('W/"1", W/"2"', 400, "malformed-if-match"),
        ("", 400, "malformed-if-match"),
        ("*", 200, ""),
    ],
)
async def test_if_match(client: httpx.AsyncClient, if_match: str, status: int, detail: str) -> None:
    await client.delete("Patient/update-3")
    await put(client, patient("update-3"))
    current = int((await client.get("Patient/update-3")).json()["meta"]["versionId"])
    # The cases are written for version 2; what was deleted goes on counting.
    tag = if_match.replace("1", "@1").replace("2", "@2").replace("3", "@3")
    for written, version in (("@1", current - 1), ("@2", current), ("@3", current + 1)):
        tag = tag.replace(written, str(version))
    answer = await client.put("Patient/update-3", json=patient("update-3"), headers={**JSON, "if-match": tag})
    if status == 200:
        assert answer.status_code == 200
    else:
        assert refused(answer, status)[1:] == (detail, ("If-Match",))
        assert int((await client.get("Patient/update-3")).json()["meta"]["versionId"]) == current


async def test_if_match_on_what_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.put("Patient/update-4", json=patient("update-4"), headers={**JSON, "if-match": 'W/"1"'})
    assert refused(answer, 412).detail == "stale-version"
    headers = {**JSON, "if-match": "*"}
    told = refused(await client.put("Patient/update-4", json=patient("update-4"), headers=headers), 412)
    assert told == ("conflict", "not-present", ("If-Match",))
    assert refused(await client.delete("Patient/update-4", headers=headers), 412).detail == "not-present"
    found = await client.put("Patient?_id=update-4", json=patient("update-4"), headers=headers)
    assert refused(found, 412).detail == "not-present"
    assert (await client.get("Patient/update-4")).status_code == 404


async def test_if_none_match_star_only_creates(client: httpx.AsyncClient) -> None:
    headers = {**JSON, "if-none-match": "*"}
    assert (await client.put("Patient/update-5", json=patient("update-5"), headers=headers)).status_code == 201
    answer = await client.put("Patient/update-5", json=patient("update-5", active=True), headers=headers)
    assert refused(answer, 412) == ("conflict", "already-present", ("If-None-Match",))
    assert "active" not in (await client.get("Patient/update-5")).json()
    await client.delete("Patient/update-5")
    assert (await client.put("Patient/update-5", json=patient("update-5"), headers=headers)).status_code == 201
    wrong = await client.put("Patient/update-5", json=patient("update-5"), headers={**JSON, "if-none-match": 'W/"1"'})
    assert refused(wrong, 400).detail == "malformed-if-none-match"


async def test_after_a_deletion_versions_go_on(client: httpx.AsyncClient) -> None:
    await put(client, patient("update-6"))
    await client.delete("Patient/update-6")
    answer = await client.put("Patient/update-6", json=patient("update-6"), headers=JSON)
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"3"')


@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation", "return=OperationOutcome"])
async def test_prefer(client: httpx.AsyncClient, prefer: str) -> None:
    answer = await client.put("Patient/update-7", json=patient("update-7"), headers={**JSON, "prefer": prefer})
    assert answer.status_code in (200, 201)
    assert answer.headers["etag"]
    kind = answer.json()["resourceType"] if answer.content else None
    assert kind == {"return=minimal": None, "return=representation": "Patient"}.get(prefer, "OperationOutcome")


@pytest.mark.parametrize(
    ("address", "body", "status", "detail"),
    [
        ("Patient/update-8", patient("other"), 400, "wrong-id"),
        ("Patient/update-8", {"resourceType": "Patient"}, 400, "wrong-id"),
        (
            "Patient/update-8",
            {"resourceType": "Group", "id": "update-8", "type": "person", "actual": True},
            400,
            "wrong-type",
        ),
        ("Patient/update-8", {"id": "update-8"}, 400, "wrong-type"),
        ("patient/update-8", patient("update-8"), 404, "unknown-type"),
        ("Patient/update_8", patient("update_8"), 400, "malformed-id"),
        ("Patient/" + "x" * 65, patient("x" * 65), 400, "malformed-id"),
    ],
)
async def test_address_and_body_must_agree(
    client: httpx.AsyncClient, address: str, body: dict[str, object], status: int, detail: str
) -> None:
    assert refused(await client.put(address, json=body, headers=JSON), status).detail == detail
    assert (await client.get("Patient/update-8")).status_code == 404
