"""https://hl7.org/fhir/R4/search.html"""

import json
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from fhir_server.fhir import xml
from tests.conftest import Server
from tests.http.answers import everything, found, link, pages, patient, put, refused
from tests.http.conftest import CASES

FOUND = json.loads((CASES / "search.json").read_text())
REFUSED = json.loads((CASES / "search_refused.json").read_text())


def pairs(query: str, base: str) -> list[tuple[str, str]]:
    """The parameters of a case, which writes no escapes of URLs but %26 for an ampersand."""
    return [
        (name, value.replace("{base}", base))
        for name, _, value in (part.partition("=") for part in query.split("&") if part)
        for value in [value.replace("%26", "&")]
    ]


@pytest.mark.parametrize("case", FOUND, ids=lambda case: f"{case['type']}?{case['query']}")
async def test_found(client: httpx.AsyncClient, server: Server, world: str, case: dict[str, Any]) -> None:
    asked = [*pairs(case["query"], server.base), ("_tag", world)]
    expected = sorted(f"{case['type']}/w-{id}" for id in case["found"].split())
    got = await client.get(case["type"], params=httpx.QueryParams(tuple(asked)))
    assert sorted(found(got)) == expected
    assert got.json()["total"] == len(expected)
    posted = await client.post(f"{case['type']}/_search", data=_form(asked))
    assert posted.json().get("entry", []) == got.json().get("entry", [])
    counted = await client.get(case["type"], params=httpx.QueryParams((*asked, ("_summary", "count"))))
    assert counted.json()["total"] == len(expected)
    assert "entry" not in counted.json()


def _form(asked: list[tuple[str, str]]) -> dict[str, list[str]]:
    form: dict[str, list[str]] = {}
    for name, value in asked:
        form.setdefault(name, []).append(value)
    return form


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["address"])
async def test_refused(client: httpx.AsyncClient, case: dict[str, Any]) -> None:
    told = refused(await client.get(case["address"]), 400)
    assert told.code == case["code"]
    if "detail" in case:
        assert told.detail == case["detail"]
    if "expression" in case:
        assert told.expression == tuple(case["expression"])


async def test_entries_of_a_searchset(client: httpx.AsyncClient, server: Server, world: str) -> None:
    answer = await client.get("Patient", params={"_id": "w-1", "_tag": world})
    [entry] = answer.json()["entry"]
    assert entry["fullUrl"] == f"{server.base}/Patient/w-1"
    assert entry["search"] == {"mode": "match"}
    assert entry["resource"] == (await client.get("Patient/w-1")).json()
    assert "etag" not in answer.headers


async def test_self_says_what_was_understood(client: httpx.AsyncClient, server: Server) -> None:
    answer = await client.get("Patient?family=x&_format=json&_count=99999&_pretty=true&given=a%20b%26c")
    understood = "family=x&_count=1000&given=a+b%26c&_format=json&_pretty=true"
    assert link(answer.json(), "self") == f"{server.base}/Patient?{understood}"


async def test_lenient_handling_names_what_it_ignored(client: httpx.AsyncClient, world: str) -> None:
    lenient = {"prefer": "handling=lenient"}
    answer = await client.get(f"Patient?_id=w-1&shoe-size=43&_tag={world}", headers=lenient)
    assert found(answer) == ["Patient/w-1"]
    assert "shoe-size" not in (link(answer.json(), "self") or "")
    [entry] = [each for each in answer.json()["entry"] if each["search"]["mode"] == "outcome"]
    [issue] = entry["resource"]["issue"]
    assert (issue["severity"], issue["expression"]) == ("warning", ["shoe-size"])
    assert refused(await client.get("Patient?_id=not_an_id", headers=lenient), 400).detail == "invalid-value"
    for handling in ("handling=strict", "handling=nonsense", "return=minimal"):
        strict = await client.get("Patient?shoe-size=43", headers={"prefer": handling})
        assert refused(strict, 400) == ("not-found", "unknown-parameter", ("shoe-size",))


