"""Revocation tied to the record: whatever way a dose is corrected, exactly its group's earlier cards are revoked."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.health_cards.conftest import JSON, People, dose, until

Write = Callable[[httpx.AsyncClient, str, str], Awaitable[httpx.Response]]


async def put(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    return await client.put(f"Immunization/{id}", json={**dose(patient, lotNumber="FB7777"), "id": id})


async def in_error(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    return await client.put(f"Immunization/{id}", json={**dose(patient, status="entered-in-error"), "id": id})


async def patch(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    change = [{"op": "replace", "path": "/occurrenceDateTime", "value": "2021-01-28"}]
    headers = {"content-type": "application/json-patch+json"}
    return await client.patch(f"Immunization/{id}", json=change, headers=headers)


async def delete(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    return await client.delete(f"Immunization/{id}")


async def transaction(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    entry = {
        "resource": {**dose(patient, "207"), "id": id},
        "request": {"method": "PUT", "url": f"Immunization/{id}"},
    }
    return await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}, headers=JSON)


async def conditional(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    return await client.put(f"Immunization?_id={id}", json={**dose(patient, isSubpotent=True), "id": id})


async def moved(client: httpx.AsyncClient, patient: str, id: str) -> httpx.Response:
    other = (await client.post("Patient", json={"resourceType": "Patient", "name": [{"family": "Li"}]})).json()["id"]
    return await client.put(f"Immunization/{id}", json={**dose(other), "id": id})


@pytest.mark.parametrize("write", [put, in_error, patch, delete, transaction, conditional, moved])
async def test_exactly_the_cards_of_that_group(people: People, write: Write) -> None:
    patient, (covid, _, _) = await people.person(dose(""), dose("", "141"), dose("", "208", "2021-02-19"))
    other, _ = await people.person(dose(""))
    card, flu = await people.issue(patient)
    (others,) = await people.issue(other)
    assert (await write(people.client, patient, covid)).is_success
    now = time.time() + 5
    await until(lambda: _is(people, card, "revoked"))
    assert await people.revocation(flu, now) == "not-revoked"
    assert await people.revocation(others, now) == "not-revoked"
    again = await people.issue(patient, credentialValueSet=COVID)
    assert [await people.revocation(each, time.time()) for each in again] == ["not-revoked"]
    assert await people.revocation(card, now) == "revoked"
    keys, lists = await people.published()
    assert {key["kid"]: key.get("crlVersion") for key in keys["keys"]} == {
        kid: found["ctr"] for kid, found in lists.items()
    }


COVID = "https://terminology.smarthealth.cards/ValueSet/immunization-covid-all"


async def _is(people: People, card: str, code: str) -> bool:
    return await people.revocation(card, time.time() + 5) == code


async def test_a_note_or_a_new_dose_revokes_nothing(people: People) -> None:
    patient, (covid,) = await people.person(dose(""))
    (card,) = await people.issue(patient)
    noted = {**dose(patient, note=[{"text": "left arm"}]), "id": covid}
    assert (await people.client.put(f"Immunization/{covid}", json=noted)).is_success
    await people.store(dose(patient, "208", "2021-02-19"))
    other, (corrected,) = await people.person(dose(""))
    (witness,) = await people.issue(other)
    assert (await delete(people.client, other, corrected)).is_success
    await until(lambda: _is(people, witness, "revoked"))
    assert await people.revocation(card, time.time() + 5) in ("not-revoked", "no-list-published")


async def test_cards_issued_while_the_record_is_corrected(people: People) -> None:
    """However issuing and correcting interleave: in the end only cards that say what the record says still count."""
    patient, (covid,) = await people.person(dose(""))
    issued: list[str] = []

    async def issue() -> None:
        for _ in range(4):
            issued.extend(await people.issue(patient))

    async def correct() -> None:
        for number in range(4):
            changed = {**dose(patient, lotNumber=f"AB{number}"), "id": covid}
            assert (await people.client.put(f"Immunization/{covid}", json=changed)).is_success
            await asyncio.sleep(0.4)

    await asyncio.gather(issue(), issue(), correct())
    last = await people.issue(patient)
    issued += last
    from tests.health_cards.test_issue import content

    def lot(card: str) -> str:
        found: str = content(card)["vc"]["credentialSubject"]["fhirBundle"]["entry"][1]["resource"]["lotNumber"]
        return found

    async def settled() -> bool:
        old = [card for card in issued if lot(card) != "AB3"]
        return all([await people.revocation(card, time.time() + 5) == "revoked" for card in old])

    await until(settled)
    good = [card for card in issued if lot(card) == "AB3"]
    assert set(last) <= set(good)
    assert all([await people.revocation(card, time.time() + 5) == "not-revoked" for card in good])


async def test_revoked_by_staff(people: People) -> None:
    patient, _ = await people.person(dose(""), dose("", "141"))
    covid, flu = await people.issue(patient)

    async def ask(**given: str) -> httpx.Response:
        parameters = [{"name": name, "valueString": value} for name, value in given.items()]
        body = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
        return await people.client.post(f"Patient/{patient}/$health-cards-revoke", json=body, headers=JSON)

    refused: list[tuple[dict[str, str], str, str]] = [
        ({}, "missing-parameter", "reason"),
        ({"reason": "identity theft", "group": "HPV"}, "unknown-card-group", "group"),
    ]
    for given, code, place in refused:
        answer = await ask(**given)
        issue: dict[str, Any] = answer.json()["issue"][0]
        assert (answer.status_code, issue["details"]["coding"][0]["code"], issue["expression"]) == (400, code, [place])
    answer = await ask(reason="identity theft", group="COVID-19")
    assert answer.status_code == 200
    assert [part["valueString"] for part in answer.json()["parameter"][0]["part"][:1]] == ["COVID-19"]
    assert await people.revocation(covid, time.time()) == "revoked"
    assert await people.revocation(flu, time.time()) == "not-revoked"
    (again,) = await people.issue(patient, credentialValueSet=COVID)
    assert await people.revocation(again, time.time()) == "not-revoked"
    found = (await people.client.get(f"AuditEvent?patient=Patient/{patient}&subtype=health-card-revoked")).json()
    (event,) = [entry["resource"] for entry in found["entry"]]
    assert event["agent"][0]["who"]["display"] == "dev"
    assert {"type": "reason", "valueString": "identity theft"} in event["entity"][0]["detail"]
    assert (await people.client.get(f"Patient/{patient}/$health-cards-revoke")).status_code == 405


@pytest.mark.slow
async def test_a_correction_is_not_forgotten_when_the_server_is_killed(own_server: Server) -> None:
    await own_server.start()
    port = own_server.port
    async with httpx.AsyncClient(base_url=own_server.base + "/", timeout=30) as client:
        people = People(client, own_server.base.removesuffix("/fhir"))
        doses = [await people.person(dose("")) for _ in range(5)]
        cards = [(await people.issue(patient))[0] for patient, _ in doses]
        writes = [delete(client, patient, covid) for patient, (covid,) in doses]
        assert all(answer.is_success for answer in await asyncio.gather(*writes))
        await own_server.stop(signal.SIGKILL)
    await own_server.start(port)
    async with httpx.AsyncClient(base_url=own_server.base + "/", timeout=30) as client:
        people = People(client, own_server.base.removesuffix("/fhir"))

        async def all_revoked() -> bool:
            return all([await _is(people, card, "revoked") for card in cards])

        await until(all_revoked)
        keys, lists = await people.published()
        (key,) = keys["keys"]
        assert lists[key["kid"]]["ctr"] == key["crlVersion"] == len(lists[key["kid"]]["rids"])
