"""https://hl7.org/fhir/R4/http.html#read"""

import httpx
import pytest

from tests.http.answers import JSON, patient, put, refused


async def test_read_and_vread(client: httpx.AsyncClient) -> None:
    await put(client, patient("read-1", active=True), patient("read-1", active=False))
    current = await client.get("Patient/read-1")
    assert current.status_code == 200
    assert current.headers["etag"] == 'W/"2"'
    assert current.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert "last-modified" in current.headers
    assert "location" not in current.headers
    assert current.json()["active"] is False
    for version, active in ((1, True), (2, False)):
        earlier = await client.get(f"Patient/read-1/_history/{version}")
        assert (earlier.status_code, earlier.headers["etag"]) == (200, f'W/"{version}"')
        assert earlier.json()["active"] is active
        assert earlier.json()["meta"]["versionId"] == str(version)


async def test_unknown_and_deleted(client: httpx.AsyncClient) -> None:
    await put(client, patient("read-2"))
    assert (await client.delete("Patient/read-2")).status_code == 204
    assert refused(await client.get("Patient/read-2"), 410) == ("deleted", "deleted", ())
    assert refused(await client.get("Patient/read-2/_history/2"), 410)[:2] == ("deleted", "deleted")
    assert (await client.get("Patient/read-2/_history/1")).status_code == 200
    assert refused(await client.get("Patient/read-2/_history/3"), 404)[:2] == ("not-found", "unknown-version")
    assert refused(await client.get("Patient/read-never"), 404)[:2] == ("not-found", "unknown-resource")
    assert refused(await client.get("Patient/read-never/_history/1"), 404)[:2] == ("not-found", "unknown-resource")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": 'W/"2"'}, 304),
        ({"if-none-match": '"2"'}, 304),
        ({"if-none-match": 'W/"9", W/"2"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": 'W/"1"'}, 200),
        ({"if-none-match": "2"}, 200),
        ({"if-modified-since": "Fri, 31 Dec 2100 23:59:59 GMT"}, 304),
        ({"if-modified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-modified-since": "Sat, 01 Jan 0000 00:00:00 GMT"}, 200),
        # If-None-Match decides where both are given.
        ({"if-none-match": 'W/"1"', "if-modified-since": "Fri, 31 Dec 2100 23:59:59 GMT"}, 200),
    ],
)
async def test_conditional_read(client: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    if (await client.get("Patient/read-3")).status_code == 404:
        await put(client, patient("read-3"), patient("read-3", active=True))
    answer = await client.get("Patient/read-3", headers=headers)
    assert answer.status_code == status
    assert answer.headers["etag"] == 'W/"2"'
    assert "last-modified" in answer.headers
    if status == 304:
        assert answer.content == b""


async def test_last_modified_makes_the_next_read_304(client: httpx.AsyncClient) -> None:
    await put(client, patient("read-4"))
    first = await client.get("Patient/read-4")
    again = await client.get("Patient/read-4", headers={"if-modified-since": first.headers["last-modified"]})
    assert again.status_code == 304


async def test_head_is_get_without_its_body(client: httpx.AsyncClient) -> None:
    await put(client, patient("read-5"))
    for address in ("Patient/read-5", "Patient/read-5/_history/1", "Patient?_id=read-5", "metadata", "Patient/nobody"):
        got, head = await client.get(address), await client.head(address)
        assert head.status_code == got.status_code
        assert head.content == b""
        different = {"date"}
        assert {name: value for name, value in head.headers.items() if name not in different} == {
            name: value for name, value in got.headers.items() if name not in different
        }


async def test_values_come_back_as_they_were_written(client: httpx.AsyncClient) -> None:
    body = (
        b'{"resourceType":"Observation","id":"read-6","status":"final","code":{"text":"\\u00e9 \xc3\xa9 \\/"},'
        b'"effectiveDateTime":"2021-01","_effectiveDateTime":{"id":"e"},"valueQuantity":{"value":1.10,"unit":"mg"},'
        b'"component":[{"code":{"text":"a"},"valueQuantity":{"value":100000000000000000.25}},'
        b'{"code":{"text":"b"},"valueQuantity":{"value":1.0E-8}},{"code":{"text":"c"},"valueQuantity":{"value":-0.00}}]}'
    )
    stored = await client.put("Observation/read-6", content=body, headers=JSON)
    assert stored.status_code in (200, 201), stored.text
    got = (await client.get("Observation/read-6")).content
    head, _, rest = got.partition(b',"meta":{')
    without_meta = head + rest[rest.index(b"}") + 1 :]
    assert without_meta == body
