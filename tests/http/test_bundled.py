"""https://hl7.org/fhir/R4/http.html#transaction: what else than reading and writing resources an entry may ask for"""

from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.http.answers import found, patient, put, shape
from tests.http.test_batch import entry, post, statuses

PARAMETERS = {"resourceType": "Parameters"}
FORM = {"resourceType": "Binary", "contentType": "application/x-www-form-urlencoded"}


def form(text: str) -> dict[str, Any]:
    return {**FORM, "data": b64encode(text.encode()).decode()}


@pytest.fixture(scope="module")
async def person(client: httpx.AsyncClient) -> str:
    await put(client, patient("bundled-1"), patient("bundled-1", active=True))
    return "Patient/bundled-1"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_each_answers_as_if_it_came_alone(client: httpx.AsyncClient, person: str, kind: str) -> None:
    asked = [
        ("GET", "metadata?_elements=fhirVersion"),
        ("GET", f"{person}/_history"),
        ("GET", f"{person}/_history?_count=1"),
        ("GET", f"{person}/_history/1"),
        ("GET", "Patient?_id=bundled-1"),
        ("GET", f"{person}/Immunization"),
        ("GET", f"{person}/*?_type=Patient"),
        ("GET", "?_type=Patient,Group&_id=bundled-1"),
        ("GET", f"{person}/$everything"),
        ("GET", f"{person}/$everything?_type=Patient"),
    ]
    answer = await post(client, kind, *(entry(*each) for each in asked))
    assert statuses(answer) == ["200"] * len(asked)
    for (_, url), row in zip(asked, answer.json()["entry"], strict=True):
        alone = await client.get(url)
        if "_count=1" not in url:  # a page token has a time
            assert row["resource"] == alone.json(), url
    # Histories of types and of everything follow what others do meanwhile.
    answer = await post(client, kind, entry("GET", "Patient/_history?_count=1"), entry("GET", "_history?_count=1"))
    assert [row["resource"]["type"] for row in answer.json()["entry"]] == ["history", "history"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_searches_and_operations_by_post(client: httpx.AsyncClient, person: str, kind: str) -> None:
    answer = await post(
        client,
        kind,
        entry("POST", "Patient/_search?_id=bundled-1"),
        entry("POST", "Patient/_search", form("_id=bundled-1&active=true")),
        entry("POST", "_search", form("_type=Patient,Group&_id=bundled-1")),
        entry("POST", f"{person}/$everything", PARAMETERS),
        entry("PUT", person, patient("bundled-1", active=True)),
    )
    assert statuses(answer) == ["200"] * 5
    for row in answer.json()["entry"][:4]:
        assert [each["resource"]["id"] for each in row["resource"]["entry"]] == ["bundled-1"]


async def test_what_the_client_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    await put(client, patient("bundled-2"))
    [first] = (await post(client, "batch", entry("GET", "Patient/bundled-2"))).json()["entry"]
    tag, modified = first["response"]["etag"], first["response"]["lastModified"]
    answer = await post(
        client,
        "batch",
        entry("GET", "Patient/bundled-2", ifNoneMatch=tag),
        entry("GET", "Patient/bundled-2", ifNoneMatch='W/"9", W/"1"'),
        entry("GET", "Patient/bundled-2", ifModifiedSince=modified),
        entry("GET", "Patient/bundled-2/_history/1", ifNoneMatch=tag),
        entry("GET", "Patient/bundled-2", ifNoneMatch='W/"9"'),
        entry("GET", "Patient/bundled-2", ifModifiedSince="2020-01-01T00:00:00Z"),
        entry("GET", "Patient/nobody", ifNoneMatch=tag),
    )
    assert statuses(answer) == ["304", "304", "304", "304", "200", "200", "404"]
    same = answer.json()["entry"][0]
    assert same == {"response": {"status": "304 Not Modified", "etag": tag, "lastModified": modified}}


REFUSED = [
    ("DELETE", "Patient", None, "unsupported-request", "does not say which one"),
    ("PUT", "Patient", patient("x"), "unsupported-request", "does not say which one"),
    ("PATCH", "Patient", PARAMETERS, "unsupported-request", "does not say which one"),
    ("PUT", "Patient/x?active=true", patient("x"), "unsupported-request", "both an id and criteria"),
    ("POST", "Patient/x", patient("x"), "unsupported-request", "its address is Patient"),
    ("POST", "Patient?active=true", patient("x"), "unsupported-request", "ifNoneExist"),
    ("POST", "/", {"resourceType": "Bundle", "type": "batch"}, "unsupported-url", "cannot be part of another"),
    ("DELETE", "Patient/x/_history/1", None, "unsupported-request", "not possible"),
    ("DELETE", "Patient/x/_history", None, "unsupported-request", "not possible"),
    ("DELETE", "Patient/x/Immunization", None, "unsupported-request", "not possible"),
    ("POST", "metadata", PARAMETERS, "unsupported-request", "not possible"),
    ("GET", "_jobs/x", None, "unsupported-url", "cannot be called"),
    ("GET", "metadata/x", None, "unsupported-url", "cannot be called"),
    ("GET", "Patient/x/y/z", None, "unsupported-url", "cannot be called"),
    ("GET", "Patient/x/Nobody", None, "unknown-type", "no"),
    ("POST", "Patient/_search", patient("x"), "not-a-form", "in a Binary"),
    ("POST", "Patient/_search", {**FORM, "data": "%"}, "not-a-form", "base64"),
    ("POST", "Patient/x/$everything?_type=Patient", PARAMETERS, "unknown-parameter", "in the resource"),
    ("POST", "Group/x/$roster-upload", PARAMETERS, "unsupported-content-type", "text/csv"),
    ("GET", "Patient?_id=%ff", None, "malformed-query", "UTF-8"),
]


@pytest.mark.parametrize(("method", "url", "resource", "detail", "text"), REFUSED)
async def test_refusals_say_what_is_wrong(
    client: httpx.AsyncClient, method: str, url: str, resource: Any, detail: str, text: str
) -> None:
    answer = await post(client, "batch", entry(method, url, resource))
    [status] = statuses(answer)
    assert status in ("400", "404", "415")
    outcome = answer.json()["entry"][0]["response"]["outcome"]
    assert shape(outcome).detail == detail
    assert text in outcome["issue"][0]["details"]["text"]


async def test_what_changes_data_by_itself_is_not_part_of_a_transaction(client: httpx.AsyncClient, person: str) -> None:
    revoke = entry("POST", f"{person}/$health-link-revoke", PARAMETERS)
    answer = await post(client, "transaction", entry("PUT", "Patient/bundled-3", patient("bundled-3")), revoke)
    assert answer.status_code == 400
    assert shape(answer.json()).detail == "unsupported-request"
    assert (await client.get("Patient/bundled-3")).status_code == 404
    # By GET it is refused as it would be alone.
    assert statuses(await post(client, "batch", entry("GET", f"{person}/$health-link-revoke"))) == ["405"]


async def test_reading_comes_last(client: httpx.AsyncClient, person: str) -> None:
    answer = await post(
        client,
        "batch",
        entry("POST", "Patient/_search?_id=bundled-4"),
        entry("GET", "Patient/bundled-4/$everything"),
        entry("PUT", "Patient/bundled-4", patient("bundled-4")),
    )
    searched, gathered, _ = answer.json()["entry"]
    assert [len(row["resource"]["entry"]) for row in (searched, gathered)] == [1, 1]
    assert found(await client.get("Patient?_id=bundled-4")) == ["Patient/bundled-4"]
