"""https://hl7.org/fhir/R4/compartmentdefinition.html"""

from typing import Any

import httpx
import pytest

from tests.http.answers import JSON, found, link, pages, patient, put, refused

Resource = dict[str, Any]


def dose(id: str, patient: str, day: str, **members: Any) -> Resource:
    """An Immunization."""
    return {
        "resourceType": "Immunization",
        "id": id,
        "status": "completed",
        "vaccineCode": {"text": "x"},
        "patient": {"reference": f"Patient/{patient}"},
        "occurrenceDateTime": day,
        **members,
    }


def condition(id: str, patient: str, **members: Any) -> Resource:
    """A Condition."""
    return {"resourceType": "Condition", "id": id, "subject": {"reference": f"Patient/{patient}"}, **members}


@pytest.fixture(scope="module")
async def record(client: httpx.AsyncClient) -> None:
    """Two patients; comp-1 has two doses, given somewhere by somebody, two conditions and a place on a roster."""
    await put(
        client,
        {"resourceType": "Organization", "id": "comp-clinic", "name": "Clinic"},
        {"resourceType": "Location", "id": "comp-room", "name": "Room"},
        {"resourceType": "Practitioner", "id": "comp-nurse"},
        patient("comp-1", managingOrganization={"reference": "Organization/comp-clinic"}),
        patient("comp-2", link=[{"other": {"reference": "Patient/comp-1"}, "type": "seealso"}]),
        dose("comp-1", "comp-1", "2021-01-10", location={"reference": "Location/comp-room"}),
        dose("comp-2", "comp-1", "2021-02-10", performer=[{"actor": {"reference": "Practitioner/comp-nurse"}}]),
        dose("comp-3", "comp-2", "2021-02-11"),
        condition("comp-1", "comp-1", onsetDateTime="2020"),
        condition("comp-2", "comp-1"),
        {
            "resourceType": "Group",
            "id": "comp-roster",
            "type": "person",
            "actual": True,
            "member": [{"entity": {"reference": f"Patient/comp-{number}"}} for number in (1, 2)],
        },
    )


async def test_search_within(client: httpx.AsyncClient, record: None) -> None:
    address = "Patient/comp-1/Immunization"
    assert sorted(found(await client.get(address))) == ["Immunization/comp-1", "Immunization/comp-2"]
    assert found(await client.get(f"{address}?date=ge2021-02-01")) == ["Immunization/comp-2"]
    assert found(await client.get(f"{address}?status=not-done")) == []
    posted = await client.post(f"{address}/_search", data={"date": "2021-01-10"})
    assert found(posted) == ["Immunization/comp-1"]
    answer = (await client.get(f"{address}?_include=Immunization:location&_id=comp-1")).json()
    assert [entry["search"]["mode"] for entry in answer["entry"]] == ["match", "include"]
    assert (link(answer, "self") or "").split("?")[0].endswith("/fhir/Patient/comp-1/Immunization")
    assert found(await client.get("Practitioner/comp-nurse/Immunization")) == ["Immunization/comp-2"]
    assert found(await client.get("Patient/comp-unknown/Immunization")) == []


async def test_a_patient_belongs_to_the_own_compartment(client: httpx.AsyncClient, record: None) -> None:
    # Whoever links to a patient is in that patient's compartment, too: so R4 defines it.
    assert sorted(found(await client.get("Patient/comp-1/Patient"))) == ["Patient/comp-1", "Patient/comp-2"]


async def test_pages_within(client: httpx.AsyncClient, record: None) -> None:
    first, second = await pages(client, "Patient/comp-1/Immunization?_count=1")
    assert rows(first, second) == ["Immunization/comp-1", "Immunization/comp-2"]
    # The link belongs to this compartment alone.
    token = (link(first, "next") or "").partition("_page=")[2]
    for other in ("Patient/comp-2/Immunization", "Immunization"):
        answer = await client.get(f"{other}?_count=1&_page={token}")
        assert refused(answer, 400).detail == "bad-page-token"


