"""Defects that other servers of R4 are known for: a test for each.

https://hl7.org/fhir/R4/search.html

Two have tests of their own: that includes and chains reach no further than their caller (tests/access), and that no
mistake of a client's is answered 500 (test_fuzz.py).
"""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.http.answers import JSON, Resource, everything, found, pages, patient, put, refused
from tests.http.test_batch import entry, post

SYSTEM = "urn:defects"
OTHER = {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]}


def known(id: str, value: str, **members: Any) -> Resource:
    return patient(id, identifier=[{"system": SYSTEM, "value": value}], **members)


def measured(id: str, value: str) -> str:
    """An Observation whose number is written just so."""
    quantity = {"value": "@", "system": "http://unitsofmeasure.org", "code": "mg"}
    observation = {"resourceType": "Observation", "id": id, "status": "final", "code": OTHER, "valueQuantity": quantity}
    return json.dumps(observation, separators=(",", ":")).replace('"@"', value)


async def test_an_unknown_parameter_is_not_everybody(client: httpx.AsyncClient) -> None:
    await put(client, known("defect-1", "1"))
    for method in ("GET", "DELETE"):
        answer = await client.request(method, "Patient?identifer=urn:defects|1")
        assert refused(answer, 400) == ("not-found", "unknown-parameter", ("identifer",))
    sent = await client.put("Patient?identifer=urn:defects|1", json=patient("defect-1"), headers=JSON)
    assert refused(sent, 400).detail == "unknown-parameter"
    lenient = {"prefer": "handling=lenient"}
    # Passed over in a search; a condition knows no leniency.
    assert refused(await client.delete("Patient?identifer=urn:defects|1", headers=lenient), 400)
    assert (await client.get("Patient/defect-1")).status_code == 200


async def test_parallel_conditional_creates_make_one(client: httpx.AsyncClient) -> None:
    condition = {**JSON, "if-none-exist": f"identifier={SYSTEM}|parallel"}
    sent = (client.post("Patient", json=known("x", "parallel"), headers=condition) for _ in range(20))
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_transaction_is_not_half_applied(client: httpx.AsyncClient) -> None:
    first = entry("PUT", "Patient/defect-half", patient("defect-half"))
    last = entry("PUT", "Patient/defect-none", patient("defect-none"), ifMatch='W/"9"')
    assert (await post(client, "transaction", first, last)).status_code == 412
    assert (await client.get("Patient/defect-half")).status_code == 404


async def test_no_identity_of_a_bundle_is_dropped(client: httpx.AsyncClient) -> None:
    twice = [entry("PUT", "Patient/defect-2", patient("defect-2", active=value)) for value in (True, False)]
    assert (await post(client, "transaction", *twice)).status_code == 400
    assert (await client.get("Patient/defect-2")).status_code == 404


async def test_pages_are_full_and_totals_right(client: httpx.AsyncClient) -> None:
    await put(client, *(known(f"defect-page-{number}", "page") for number in range(5)))
    address = f"Patient?identifier={SYSTEM}|page&_total=accurate"
    for count, rows in ((1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5])):
        found_pages = await pages(client, f"{address}&_count={count}")
        assert [len(page["entry"]) for page in found_pages] == rows
        assert {page["total"] for page in found_pages} == {5}
    assert len(set(await everything(client, f"{address}&_count=2"))) == 5


async def test_chains_are_not_cut_off(client: httpx.AsyncClient) -> None:
    people = [entry("PUT", f"Patient/defect-c{n}", known(f"defect-c{n}", "chain")) for n in range(120)]
    doses = [
        entry(
            "PUT",
            f"Observation/defect-c{n}",
            {"resourceType": "Observation", "id": f"defect-c{n}", "status": "final", "code": OTHER}
            | {"subject": {"reference": f"Patient/defect-c{n}"}},
        )
        for n in range(120)
    ]
    assert (await post(client, "transaction", *people, *doses)).status_code == 200
    chained = await client.get(f"Observation?subject:Patient.identifier={SYSTEM}|chain&_summary=count")
    reverse = await client.get(f"Patient?_has:Observation:patient:code=8310-5&identifier={SYSTEM}|chain&_summary=count")
    assert (chained.json()["total"], reverse.json()["total"]) == (120, 120)


async def test_not_keeps_what_lacks_the_element(client: httpx.AsyncClient) -> None:
    await put(client, known("defect-n1", "not", gender="male"), known("defect-n2", "not"))
    assert found(await client.get(f"Patient?gender:not=male&identifier={SYSTEM}|not")) == ["Patient/defect-n2"]


