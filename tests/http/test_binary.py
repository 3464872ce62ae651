"""https://hl7.org/fhir/R4/binary.html#rest"""

from base64 import b64encode

import httpx
import pytest

from tests.http.answers import patient, put, refused

PICTURE = b"\x89PNG\r\n\x1a\n\x00\xff"
RESOURCE = {
    "resourceType": "Binary",
    "id": "binary-1",
    "contentType": "image/png",
    "securityContext": {"reference": "Patient/binary-1"},
    "data": b64encode(PICTURE).decode(),
}


async def test_content_is_taken_as_it_is(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "image/png", "x-security-context": "Patient/binary-1"}
    created = await client.post("Binary", content=PICTURE, headers=headers)
    assert created.status_code == 201
    assert {**created.json(), "id": "binary-1"} == {**RESOURCE, "meta": created.json()["meta"]}
    headers = {"content-type": "text/plain; charset=utf-8", "accept": "application/fhir+json"}
    updated = await client.put("Binary/binary-2", content="grüezi".encode(), headers=headers)
    assert updated.status_code in (200, 201)
    assert updated.json()["contentType"] == "text/plain; charset=utf-8"
    read = await client.get("Binary/binary-2", headers={"accept": "text/plain"})
    assert (read.text, read.headers["content-type"]) == ("grüezi", "text/plain; charset=utf-8")
    empty = await client.post("Binary", content=b"", headers={"content-type": "text/plain"})
    assert "data" not in empty.json()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/png", "image/png"),
        ("image/*;q=0.5, text/html;q=0", "image/png"),
        ("*/*", "application/fhir+json; charset=utf-8"),
        ("image/png, application/fhir+json", "application/fhir+json; charset=utf-8"),
        ("application/fhir+xml", "application/fhir+xml; charset=utf-8"),
    ],
)
async def test_content_is_given_to_who_takes_no_fhir(client: httpx.AsyncClient, accept: str, media_type: str) -> None:
    await put(client, RESOURCE)
    for address in ("Binary/binary-1", "Binary/binary-1/_history/1"):
        answer = await client.get(address, headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert answer.headers["etag"]
        if media_type == "image/png":
            assert answer.content == PICTURE
            assert answer.headers["x-security-context"] == "Patient/binary-1"
            assert answer.headers["content-security-policy"].startswith("sandbox")
            again = await client.get(address, headers={"accept": accept, "if-none-match": answer.headers["etag"]})
            assert again.status_code == 304


async def test_refused(client: httpx.AsyncClient) -> None:
    await put(client, RESOURCE, patient("binary-1"))
    for address, accept in (
        ("Binary/binary-1", "application/pdf"),
        ("Binary/binary-1", "image/*;q=0"),
        ("Binary/binary-1?_format=png", "image/png"),
        ("Binary/binary-1/_history", "image/png"),
        ("Binary?_id=binary-1", "image/png"),
        ("Patient/binary-1", "image/png"),
    ):
        assert refused(await client.get(address, headers={"accept": accept}), 406).detail == "not-acceptable"
    assert refused(await client.get("Binary/binary-none", headers={"accept": "image/png"}), 404)
    for declared in ("application/fhir+json; fhirVersion=3.0", "picture", "application/json; charset=latin-1"):
        answer = await client.post("Binary", content=PICTURE, headers={"content-type": declared})
        assert refused(answer, 415).expression == ("Content-Type",)
    answer = await client.post("Patient", content=PICTURE, headers={"content-type": "image/png"})
    assert refused(answer, 415).detail == "unsupported-content-type"
    headers = {"content-type": "image/png", "x-security-context": ""}
    assert refused(await client.post("Binary", content=PICTURE, headers=headers), 422)
