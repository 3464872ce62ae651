"""https://hl7.org/fhir/R4/http.html#summary

Whatever goes past the framework's layers is answered as if it did not.
"""

from typing import Any

import httpx
import pytest

from fhir_server.http.front import is_usual


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "http", "path": path, **more}


@pytest.mark.parametrize("path", ["/fhir/Patient", "/fhir/Patient/1", "/fhir/Immunization/a.b-C"])
def test_addresses_of_types_and_resources_are_usual(path: str) -> None:
    assert is_usual(scope(path))
    assert not is_usual(scope(path, root_path="/behind"))
    assert not is_usual(scope(path, type="websocket"))


@pytest.mark.parametrize(
    "path",
    [
        *("/fhir", "/fhir/", "/fhir/patient", "/fhir/Patients/1", "/fhir/Patient/", "/fhir/Patient/1/", "/Patient/1"),
        *("/fhir/Patient/_search", "/fhir/Patient/_history", "/fhir/Patient/$match", "/fhir/Patient/*"),
        *("/fhir/Patient/1/_history", "/fhir/Patient/1/$everything", "/fhir/$export", "/fhir/metadata"),
    ],
)
def test_everything_else_is_left_to_the_router(path: str) -> None:
    assert not is_usual(scope(path))


async def test_answers_have_what_answers_have(client: httpx.AsyncClient) -> None:
    for address in ("Patient?_count=1", "Patient/1/_history", "Patient/unknown"):
        answer = await client.get(address, headers={"origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-content-type-options"] == "nosniff"
    asked = {"origin": "https://app.example", "access-control-request-method": "PUT"}
    assert (await client.options("Patient/1", headers=asked)).status_code == 204
    assert (await client.options("Patient/1")).headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert (await client.head("Patient/unknown")).status_code == 404
    assert (await client.request("BREW", "Patient/unknown")).status_code in (400, 405)