async def test_no_system_is_not_any_system(client: httpx.AsyncClient) -> None:
    await put(client, known("defect-s1", "sys"), patient("defect-s2", identifier=[{"value": "sys"}]))
    assert sorted(found(await client.get("Patient?identifier=sys"))) == ["Patient/defect-s1", "Patient/defect-s2"]
    assert found(await client.get("Patient?identifier=|sys")) == ["Patient/defect-s2"]
    assert found(await client.get(f"Patient?identifier={SYSTEM}|sys")) == ["Patient/defect-s1"]


async def test_escapes_are_not_ignored(client: httpx.AsyncClient) -> None:
    await put(client, known("defect-e", "a,b|c$d\\e"))
    assert found(await client.get("Patient", params={"identifier": rf"{SYSTEM}|a\,b\|c\$d\\e"})) == ["Patient/defect-e"]
    assert found(await client.get("Patient", params={"identifier": f"{SYSTEM}|a,{SYSTEM}|b"})) == []


@pytest.mark.parametrize(
    ("date", "is_found"),
    [
        ("2021-01-14T10:00:00Z", True),
        ("2021-01-14T10:00:30Z", False),  # zero seconds are a second, not a minute
        ("2021-01-14T12:00:00+02:00", True),
        ("2021-01-14", True),
        ("2021-01-13", False),
        ("2021-01-15", False),
    ],
)
async def test_dates_are_neither_widened_nor_shifted(client: httpx.AsyncClient, date: str, is_found: bool) -> None:
    observation = {"resourceType": "Observation", "id": "defect-d", "status": "final", "code": OTHER}
    await put(client, {**observation, "effectiveDateTime": "2021-01-14T10:00:00Z"})
    rows = found(await client.get("Observation", params={"_id": "defect-d", "date": date}))
    assert rows == (["Observation/defect-d"] if is_found else [])


@pytest.mark.parametrize(
    "date", ["garbage", "2021-13-01", "2021-02-30", "20210114", "2021-1-4", "14.01.2021", "gt", ""]
)
async def test_garbage_is_no_date(client: httpx.AsyncClient, date: str) -> None:
    assert refused(await client.get("Observation", params={"date": date}), 400).expression == ("date",)


async def test_decimals_keep_their_digits_and_are_found(client: httpx.AsyncClient) -> None:
    for id, written in (("defect-q1", "1.10"), ("defect-q2", "140")):
        answer = await client.put(f"Observation/{id}", content=measured(id, written), headers=JSON)
        assert answer.status_code in (200, 201), answer.text
        assert f'"value":{written},'.encode() in (await client.get(f"Observation/{id}")).content
    for id, asked in (("defect-q1", "1.1"), ("defect-q1", "1.10"), ("defect-q2", "140.0"), ("defect-q2", "1.4e2")):
        answer = await client.get("Observation", params={"_id": id, "value-quantity": asked})
        assert found(answer) == [f"Observation/{id}"], asked


async def test_the_index_is_never_stale(client: httpx.AsyncClient) -> None:
    await put(client, known("defect-i", "index-1"), known("defect-i", "index-2"))
    assert found(await client.get(f"Patient?identifier={SYSTEM}|index-1")) == []
    assert found(await client.get(f"Patient?identifier={SYSTEM}|index-2")) == ["Patient/defect-i"]
    patched = [{"op": "replace", "path": "/identifier/0/value", "value": "index-3"}]
    header = {"content-type": "application/json-patch+json"}
    assert (await client.patch("Patient/defect-i", json=patched, headers=header)).status_code == 200
    assert found(await client.get(f"Patient?identifier={SYSTEM}|index-2")) == []
    assert found(await client.get(f"Patient?identifier={SYSTEM}|index-3")) == ["Patient/defect-i"]
    await client.delete("Patient/defect-i")
    assert found(await client.get(f"Patient?identifier={SYSTEM}|index-3")) == []


async def test_what_was_created_says_so(client: httpx.AsyncClient) -> None:
    created = await client.post("Patient", json=known("x", "created"), headers=JSON)
    assert (created.status_code, created.headers["etag"]) == (201, 'W/"1"')
    assert created.headers["location"].endswith(f"/Patient/{created.json()['id']}/_history/1")
    assert "last-modified" in created.headers
    placed = await client.put("Patient/defect-placed", json=patient("defect-placed"), headers=JSON)
    assert (placed.status_code, placed.headers["etag"]) == (201, 'W/"1"')
    assert placed.headers["location"].endswith("/Patient/defect-placed/_history/1")


@pytest.mark.parametrize("text", [".*", "^M", "[a-z]+", "(a+)+$", "M.ller", "$where"])
async def test_what_users_write_is_no_pattern(client: httpx.AsyncClient, text: str) -> None:
    await put(client, known("defect-r", "regex", name=[{"family": "Müller"}]))
    for name in ("family", "family:contains", "family:exact", "name"):
        written = text.replace("$", "\\$")
        answer = await client.get("Patient", params={name: written, "identifier": f"{SYSTEM}|regex"})
        assert found(answer) == [], name
