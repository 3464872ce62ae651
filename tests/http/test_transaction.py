"""https://hl7.org/fhir/R4/http.html#trules"""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, Resource, everything, patient, put, refused
from tests.http.conftest import CASES
from tests.http.test_batch import entry, post, statuses

URN = "urn:uuid:0b1d2a3e-0000-4000-8000-00000000000"


def dose(patient: str, **members: Any) -> Resource:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"code": "207"}]},
        "patient": {"reference": patient},
        "occurrenceDateTime": "2021-01-14",
        **members,
    }


async def test_links_between_entries(client: httpx.AsyncClient, server: Server) -> None:
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}1">{URN}1</a></div>'
    first = dose(f"{URN}1", text={"status": "generated", "div": narrative})
    linked = patient("x", link=[{"other": {"reference": f"{URN}3"}, "type": "seealso"}])
    named = patient("transaction-1", identifier=[{"value": f"{URN}1"}])
    source = {
        "resourceType": "Provenance",
        "contained": [patient("a")],
        "target": [{"reference": f"{URN}2"}, {"reference": "#a"}],
        "recorded": "2021-01-14T00:00:00Z",
        "agent": [{"who": {"reference": f"{server.base}/Patient/transaction-1"}}],
    }
    answer = await post(
        client,
        "transaction",
        entry("POST", "Immunization", first, full_url=f"{URN}2"),
        entry("POST", "Patient", linked, full_url=f"{URN}1"),
        entry("PUT", "Patient/transaction-1", named, full_url=f"{URN}3"),
        entry("POST", "Provenance", source),
    )
    assert statuses(answer) == ["201", "201", "201", "201"]
    immunization, person, other, provenance = [each["resource"] for each in answer.json()["entry"]]
    assert immunization["patient"] == {"reference": f"Patient/{person['id']}"}
    # The link is followed, the text is only text.
    assert immunization["text"]["div"] == narrative.replace(f'href="{URN}1"', f'href="Patient/{person["id"]}"')
    assert person["link"][0]["other"]["reference"] == "Patient/transaction-1"
    assert other["identifier"][0]["value"] == f"{URN}1"
    assert provenance["target"] == [{"reference": f"Immunization/{immunization['id']}"}, {"reference": "#a"}]
    assert await everything(client, f"Immunization?patient={person['id']}") == [immunization["id"]]


async def test_references_beside_and_into_entries(client: httpx.AsyncClient) -> None:
    """https://hl7.org/fhir/R4/bundle.html#references"""
    theirs, others = "https://theirs.example/fhir", "https://others.example/fhir"
    organization = {"resourceType": "Organization", "id": "77", "name": "Theirs"}
    linked = [{"other": {"reference": reference}, "type": "seealso"} for reference in (f"{URN}1#a", "Patient/5")]
    answer = await post(
        client,
        "transaction",
        entry("POST", "Organization", organization, full_url=f"{theirs}/Organization/77"),
        entry("POST", "Organization", {**organization, "name": "Others"}, full_url=f"{others}/Organization/77"),
        *(
            entry("POST", "Patient", patient("5", managingOrganization={"reference": reference}), full_url=url)
            for url, reference in (
                (f"{theirs}/Patient/5", "Organization/77"),
                (f"{others}/Patient/5", "Organization/77"),
                (f"{URN}1", f"{theirs}/Organization/77"),
                (f"{URN}2", "Organization/77"),
            )
        ),
        entry("POST", "Patient", patient("6", link=linked), full_url=f"{theirs}/Patient/6"),
    )
    first, second, *people = [each["resource"] for each in answer.json()["entry"]]
    assert [person["managingOrganization"]["reference"] for person in people[:4]] == [
        f"Organization/{first['id']}",
        f"Organization/{second['id']}",
        f"Organization/{first['id']}",
        "Organization/77",
    ]
    assert [each["other"]["reference"] for each in people[4]["link"]] == [
        f"Patient/{people[2]['id']}#a",
        f"Patient/{people[0]['id']}",
    ]


async def test_conditional_references(client: httpx.AsyncClient) -> None:
    await put(client, patient("transaction-2", identifier=[{"system": "https://t.example", "value": "two"}]))
    answer = await post(
        client, "transaction", entry("POST", "Immunization", dose("Patient?identifier=https://t.example|two"))
    )
    assert answer.json()["entry"][0]["resource"]["patient"] == {"reference": "Patient/transaction-2"}