@pytest.mark.parametrize(
    ("address", "status", "detail"),
    [
        ("Patient/comp-1/Organization", 404, "not-in-compartment"),
        ("Organization/comp-clinic/Immunization", 404, "unknown-compartment"),
        ("Organization/comp-clinic/*", 404, "unknown-compartment"),
        ("Patient/comp-1/Nothing", 404, "unknown-type"),
        ("Nothing/1/Immunization", 404, "unknown-type"),
        ("Patient/comp-1/Immunization?colour=red", 400, "unknown-parameter"),
        ("Patient/comp-1/*?status=completed", 400, "unknown-parameter"),
        ("Patient/comp-1/*?_type=Organization", 400, "invalid-value"),
        ("Patient/comp-1/*?_sort=_id", 400, "not-supported"),
        ("Patient/comp-1/*?_page=x", 400, "bad-page-token"),
    ],
)
async def test_refused(client: httpx.AsyncClient, record: None, address: str, status: int, detail: str) -> None:
    assert refused(await client.get(address), status).detail == detail


def rows(*read: Resource) -> list[str]:
    """The matches on all pages, type by type as they came; within a type the order is the server's affair."""
    found = [entry["resource"] for page in read for entry in page["entry"] if entry["search"]["mode"] == "match"]
    types = list(dict.fromkeys(row["resourceType"] for row in found))
    assert [row["resourceType"] for row in found] == sorted((r["resourceType"] for r in found), key=types.index)
    names = [f"{row['resourceType']}/{row['id']}" for row in found]
    assert len(names) == len(set(names))
    return sorted(names, key=lambda name: (types.index(name.partition("/")[0]), name))


WHOLE = [
    *("Patient/comp-1", "Patient/comp-2", "Condition/comp-1", "Condition/comp-2", "Group/comp-roster"),
    *("Immunization/comp-1", "Immunization/comp-2"),
]


async def test_all_types_at_once(client: httpx.AsyncClient, record: None) -> None:
    answer = await client.get("Patient/comp-1/*")
    assert rows(answer.json()) == WHOLE
    assert answer.json()["total"] == len(WHOLE)
    assert (await client.get("Patient/comp-1/*?_summary=count")).json()["total"] == len(WHOLE)
    typed = await client.get("Patient/comp-1/*?_type=Immunization,Condition")
    assert rows(typed.json()) == WHOLE[2:4] + WHOLE[5:]
    [row] = (await client.get("Patient/comp-1/*?_type=Immunization&_id=comp-2&_elements=id")).json()["entry"]
    assert "performer" not in row["resource"]


@pytest.mark.parametrize("count", [1, 2, 3, len(WHOLE), 50])
async def test_pages_over_types_lose_and_repeat_nothing(client: httpx.AsyncClient, record: None, count: int) -> None:
    read = await pages(client, f"Patient/comp-1/*?_count={count}")
    assert rows(*read) == WHOLE
    assert [len(page["entry"]) for page in read[:-1]] == [count] * (len(read) - 1)


async def test_everything(client: httpx.AsyncClient, record: None) -> None:
    answer = await client.get("Patient/comp-1/$everything")
    assert rows(answer.json()) == [row for row in WHOLE if not row.startswith("Group")]
    included = sorted(found(answer, "include"))
    assert included == ["Location/comp-room", "Organization/comp-clinic", "Practitioner/comp-nurse"]
    posted = await client.post("Patient/comp-1/$everything", json={"resourceType": "Parameters"}, headers=JSON)
    assert posted.json()["entry"] == answer.json()["entry"]


