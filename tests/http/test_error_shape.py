"""The shape of every refusal, stated once.

https://hl7.org/fhir/R4/operationoutcome.html
"""

import httpx

from fhir_server.fhir.outcome import DETAIL_SYSTEM
from tests.http.answers import JSON, patient


async def test_one_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("Patient?shoe-size=43")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "not-found",
                "details": {
                    "coding": [{"system": DETAIL_SYSTEM, "code": "unknown-parameter"}],
                    "text": "Patient has no search parameter shoe-size.",
                },
                "expression": ["shoe-size"],
            }
        ],
    }


async def test_several_problems_each_with_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.post("Patient", json=patient("x", gender="x", active="y"), headers=JSON)
    assert answer.status_code == 422
    issues = answer.json()["issue"]
    assert sorted(issue["expression"][0] for issue in issues) == ["Patient.active", "Patient.gender"]
    assert all(set(issue) == {"severity", "code", "details", "expression"} for issue in issues)


async def test_nothing_inside_is_told(client: httpx.AsyncClient) -> None:
    """No trace, file, module, class or database message in what clients read."""
    for address in ("Patient/%00", "Patient?_page=%00", "Patient?family=%ff", "Nonsense", "Patient/1/_history/0"):
        text = (await client.get(address)).text
        for secret in ("Traceback", ".py", "fhir_server.", "pymongo", "mongodb", "Error(", "line "):
            assert secret not in text, address