async def test_conditional_create(client: httpx.AsyncClient, server: Server) -> None:
    person = patient("x", identifier=[{"system": "https://t.example", "value": "three"}])
    once = entry("POST", "Patient", person, full_url=f"{URN}1", ifNoneExist="identifier=https://t.example|three")
    first = await post(client, "transaction", once, entry("POST", "Immunization", dose(f"{URN}1")))
    again = await post(client, "transaction", once, entry("POST", "Immunization", dose(f"{URN}1")))
    assert (statuses(first), statuses(again)) == (["201", "201"], ["200", "201"])
    id = first.json()["entry"][0]["resource"]["id"]
    assert again.json()["entry"][0]["resource"]["id"] == id
    assert again.json()["entry"][0]["response"]["location"] == f"{server.base}/Patient/{id}/_history/1"
    assert again.json()["entry"][1]["resource"]["patient"]["reference"] == f"Patient/{id}"


async def test_order_and_if_match(client: httpx.AsyncClient) -> None:
    await put(client, patient("transaction-4", active=True), patient("transaction-5"))
    answer = await post(
        client,
        "transaction",
        entry("GET", "Patient/transaction-4"),
        entry("GET", "Patient/transaction-5"),
        entry("GET", "Patient?_id=transaction-4"),
        entry("PUT", "Patient/transaction-4", patient("transaction-4", active=False), ifMatch='W/"1"'),
        entry("DELETE", "Patient/transaction-5", ifMatch='W/"1"'),
    )
    assert statuses(answer) == ["200", "410", "200", "200", "204"]
    assert answer.json()["type"] == "transaction-response"
    assert answer.json()["entry"][0]["resource"]["active"] is False
    assert answer.json()["entry"][2]["resource"]["entry"][0]["resource"]["active"] is False


GOOD = entry("PUT", "Patient/transaction-bad", patient("transaction-bad"))

BAD = json.loads((CASES / "transaction_refused.json").read_text())


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["name"])
async def test_all_or_nothing(client: httpx.AsyncClient, case: dict[str, Any]) -> None:
    twins = [{"system": "https://t.example", "value": "twins"}]
    await put(client, patient("twin-1", identifier=twins), patient("twin-2", identifier=twins))
    if (await client.get("Patient/transaction-kept")).status_code == 404:
        await put(client, patient("transaction-kept"))
    count = len(await everything(client, "Patient?_count=1000"))
    told = refused(await post(client, "transaction", GOOD, *case["entries"]), case["status"])
    if "detail" in case:
        assert told.detail == case["detail"]
        assert case["expression"] in told.expression
    assert (await client.get("Patient/transaction-bad")).status_code == 404
    assert (await client.get("Patient/transaction-kept")).headers["etag"] == 'W/"1"'
    assert len(await everything(client, "Patient?_count=1000")) == count


async def test_conditional_update_and_delete(client: httpx.AsyncClient) -> None:
    named = [{"system": "https://t.example", "value": "six"}]
    update = entry("PUT", "Patient?identifier=https://t.example|six", {"resourceType": "Patient", "identifier": named})
    delete = entry("DELETE", "Patient?identifier=https://t.example|six")
    first = await post(client, "transaction", update)
    again = await post(client, "transaction", update)
    assert (statuses(first), statuses(again)) == (["201"], ["200"])
    assert first.json()["entry"][0]["resource"]["id"] == again.json()["entry"][0]["resource"]["id"]
    assert statuses(await post(client, "transaction", delete)) == ["204"]
    assert await everything(client, "Patient?identifier=https://t.example|six") == []


async def test_hundreds_of_entries(client: httpx.AsyncClient) -> None:
    people = [
        entry(
            "POST",
            "Patient",
            patient("x", name=[{"family": "Hundreds"}]),
            full_url=f"urn:uuid:0b1d2a3e-0000-4000-8000-{number:012}",
        )
        for number in range(350)
    ]
    doses = [entry("POST", "Immunization", dose(person["fullUrl"])) for person in people]
    answer = await post(client, "transaction", *doses, *people, prefer="return=minimal")
    assert statuses(answer) == ["201"] * 700
    assert len(await everything(client, "Patient?family=hundreds&_count=100")) == 350
    assert len(await everything(client, "Immunization?patient.family=hundreds&_count=100")) == 350


async def test_same_bundle_twice_is_two_resources(client: httpx.AsyncClient) -> None:
    body = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry("POST", "Patient", patient("x"), full_url=f"{URN}1")],
    }
    ids = {(await client.post("", json=body, headers=JSON)).json()["entry"][0]["resource"]["id"] for _ in range(2)}
    assert len(ids) == 2
