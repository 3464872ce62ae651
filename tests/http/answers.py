"""What tests ask of answers: refusals with their OperationOutcome, bundles with their rows."""

from typing import Any, NamedTuple

import httpx

from fhir_server.fhir.outcome import DETAIL_SYSTEM
from profiles import structure

JSON = {"content-type": "application/fhir+json"}
Resource = dict[str, Any]


class Told(NamedTuple):
    """The first issue of a refusal."""

    code: str
    detail: str
    expression: tuple[str, ...]


def refused(answer: httpx.Response, status: int) -> Told:
    """The refusal has this status and an OperationOutcome in the one shape all of ours have."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:500]}"
    return told(answer)


def told(answer: httpx.Response) -> Told:
    """The first issue of an OperationOutcome in the one shape all of ours have."""
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    return shape(answer.json())


def shape(outcome: Resource) -> Told:
    """The OperationOutcome is valid R4 and every issue has severity, code, our detail code and a sentence."""
    assert outcome["resourceType"] == "OperationOutcome"
    assert [issue for issue in structure.check(outcome) if issue.severity == "error"] == []
    for issue in outcome["issue"]:
        assert issue["severity"] in ("fatal", "error", "warning", "information")
        [coding] = issue["details"]["coding"]
        assert coding["system"] == DETAIL_SYSTEM
        assert coding["code"] == coding["code"].lower().strip()
        assert len(issue["details"]["text"].split()) >= 2
        assert all(issue.get("expression", ["-"]))
    first = outcome["issue"][0]
    return Told(first["code"], first["details"]["coding"][0]["code"], tuple(first.get("expression", ())))


def found(answer: httpx.Response, mode: str = "match") -> list[str]:
    """The `Type/id` of a searchset's rows of this mode, in order."""
    assert answer.status_code == 200, answer.text[:500]
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    rows = [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
    return [f"{row['resourceType']}/{row.get('id', '')}" for row in rows]


def link(bundle: Resource, relation: str) -> str | None:
    """The address of a link of the bundle."""
    return next((each["url"] for each in bundle["link"] if each["relation"] == relation), None)


async def pages(client: httpx.AsyncClient, address: str) -> list[Resource]:
    """All pages of a search, each valid, no more than 1,000 of them."""
    gathered: list[Resource] = []
    following: str | None = address
    while following is not None:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text[:500]
        gathered.append(answer.json())
        following = link(gathered[-1], "next")
        assert len(gathered) < 1_000
    return gathered


async def everything(client: httpx.AsyncClient, address: str) -> list[str]:
    """The ids of all matches on all pages, in order."""
    return [
        entry["resource"]["id"]
        for page in await pages(client, address)
        for entry in page.get("entry", [])
        if entry["search"]["mode"] == "match"
    ]


async def put(client: httpx.AsyncClient, *resources: Resource) -> None:
    """Store the resources under their ids."""
    for resource in resources:
        answer = await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=JSON)
        assert answer.status_code in (200, 201), answer.text


def patient(id: str, **members: Any) -> Resource:
    """A Patient."""
    return {"resourceType": "Patient", "id": id, **members}