@pytest.mark.parametrize(
    ("query", "matches", "included"),
    [
        ("_type=Patient", {"Patient/comp-1", "Patient/comp-2"}, set()),
        ("_type=Immunization,Condition", set(WHOLE[2:4] + WHOLE[5:]), set()),
        ("_type=Immunization&_type=Condition", set(WHOLE[2:4] + WHOLE[5:]), set()),
        ("_type=Group", {"Group/comp-roster"}, set()),
        ("_type=Practitioner", set(), {"Practitioner/comp-nurse"}),
        ("_type=Condition,Location", set(WHOLE[2:4]), {"Location/comp-room"}),
        ("_type=Immunization,Condition&start=2021-01-01", set(WHOLE[5:]) | {"Condition/comp-2"}, set()),
        ("_type=Immunization,Condition&end=2021-01-31", {"Condition/comp-1", "Condition/comp-2", WHOLE[5]}, set()),
        ("_type=Immunization&start=2021-02&end=2021-02", {"Immunization/comp-2"}, set()),
        ("_since=2999-01-01T00:00:00Z", set(), set()),
    ],
)
async def test_everything_narrowed(
    client: httpx.AsyncClient, record: None, query: str, matches: set[str], included: set[str]
) -> None:
    answer = await client.get(f"Patient/comp-1/$everything?{query}")
    assert set(found(answer)) == matches
    assert set(found(answer, "include")) == included


async def test_everything_since(client: httpx.AsyncClient, record: None) -> None:
    before = (await client.get("Immunization/comp-2")).json()["meta"]["lastUpdated"]
    answer = await client.get(f"Patient/comp-1/$everything?_since={before}&_type=Immunization")
    assert found(answer) == ["Immunization/comp-2"]


async def test_everything_in_pages(client: httpx.AsyncClient, record: None) -> None:
    read = await pages(client, "Patient/comp-1/$everything?_count=2")
    assert rows(*read) == [row for row in WHOLE if not row.startswith("Group")]
    assert (link(read[0], "self") or "").endswith("/fhir/Patient/comp-1/$everything?_count=2")


async def test_everything_of_everybody(client: httpx.AsyncClient, record: None) -> None:
    answer = await client.get("Patient/$everything?_type=Condition&_count=1000")
    assert {"Condition/comp-1", "Condition/comp-2"} <= set(found(answer))


@pytest.mark.parametrize(
    ("address", "status", "detail"),
    [
        ("Patient/comp-9/$everything", 404, "unknown-resource"),
        ("Patient/comp-1/$everything?colour=red", 400, "unknown-parameter"),
        ("Patient/comp-1/$everything?_type=Nothing", 400, "invalid-value"),
        ("Patient/comp-1/$everything?_count=0", 400, "invalid-value"),
        ("Patient/comp-1/$everything?_count=x", 400, "invalid-value"),
        ("Patient/comp-1/$everything?start=yesterday", 400, "invalid-value"),
        ("Patient/comp-1/$everything?_page=x", 400, "bad-page-token"),
        ("Patient/comp-1/$everything?start=2021&start=2022", 400, "repeated-parameter"),
    ],
)
async def test_everything_refused(
    client: httpx.AsyncClient, record: None, address: str, status: int, detail: str
) -> None:
    assert refused(await client.get(address), status).detail == detail


async def test_in_a_batch(client: httpx.AsyncClient, record: None) -> None:
    requests = [
        ("GET", "Patient/comp-1/Immunization?date=2021-01-10"),
        ("GET", "Patient/comp-1/*"),
        ("DELETE", "Patient/comp-1/Immunization?date=2021-01-10"),
        ("DELETE", "Patient/comp-1/Immunization"),
    ]
    entries = [{"request": {"method": method, "url": url}} for method, url in requests]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=JSON)
    answers = answer.json()["entry"]
    assert [row["resource"]["id"] for row in answers[0]["resource"]["entry"]] == ["comp-1"]
    assert [row["response"]["status"][:3] for row in answers] == ["200", "200", "400", "400"]
    assert (await client.get("Immunization/comp-1")).status_code == 200


async def test_the_operation_is_announced(client: httpx.AsyncClient) -> None:
    statement = (await client.get("metadata")).json()
    [row] = [each for each in statement["rest"][0]["resource"] if each["type"] == "Patient"]
    definition = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
    assert {"name": "everything", "definition": definition} in row["operation"]
