"""https://hl7.org/fhir/R4/search.html#list"""

from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, everything, found, patient, put, refused


def _list(id: str, *references: str, deleted: str = "") -> dict[str, Any]:
    entries = [{"item": {"reference": each}, **({"deleted": True} if each == deleted else {})} for each in references]
    return {"resourceType": "List", "id": id, "status": "current", "mode": "changes", "entry": entries}


@pytest.fixture(scope="module", autouse=True)
async def lists(client: httpx.AsyncClient, server: Server) -> None:
    """Lists of patients l-1 to l-4: `l-a` names 1, 2 and 3 (deleted from it), `l-b` 3 and one who is not there."""
    for number in "1234":
        await put(client, patient(f"l-{number}", name=[{"family": f"Listed{number}"}]))
    two = f"{server.base}/Patient/l-2"
    await put(
        client,
        {
            "resourceType": "Immunization",
            "id": "l-dose",
            "status": "completed",
            "vaccineCode": {"text": "a vaccine"},
            "patient": {"reference": "Patient/l-2"},
            "occurrenceDateTime": "2021-01-05",
        },
        _list("l-a", "Patient/l-1", two, "Patient/l-3", "Immunization/l-dose", deleted="Patient/l-3"),
        _list("l-b", "Patient/l-3", "Patient/l-nobody"),
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Patient?_list=l-a", "l-1 l-2"),
        ("Patient?_list=List/l-a", "l-1 l-2"),
        ("Patient?_list={base}/List/l-a", "l-1 l-2"),
        ("Patient?_list=l-a,l-b", "l-1 l-2 l-3"),
        ("Patient?_list=l-a&_list=l-b", ""),
        ("Patient?_list=l-a&family=listed2", "l-2"),
        ("Patient?_list=l-none", ""),
        ("Immunization?_list=l-a", "l-dose"),
        ("Immunization?patient._list=l-a", "l-dose"),
        ("Immunization?patient._list=l-b", ""),
        ("Patient?_has:Immunization:patient:_list=l-a", "l-2"),
        ("Group?_list=l-a", ""),
    ],
)
async def test_found(client: httpx.AsyncClient, server: Server, address: str, expected: str) -> None:
    resource_type, _, query = address.replace("{base}", server.base).partition("?")
    answer = await client.get(f"{resource_type}?{query}")
    assert sorted(found(answer)) == [f"{resource_type}/{id}" for id in expected.split()]
    posted = await client.post(
        f"{resource_type}/_search", content=query, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert sorted(found(posted)) == sorted(found(answer))
    assert (await client.get(f"{resource_type}?{query}&_summary=count")).json()["total"] == len(expected.split())


async def test_pages_keep_to_the_list(client: httpx.AsyncClient) -> None:
    assert sorted(await everything(client, "Patient?_list=l-a,l-b&_count=1&_sort=-family")) == ["l-1", "l-2", "l-3"]


@pytest.mark.parametrize(
    ("address", "code", "detail", "expression"),
    [
        ("Patient?_list=$current-problems", "not-supported", "not-supported", "_list"),
        ("Patient?_list=", "value", "invalid-value", "_list"),
        ("Patient?_list=Patient/l-1", "value", "invalid-value", "_list"),
        ("Patient?_list=https://elsewhere.example/List/1", "value", "invalid-value", "_list"),
        ("Patient?_list:not=l-a", "invalid", "invalid-modifier", "_list:not"),
        ("Patient/l-1/*?_list=l-a", "not-supported", "not-supported", "_list"),
    ],
)
async def test_refused(client: httpx.AsyncClient, address: str, code: str, detail: str, expression: str) -> None:
    assert refused(await client.get(address), 400) == (code, detail, (expression,))


async def test_long_lists(client: httpx.AsyncClient) -> None:
    await put(client, _list("l-long", *(f"Patient/l-{number}" for number in range(10_000))))
    assert sorted(found(await client.get("Patient?_list=l-long"))) == [f"Patient/l-{number}" for number in "1234"]
    await put(client, _list("l-long", *(f"Patient/l-{number}" for number in range(10_001))))
    told = refused(await client.get("Patient?_list=l-long"), 400)
    assert told == ("too-costly", "too-many-resources", ("_list",))


async def test_conditions(client: httpx.AsyncClient) -> None:
    await put(client, patient("l-5"), _list("l-c", "Patient/l-5"))
    again = await client.post("Patient", json=patient("x"), headers={**JSON, "if-none-exist": "_list=l-c"})
    assert (again.status_code, again.json()["id"]) == (200, "l-5")
    assert (await client.delete("Patient?_list=l-c")).status_code == 204
    assert (await client.get("Patient/l-5")).status_code == 410
    refused(await client.delete("Patient?_list=l-a"), 412)


async def test_it_is_declared(client: httpx.AsyncClient) -> None:
    [rest] = (await client.get("metadata")).json()["rest"]
    assert {each["name"] for each in rest["searchParam"]} == {"_has", "_list"}
