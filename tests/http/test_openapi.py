"""https://spec.openapis.org/oas/v3.1.0

What the document says of every address is compared with the routes and with what the running server answers.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from fhir_server.app import create_app
from fhir_server.http.described import DESCRIBED
from fhir_server.http.openapi import document, served
from fhir_server.operations.catalogue import OPERATIONS
from fhir_server.operations.registry import Registry
from fhir_server.settings import Settings
from tests.conftest import Server
from tests.http.answers import JSON, patient, put, shape
from tests.http.conftest import CASES as FOLDER

CASES = json.loads((FOLDER / "openapi.json").read_text())
ROUTES = create_app(Settings.model_validate({}), "").router.routes
DOCUMENT = document(ROUTES, Registry(OPERATIONS), "http://127.0.0.1:8000")
DOCUMENTED = {
    f"{method.upper()} {path}": {**said, "path": path}
    for path, methods in DOCUMENT["paths"].items()
    for method, said in methods.items()
}
API = sorted(at for at in DOCUMENTED if " /fhir" in at and ".well-known" not in at)

PAGES = {"assets", "clinic", "eligible", "me", "portal", "register", "verify"}
"""The portal: for people, not for programs."""

# Statuses that would take an hour, a broken database or another caller to see; other tests see them.
UNSEEN = {"401", "403", "408", "409", "413", "429", "431", "500", "503"}
# Where the rest is seen: a job's life in tests/jobs, cards in tests/health_cards.
ELSEWHERE = {"GET /fhir/_jobs/{job}": {"200", "202", "422"}, "DELETE /fhir/_jobs/{job}": {"202"}}

EXAMPLES = {"type": "Patient", "owner": "Patient", "id": "openapi-1", "version": "1", "job": "none", "file": "none.png"}


@pytest.fixture(scope="module")
async def origin(client: httpx.AsyncClient, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client on the server's origin, with the resources the cases speak of."""
    await put(client, patient("openapi-1"), patient("openapi-gone"))
    await client.delete("Patient/openapi-gone")
    for _ in range(2):
        two = {"resourceType": "Patient", "identifier": [{"system": "urn:openapi", "value": "two"}]}
        assert (await client.post("Patient", json=two, headers=JSON)).status_code == 201
    async with httpx.AsyncClient(base_url=server.base.removesuffix("/fhir"), timeout=30) as client:
        yield client


def test_it_is_valid() -> None:
    validate(DOCUMENT)
    ids = [said["operationId"] for said in DOCUMENTED.values()]
    assert len(set(ids)) == len(ids)


def test_every_route_is_in_it_and_nothing_else() -> None:
    routed = set(served(ROUTES))
    apart = {("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{file}")}
    pages = {(method, path) for method, path in routed if path == "/" or path.split("/")[1] in PAGES}
    operations = {(method, path) for method, path in routed if "${operation}" in path}
    assert routed - apart - pages - operations == set(DESCRIBED)
    called = {at for at in DOCUMENTED if "$" in at}
    assert set(DOCUMENTED) - called == {f"{method} {path}" for method, path in DESCRIBED}
    assert {re.sub(r".*/", "", at) for at in called} == {f"${row.code}" for row in OPERATIONS}


async def test_it_is_what_the_server_publishes(origin: httpx.AsyncClient) -> None:
    answer = await origin.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    routes = create_app(Settings.model_validate({"dev": True}), "").router.routes
    assert answer.json() == document(routes, Registry(OPERATIONS), str(origin.base_url).rstrip("/"))


def _address(at: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: EXAMPLES.get(name[1], "none"), DOCUMENTED[at]["path"])


def _as_documented(at: str, answer: httpx.Response) -> None:
    """Status and media type of the answer are those documented there; a refusal is an OperationOutcome."""
    said = DOCUMENTED[at]["responses"].get(str(answer.status_code))
    assert said is not None, f"{at} answered {answer.status_code}: {answer.text[:300]}"
    if "$ref" in said:
        said = DOCUMENT["components"]["responses"][said["$ref"].rpartition("/")[2]]
    if not answer.content:
        return
    media = answer.headers["content-type"].partition(";")[0]
    assert media in said["content"], (at, answer.status_code, media)
    if answer.status_code >= 400 and media == "application/fhir+json":
        shape(answer.json())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['at']}-{case['status']}")
