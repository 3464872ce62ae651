"""$health-cards-verify over HTTP."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx

from smart_health_cards import numeric, png, write_file
from tests.health_cards.conftest import JSON, People, dose


async def ask(client: httpx.AsyncClient, credential: str, at: str | None = None) -> tuple[bool, dict[str, Any]]:
    parameters = [{"name": "credential", "valueString": credential}]
    parameters += [{"name": "at", "valueDateTime": at}] if at else []
    body = {"resourceType": "Parameters", "parameter": parameters}
    answer = await client.post("$health-cards-verify", json=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    accepted, *verdicts = answer.json()["parameter"]
    found = [{part["name"]: next(v for k, v in part.items() if k != "name") for part in v["part"]} for v in verdicts]
    assert [verdict["check"] for verdict in found] == [
        *("format", "signature", "validity", "revocation", "trust", "profile")
    ]
    return accepted["valueBoolean"], {verdict["check"]: verdict["code"] for verdict in found}


async def test_an_own_card_in_every_form(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose(""))
    (card,) = await people.issue(patient)
    picture = "data:image/png;base64," + b64encode(png(card)).decode()
    for form in (card, numeric(card), write_file([card]).decode(), picture):
        accepted, verdicts = await ask(client, form)
        assert accepted
        assert set(verdicts.values()) >= {"well-formed", "signed", "in-force", "issuer-trusted", "minimal-form"}


async def test_a_changed_card_and_one_of_nobody(people: People, client: httpx.AsyncClient, shared: Path) -> None:
    patient, _ = await people.person(dose(""))
    (card,) = await people.issue(patient)
    changed = card[:-3] + ("AAA" if not card.endswith("AAA") else "BAA")
    accepted, verdicts = await ask(client, changed)
    assert not accepted and verdicts["signature"] in ("signature-wrong", "not-checked")
    (example,) = json.loads(next((shared / "health-cards").glob("*00-e*")).read_bytes())["verifiableCredential"]
    accepted, verdicts = await ask(client, example)
    assert not accepted and verdicts["trust"] == verdicts["signature"] == "issuer-unknown"
    accepted, verdicts = await ask(client, "hello")
    assert not accepted and verdicts["format"] == "jws-not-compact"


async def test_the_moment_to_judge_for(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose(""))
    (card,) = await people.issue(patient)
    accepted, verdicts = await ask(client, card, "2021-03-01T10:00:00Z")
    assert not accepted and verdicts["validity"] == "not-yet-valid"


async def test_several_cards_in_one_file(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose(""), dose("", "141"))
    file = write_file(await people.issue(patient)).decode()
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "credential", "valueString": file}]}
    answer = (await client.post("$health-cards-verify", json=parameters, headers=JSON)).json()
    assert [each["name"] for each in answer["parameter"]] == ["card", "card"]
    assert all(each["part"][0] == {"name": "accepted", "valueBoolean": True} for each in answer["parameter"])


async def test_refusals(client: httpx.AsyncClient) -> None:
    in_address = await client.get("$health-cards-verify?credential=x")
    assert in_address.status_code == 405
    missing = await client.post("$health-cards-verify", json={"resourceType": "Parameters"}, headers=JSON)
    assert (missing.status_code, missing.json()["issue"][0]["expression"]) == (400, ["credential"])
    broken = {"name": "credential", "valueString": "data:image/png;base64,%%%"}
    body = {"resourceType": "Parameters", "parameter": [broken]}
    answer = await client.post("$health-cards-verify", json=body, headers=JSON)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["credential"])
