"""https://hl7.org/fhir/R4/http.html#mime-type"""

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import patient, put, refused


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+json",
        "application/fhir+json; charset=utf-8",
        "application/fhir+json; fhirVersion=4.0",
        "application/json",
        "text/json",
        "*/*",
        "application/*",
        "",
        "text/turtle;q=0.9, application/fhir+json;q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ],
)
async def test_accept(client: httpx.AsyncClient, accept: str) -> None:
    await put(client, patient("wire-1"))
    answer = await client.get("Patient/wire-1", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json; charset=utf-8")


@pytest.mark.parametrize(
    "value", ["json", "application/json", "application/fhir+json", "application/fhir%2Bjson", "text/json"]
)
async def test_format_wins_over_accept(client: httpx.AsyncClient, value: str) -> None:
    await put(client, patient("wire-1"))
    answer = await client.get(f"Patient/wire-1?_format={value}", headers={"accept": "text/turtle"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "sent",
    ["application/fhir+json", "application/json", "application/fhir+json;charset=UTF-8", "APPLICATION/JSON", None],
)
async def test_content_type(client: httpx.AsyncClient, sent: str | None) -> None:
    headers = {"content-type": sent} if sent else {}
    assert (await client.post("Patient", content=b'{"resourceType":"Patient"}', headers=headers)).status_code == 201


async def test_pretty(client: httpx.AsyncClient) -> None:
    await put(client, patient("wire-2", multipleBirthInteger=2))
    compact = await client.get("Patient/wire-2?_pretty=false")
    pretty = await client.get("Patient/wire-2?_pretty=true")
    assert b"\n" not in compact.content
    assert pretty.text.startswith('{\n  "resourceType": "Patient",\n')
    assert pretty.json() == compact.json()
    assert (await client.get("Patient?_id=wire-2&_pretty=true")).text.startswith("{\n")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("", "GET, HEAD, OPTIONS, POST"),
        ("_search", "OPTIONS, POST"),
        ("Patient", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("Patient/wire-1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("Patient/wire-1/_history/1", "GET, HEAD, OPTIONS"),
        ("metadata", "GET, HEAD, OPTIONS"),
        ("Patient/wire-1/$everything?_format=ttl", "GET, HEAD, OPTIONS, POST"),
        ("Group/wire-1/$roster-upload", "OPTIONS, POST"),
    ],
)
async def test_options_and_wrong_methods_name_what_is_possible(
    client: httpx.AsyncClient, address: str, allowed: str
) -> None:
    options = await client.options(address)
    assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")
    wrong = await client.request("TRACE", address)
    assert refused(wrong, 405).detail == "wrong-method"
    assert wrong.headers["allow"] == allowed


async def test_head_answers_as_get_without_the_body(client: httpx.AsyncClient) -> None:
    await put(client, patient("wire-head"))
    for address in (
        *("Patient/wire-head", "Patient/wire-head/_history/1", "Patient/wire-head/_history", "Patient?_id=wire-head"),
        *("metadata", "Patient/wire-head/$everything", "Patient/wire-head/*", "?_type=Patient,Group&_id=wire-head"),
        *("Patient/nobody", "Nothing", "Patient?shoe=1", "Patient/wire-head/$nonsense"),
    ):
        answer, head = await client.get(address), await client.head(address)
        assert (head.status_code, head.content) == (answer.status_code, b""), address
        same = ("content-type", "content-length", "etag", "last-modified", "content-language")
        assert [head.headers.get(name) for name in same] == [answer.headers.get(name) for name in same], address


async def test_other_origins_may_call(client: httpx.AsyncClient) -> None:
    origin = {"origin": "https://app.example"}
    asked = {"access-control-request-method": "PUT", "access-control-request-headers": "content-type,if-match,prefer"}
    preflight = await client.options("Patient/1", headers={**origin, **asked})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "if-match" in preflight.headers["access-control-allow-headers"]
    for address in ("Patient?_count=0", "Patient/nobody"):
        answer = await client.get(address, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert {"ETag", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        assert "access-control-allow-credentials" not in answer.headers


async def test_links_never_follow_the_host_header(client: httpx.AsyncClient, server: Server) -> None:
    forged = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    created = await client.post("Patient", json=patient("x"), headers=forged)
    assert created.headers["location"].startswith(server.base + "/")
    assert "evil" not in (await client.get("Patient?_count=1", headers=forged)).text


async def test_a_slash_at_the_end_changes_nothing(client: httpx.AsyncClient) -> None:
    await put(client, patient("wire-slash"))
    for address in ("Patient/wire-slash", "Patient?_id=wire-slash", "metadata", "Patient/wire-slash/_history"):
        path, question, query = address.partition("?")
        plain, slashed = await client.get(address), await client.get(f"{path}/{question}{query}")
        assert (slashed.status_code, slashed.content) == (200, plain.content), address
    assert refused(await client.get("nonsense/"), 404).detail == "unknown-type"
    assert refused(await client.get("Patient/1/2/3/4/"), 404).detail == "unknown-address"
