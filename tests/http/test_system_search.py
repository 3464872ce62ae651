"""https://hl7.org/fhir/R4/http.html#search: over several types"""

from functools import partial

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, Resource, found, link, pages, refused

EVERYBODY = "Patient/w-1 Patient/w-2 Patient/w-3 Patient/w-4"
DOSES = "Immunization/w-i1 Immunization/w-i2 Immunization/w-i3 Immunization/w-i4"


async def test_types_follow_one_another(client: httpx.AsyncClient, server: Server, world: str) -> None:
    answer = await client.get("", params={"_type": "Patient,Immunization", "_tag": world})
    assert sorted(found(answer)) == f"{DOSES} {EVERYBODY}".split()
    assert answer.json()["total"] == 8
    assert (link(answer.json(), "self") or "").startswith(f"{server.base}?_type=Patient%2CImmunization&_tag=")
    posted = await client.post("_search", data={"_type": "Patient,Immunization", "_tag": world})
    assert posted.json()["entry"] == answer.json()["entry"]
    repeated = await client.get("", params=[("_type", "Patient"), ("_type", "Immunization"), ("_tag", world)])
    assert repeated.json()["entry"] == answer.json()["entry"]


async def test_all_types(client: httpx.AsyncClient, world: str) -> None:
    counted = await client.get("", params={"_tag": world, "_summary": "count"})
    gathered = [row for page in await pages(client, f"?_tag={world}&_count=7") for row in page["entry"]]
    ids = [row["resource"]["id"] for row in gathered]
    assert len(ids) == len(set(ids)) == counted.json()["total"]
    assert len({row["resource"]["resourceType"] for row in gathered}) == 10


async def test_pages_and_totals(client: httpx.AsyncClient, world: str) -> None:
    found_pages = await pages(client, f"?_type=Patient,Immunization&_tag={world}&_count=3&_total=accurate&_format=json")
    assert [len(page["entry"]) for page in found_pages] == [3, 3, 2]
    assert {page["total"] for page in found_pages} == {8}
    assert all("_format=json" in (link(page, "self") or "") for page in found_pages)
    token = (link(found_pages[0], "next") or "").partition("_page=")[2]
    other = await client.get(f"?_type=Patient,Group&_tag={world}&_count=3&_page={token}")
    assert refused(other, 400).expression == ("_page",)


async def test_parameters_all_the_types_have(client: httpx.AsyncClient, world: str) -> None:
    shared = await client.get("", params={"_type": "Immunization,Observation", "patient": "Patient/w-2", "_tag": world})
    assert sorted(found(shared)) == ["Immunization/w-i3", "Immunization/w-i4", "Observation/w-o3"]
    chained = {"_type": "Immunization,Observation", "patient.family": "nguyen", "_tag": world}
    assert sorted(found(await client.get("", params=chained))) == sorted(found(shared))
    included = await client.get("", params={**chained, "_include": ["Immunization:patient", "Observation:subject"]})
    assert found(included, "include") == ["Patient/w-2"]
    narrowed = await client.get("", params={**chained, "_elements": "status"})
    assert {"id", "status"} <= narrowed.json()["entry"][0]["resource"].keys()


@pytest.fixture(scope="module")
async def together(client: httpx.AsyncClient) -> str:
    """Resources of three types with the same ids, of the same instants, with identifiers some share and some lack."""
    for number in range(3):
        about = {
            "id": f"together-{number}",
            "meta": {"tag": [{"system": "urn:sorted", "code": "together"}]},
            **({"identifier": [{"system": "urn:sorted", "value": str(number % 2)}]} if number else {}),
        }
        entries = [
            {
                "resource": {"resourceType": type, **about, **named},
                "request": {"method": "PUT", "url": f"{type}/{about['id']}"},
            }
            for type, named in (("Patient", {}), ("Organization", {"name": "Sorted"}), ("Practitioner", {}))
        ]
        answer = await client.post(
            "", json={"resourceType": "Bundle", "type": "transaction", "entry": entries}, headers=JSON
        )
        assert answer.status_code == 200, answer.text
    return "urn:sorted|together"


def value(name: str, descending: bool, row: Resource) -> str:
    """What a row is sorted by; without a value it comes last."""
    if name == "identifier":
        found = row.get("identifier")
        return str(found[0]["value"]) if found else ("" if descending else "~")
    return str(row["id"] if name == "_id" else row["meta"]["lastUpdated"])


@pytest.mark.parametrize(
    "sort", ["_id", "-_id", "_lastUpdated,-_id", "-_lastUpdated", "identifier", "-identifier,-_id"]
)
@pytest.mark.parametrize("count", [1, 4])
async def test_types_are_sorted_together(client: httpx.AsyncClient, together: str, sort: str, count: int) -> None:
    asked = f"?_type=Practitioner,Patient,Organization&_tag={together}&_sort={sort}&_count={count}"
    rows = [row["resource"] for page in await pages(client, asked) for row in page["entry"]]
    expected = sorted(rows, key=lambda row: (row["id"], row["resourceType"]))
    for key in reversed(sort.split(",")):
        name, descending = key.removeprefix("-"), key.startswith("-")
        expected.sort(key=partial(value, name, descending), reverse=descending)
    assert [(row["resourceType"], row["id"]) for row in rows] == [(row["resourceType"], row["id"]) for row in expected]
    assert len({(row["resourceType"], row["id"]) for row in rows}) == 9


async def test_one_type_is_a_search_of_that_type(client: httpx.AsyncClient, world: str) -> None:
    params = {"_type": "Patient", "_tag": world, "_sort": "-_id", "gender": "male"}
    assert found(await client.get("", params=params)) == ["Patient/w-3", "Patient/w-1"]


async def test_lenient_handling(client: httpx.AsyncClient, world: str) -> None:
    asked = f"?_type=Patient,Immunization&_tag={world}&family=nguyen&shoe-size=43"
    assert refused(await client.get(asked), 400).detail == "unknown-parameter"
    answer = await client.get(asked, headers={"prefer": "handling=lenient"})
    assert len(found(answer)) == 8, "a parameter that one type lacks is passed over for all"
    [outcome] = [row for row in answer.json()["entry"] if row["search"]["mode"] == "outcome"]
    assert {place for issue in outcome["resource"]["issue"] for place in issue["expression"]} == {"family", "shoe-size"}
    assert "family" not in (link(answer.json(), "self") or "")