async def test_the_form_may_name_the_format(client: httpx.AsyncClient, world: str) -> None:
    form = {"_tag": world, "_count": "1", "_format": "xml", "_pretty": "true"}
    answer = await client.post("Patient/_search", data=form)
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    bundle = json.loads(xml.from_xml(answer.content))
    following = link(bundle, "next") or ""
    assert "_format=xml&_pretty=true" in following
    assert (await client.get(following)).headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert refused(await client.post("Patient/_search", data={"_format": "pdf"}), 406).expression == ("_format",)


async def test_search_by_post_joins_both_kinds_of_parameters(client: httpx.AsyncClient, world: str) -> None:
    answer = await client.post(f"Patient/_search?_tag={world}&gender=male", data={"family": "nguyen"})
    assert found(answer) == ["Patient/w-3"]
    assert dict(parse_qsl((link(answer.json(), "self") or "").partition("?")[2]))["family"] == "nguyen"


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("birthdate", "1 4 3 2"),
        ("-birthdate", "4 3 2 1"),
        ("_id", "1 2 3 4"),
        ("-_id", "4 3 2 1"),
        ("-_id,_id", "4 3 2 1"),
        ("family,-_id", "1 3 2 4"),
        ("gender,birthdate", "2 1 3 4"),
        ("-gender,-birthdate", "3 1 2 4"),
        ("_lastUpdated,_id", "1 2 3 4"),
    ],
)
async def test_sort(client: httpx.AsyncClient, world: str, sort: str, order: str) -> None:
    expected = [f"w-{id}" for id in order.split()]
    for count in ("1", "3", "50"):
        assert await everything(client, f"Patient?_tag={world}&_sort={sort}&_count={count}") == expected


async def test_count_zero_and_total(client: httpx.AsyncClient, world: str) -> None:
    none = (await client.get(f"Patient?_tag={world}&_count=0")).json()
    assert (none["total"], "entry" in none, link(none, "next")) == (4, False, None)
    one = (await client.get(f"Patient?_tag={world}&_count=1&_total=accurate")).json()
    assert (one["total"], len(one["entry"])) == (4, 1)
    assert "total" not in (await client.get(f"Patient?_tag={world}&_count=1")).json()
    assert (await client.get(f"Patient?_tag={world}&_total=none")).json().get("total") in (None, 4)


@pytest.mark.parametrize(
    ("query", "included"),
    [
        ("Immunization?_id=w-i1&_include=Immunization:patient", "Patient/w-1"),
        ("Immunization?_id=w-i1&_include=Immunization:performer", "Organization/w-org Practitioner/w-prac"),
        ("Immunization?_id=w-i1&_include=Immunization:performer:Organization", "Organization/w-org"),
        ("Immunization?_id=w-i1,w-i2&_include=Immunization:patient", "Patient/w-1"),
        ("Immunization?_id=w-i1&_include=*", "Location/w-loc Organization/w-org Patient/w-1 Practitioner/w-prac"),
        (
            "Immunization?_id=w-i1&_include=Immunization:*",
            "Location/w-loc Organization/w-org Patient/w-1 Practitioner/w-prac",
        ),
        (
            "Immunization?_id=w-i3&_include=Immunization:patient&_include:iterate=Patient:organization",
            "Organization/w-org-2 Patient/w-2",
        ),
        (
            "Immunization?_id=w-i3&_include=Immunization:patient&_include:iterate=Patient:organization"
            "&_include:iterate=Organization:partof",
            "Organization/w-org Organization/w-org-2 Patient/w-2",
        ),
        ("Immunization?_id=w-i3&_include=Immunization:patient&_include=Patient:organization", "Patient/w-2"),
        ("Immunization?_id=w-i1&_revinclude=Provenance:target", "Provenance/w-p1"),
        ("Patient?_id=w-1&_revinclude=Immunization:patient", "Immunization/w-i1 Immunization/w-i2"),
        (
            "Patient?_id=w-1&_revinclude=Immunization:patient&_revinclude:iterate=Provenance:target",
            "Immunization/w-i1 Immunization/w-i2 Provenance/w-p1",
        ),
        ("Patient?_id=w-4&_revinclude=Immunization:patient", ""),
        (
            "Patient?_id=w-1&_revinclude=*",
            "Immunization/w-i1 Immunization/w-i2 Observation/w-o1 Observation/w-o2 Provenance/w-p1 RiskAssessment/w-ra",
        ),
        ("Patient?_id=w-1&_revinclude=Provenance:*", "Provenance/w-p1"),
        ("Location?_id=w-loc&_revinclude=*&_revinclude:iterate=*", "Immunization/w-i1 Provenance/w-p1"),
        ("Organization?_id=w-org,w-org-2&_include=Organization:partof", ""),
    ],
)
async def test_includes(client: httpx.AsyncClient, world: str, query: str, included: str) -> None:
    answer = await client.get(f"{query}&_tag={world}")
    matches = query.partition("_id=")[2].partition("&")[0].split(",")
    assert sorted(row.partition("/")[2] for row in found(answer)) == matches
    assert sorted(found(answer, "include")) == included.split()
    assert answer.json()["total"] == len(matches)


