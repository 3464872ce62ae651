"""https://hl7.org/fhir/R4/http.html#history"""

import asyncio
from typing import Any

import httpx
import pytest

from tests.http.answers import JSON, Resource, link, pages, patient, put, refused


def versions(bundle: Resource) -> list[tuple[str, str, str]]:
    """(method, address of the version, status) of every entry."""
    return [
        (
            entry["request"]["method"],
            f"{entry['fullUrl'].rpartition('/fhir/')[2]}/{entry['response']['etag'][3:-1]}",
            entry["response"]["status"],
        )
        for entry in bundle.get("entry", [])
    ]


async def life(client: httpx.AsyncClient, id: str) -> list[str]:
    """Create, update, delete, bring back; the instants of the versions."""
    instants = []
    for active in (False, True):
        answer = await client.put(f"Patient/{id}", json=patient(id, active=active), headers=JSON)
        instants.append(answer.json()["meta"]["lastUpdated"])
    await client.delete(f"Patient/{id}")
    answer = await client.put(f"Patient/{id}", json=patient(id), headers=JSON)
    instants.append(answer.json()["meta"]["lastUpdated"])
    return instants


async def test_of_an_instance(client: httpx.AsyncClient) -> None:
    await life(client, "history-1")
    answer = await client.get("Patient/history-1/_history")
    assert answer.status_code == 200
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("history", 4)
    assert versions(bundle) == [
        ("PUT", "Patient/history-1/4", "201 Created"),
        ("DELETE", "Patient/history-1/3", "204 No Content"),
        ("PUT", "Patient/history-1/2", "200 OK"),
        ("PUT", "Patient/history-1/1", "201 Created"),
    ]
    assert ["resource" in entry for entry in bundle["entry"]] == [True, False, True, True]
    assert all(entry["response"]["lastModified"] for entry in bundle["entry"])


async def test_pages_of_an_instance(client: httpx.AsyncClient) -> None:
    await life(client, "history-2")
    found = await pages(client, "Patient/history-2/_history?_count=3")
    assert [len(page["entry"]) for page in found] == [3, 1]
    assert [version for page in found for _, version, _ in versions(page)] == [
        f"Patient/history-2/{number}" for number in (4, 3, 2, 1)
    ]
    assert "total" not in found[0]
    assert link(found[0], "self") == str(client.base_url) + "Patient/history-2/_history?_count=3"


async def test_count_zero_asks_how_many_there_are(client: httpx.AsyncClient) -> None:
    await life(client, "history-5")
    for level in ("Patient/history-5/_history", "Patient/_history", "_history"):
        bundle = (await client.get(f"{level}?_count=0")).json()
        assert "entry" not in bundle
        assert link(bundle, "next") is None
        assert bundle.get("total", 4) >= 4
    assert (await client.get("Patient/history-5/_history?_count=0")).json()["total"] == 4
    assert (await client.get("Patient/history-none/_history?_count=0")).status_code == 404


async def test_since_and_at(client: httpx.AsyncClient) -> None:
    first, second, last = await life(client, "history-3")

    async def asked(**parameters: str) -> list[str]:
        answer = await client.get("Patient/history-3/_history", params=parameters)
        assert answer.status_code == 200, answer.text
        return [version.rpartition("/")[2] for _, version, _ in versions(answer.json())]

    assert await asked(_since=first) == ["4", "3", "2", "1"]
    assert await asked(_since=second) == ["4", "3", "2"]
    assert await asked(_since=last) == ["4"]
    assert await asked(_since="2100-01-01T00:00:00Z") == []
    assert await asked(_at=first) == ["1"]
    assert await asked(_at=second) == ["2"]
    assert await asked(_at="2001-01-01") == []
    assert await asked(_at=first[:10]) == ["4", "3", "2", "1"]


async def test_of_type_and_system_under_writes(client: httpx.AsyncClient) -> None:
    """Following pages while others write: every version made before once, in order, none twice."""
    marks = [f"history-4-{number}" for number in range(12)]
    await put(client, *(patient(mark) for mark in marks))

    async def disturb() -> None:
        for number in range(20):
            await put(client, patient(f"history-4-late-{number}"))

    async def follow(address: str) -> list[str]:
        return [v for page in await pages(client, address) for _, v, _ in versions(page)]

    since = (await client.get(f"Patient/{marks[0]}")).json()["meta"]["lastUpdated"]
    for level in ("Patient/_history", "_history"):
        gathered, _ = await asyncio.gather(follow(f"{level}?_count=5&_since={since}"), disturb())
        assert len(gathered) == len(set(gathered))
        mine = [version for version in gathered if version.split("/")[1] in marks]
        assert mine == [f"Patient/{mark}/1" for mark in reversed(marks)]


async def test_posts_are_told_from_puts(client: httpx.AsyncClient) -> None:
    created = (await client.post("Patient", json=patient("x"), headers=JSON)).json()
    [entry] = (await client.get(f"Patient/{created['id']}/_history")).json()["entry"]
    assert entry["request"] == {"method": "POST", "url": "Patient"}
    assert entry["resource"] == created


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("Patient/history-never/_history", 404, ("not-found", "unknown-resource", ())),
        ("patient/_history", 404, ("not-supported", "unknown-type", ())),
        ("Patient/_history?_since=yesterday", 400, ("value", "invalid-value", ("_since",))),
        ("Patient/_history?_since=2021-02-30", 400, ("value", "invalid-value", ("_since",))),
        ("Patient/_history?_at=", 400, ("value", "invalid-value", ("_at",))),
        ("Patient/_history?_count=-1", 400, ("value", "invalid-value", ("_count",))),
        ("Patient/_history?_count=many", 400, ("value", "invalid-value", ("_count",))),
        ("Patient/_history?family=x", 400, ("not-supported", "unknown-parameter", ("family",))),
        ("_history?_count=1&_count=2", 400, ("invalid", "repeated-parameter", ("_count",))),
        ("_history?_page=AAAA", 400, ("value", "bad-page-token", ("_page",))),
    ],
)
async def test_refused(client: httpx.AsyncClient, address: str, status: int, told: tuple[Any, ...]) -> None:
    assert refused(await client.get(address), status) == told