async def test_answers(origin: httpx.AsyncClient, case: dict[str, Any]) -> None:
    headers, content = dict(case.get("headers", {})), None
    for name, media in (
        ("body", "application/fhir+json"),
        ("patch", "application/json-patch+json"),
        ("form", "application/x-www-form-urlencoded"),
    ):
        if name in case:
            headers["content-type"] = media
            content = case[name] if name == "form" else json.dumps(case[name])
    answer = await origin.request(
        case["at"].split()[0], case.get("path", _address(case["at"])), headers=headers, content=content
    )
    assert answer.status_code == case["status"], answer.text[:500]
    _as_documented(case["at"], answer)
    told = DOCUMENTED[case["at"]]["responses"][str(case["status"])].get("headers", {})
    assert set(map(str.lower, told)) <= set(answer.headers)


@pytest.mark.parametrize("at", API)
async def test_refusals(origin: httpx.AsyncClient, at: str) -> None:
    method, address = at.split()[0], _address(at)
    said = DOCUMENTED[at]
    takes = list(said["requestBody"]["content"]) if "requestBody" in said else []
    body: dict[str, Any] = {"content": b"", "headers": {"content-type": takes[0]}} if takes else {}
    asked: list[tuple[int, str, dict[str, Any]]] = [
        (406, f"{address}?_format=pdf", body),
        (400, f"{address}?x=%FF", body),
        (414, f"{address}?x={'x' * 9_000}", body),
    ]
    if takes:
        asked.append((415, address, {"content": b"x", "headers": {"content-type": "text/enriched"}}))
    if "{type}" in said["path"]:
        asked.append((404, address.replace("/Patient", "/Nobody"), body))
    for status, where, how in asked:
        answer = await origin.request(method, where, **how)
        assert answer.status_code == status, (where, answer.status_code, answer.text[:300])
        _as_documented(at, answer)


def test_every_status_is_seen() -> None:
    """What is documented was answered above, by a case or by each address's refusals."""
    for at, said in DOCUMENTED.items():
        if "$" in at or at not in API:
            continue
        seen = {str(case["status"]) for case in CASES if case["at"] == at.rstrip("/")} | {"400", "406", "414"}
        seen |= {"415"} if "requestBody" in said else set()
        seen |= {"404"} if "{type}" in said["path"] else set()
        assert set(said["responses"]) - seen - UNSEEN - ELSEWHERE.get(at, set()) == set(), at


@pytest.mark.parametrize("at", [at for at in API if "$" in at])
async def test_operations(origin: httpx.AsyncClient, at: str) -> None:
    """Called with nothing, each answers or says what it lacks, as documented."""
    method, address = at.split()[0], _address(at)
    body: dict[str, Any] = {"headers": JSON, "json": {"resourceType": "Parameters"}} if method == "POST" else {}
    _as_documented(at, await origin.request(method, address, **body))
    if "{id}" in at:
        unknown = await origin.request(method, address.replace("openapi-1", "openapi-nobody"), **body)
        assert 400 <= unknown.status_code < 500
        _as_documented(at, unknown)


async def test_a_card_in_every_form(origin: httpx.AsyncClient) -> None:
    person = patient("openapi-card", name=[{"family": "Doe", "given": ["Jane"]}], birthDate="1950-01-01")
    dose = {
        "resourceType": "Immunization",
        "id": "openapi-dose",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
        "patient": {"reference": "Patient/openapi-card"},
        "occurrenceDateTime": "2021-01-05",
    }
    for resource in (person, dose):
        stored = await origin.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource, headers=JSON)
        assert stored.status_code in (200, 201), stored.text
    issued = await origin.get("/fhir/Patient/openapi-card/$health-cards-issue?credentialType=Immunization")
    _as_documented("GET /fhir/Patient/{id}/$health-cards-issue", issued)
    picture = issued.json()["parameter"][0]["extension"][0]["valueUrl"]
    media = set()
    for ending in ("", ".png", ".svg", ".pdf", ".smart-health-card"):
        answer = await origin.get(picture.removesuffix(".png") + ending)
        _as_documented("GET /cards/{file}", answer)
        media.add(answer.headers["content-type"].partition(";")[0])
    assert media == set(DOCUMENTED["GET /cards/{file}"]["responses"]["200"]["content"])


async def test_the_page_loads_nothing_from_elsewhere(origin: httpx.AsyncClient) -> None:
    page = await origin.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page.text)
    assert loaded
    for address in loaded:
        assert "//" not in address
        asset = await origin.get(f"/{address}")
        assert (asset.status_code, asset.headers["cache-control"]) == (200, "public, max-age=86400")
    assert (await origin.get("/docs/redoc.standalone.js")).status_code == 404