async def test_pages_under_writes_lose_and_double_nothing(client: httpx.AsyncClient) -> None:
    ids = [f"paging-{number:02}" for number in range(30)]
    await put(client, *(patient(id, name=[{"family": "Paging"}]) for id in ids))
    for sort in ("", "&_sort=_id", "&_sort=-birthdate"):
        following: str | None = f"Patient?family=paging&_count=4{sort}"
        seen: list[str] = []
        step = 0
        while following is not None:
            page = (await client.get(following)).json()
            rows = [entry["resource"]["id"] for entry in page["entry"]]
            assert len(rows) <= 4
            seen += rows
            following = link(page, "next")
            # What was seen changes, comes and goes; the rest must neither move nor be lost.
            step += 1
            await put(client, patient(rows[0], name=[{"family": "Paging"}], active=True))
            await put(client, patient(f"paging-new-{step}", name=[{"family": "Paging"}]))
            await client.delete(f"Patient/paging-new-{step - 1}")
        assert len(seen) == len(set(seen))
        assert set(ids) <= set(seen)


async def test_a_deleted_row_is_on_no_page(client: httpx.AsyncClient) -> None:
    await put(client, *(patient(f"gone-{number}", name=[{"family": "Goner"}]) for number in range(4)))
    first = (await client.get("Patient?family=goner&_count=2&_sort=_id")).json()
    await client.delete("Patient/gone-2")
    second = (await client.get(link(first, "next") or "")).json()
    assert [entry["resource"]["id"] for entry in second["entry"]] == ["gone-3"]
    assert link(second, "next") is None


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
async def test_last_page_has_no_next_and_none_is_empty(client: httpx.AsyncClient, world: str, count: int) -> None:
    sizes = [len(page.get("entry", [])) for page in await pages(client, f"Patient?_tag={world}&_count={count}")]
    assert sum(sizes) == 4
    assert all(size == count for size in sizes[:-1])
    assert sizes[-1] > 0


async def test_page_links_are_for_one_search(client: httpx.AsyncClient, world: str) -> None:
    following = link((await client.get(f"Patient?_tag={world}&_count=1")).json(), "next") or ""
    token = following.rpartition("_page=")[2]
    for address in (
        f"Patient?_count=1&_page={token}",
        f"Patient?_tag={world}&_count=2&_page={token}",
        f"Patient?_tag={world}&_count=1&_page={token[:-2]}AA",
        f"Patient?_tag={world}&_count=1&_page=",
        f"Patient?_tag={world}&_count=1&_page=%00",
        f"Immunization?_tag={world}&_count=1&_page={token}",
        f"Patient?_tag={world}&_count=1&_page={token}&_page={token}",
    ):
        assert refused(await client.get(address), 400).expression == ("_page",), address
