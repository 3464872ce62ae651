"""SMART Health Links over HTTP: manifest, passcode, limits, expiry, revocation, the owner's log."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from smart_health_cards.jwe import decrypt
from smart_health_cards.links import Link
from tests.health_cards.conftest import JSON, People, dose

ME = {"recipient": "Wake County Schools"}


async def create(people: People, patient: str, **given: Any) -> tuple[Link, str]:
    answer = await ask(people, patient, "$health-link-create", **given)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    link, id = answer.json()["parameter"]
    return Link.read(link["valueUri"]), id["valueString"]


async def ask(people: People, patient: str, operation: str, **given: Any) -> httpx.Response:
    kinds = {bool: "valueBoolean", int: "valuePositiveInt", str: "valueString"}
    parameters = [{"name": name, kinds[type(value)]: value} for name, value in given.items()]
    body = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
    return await people.client.post(f"Patient/{patient}/{operation}", json=body, headers=JSON)


async def log(people: People, patient: str, id: str) -> list[dict[str, Any]]:
    answer = (await people.client.get(f"Patient/{patient}/$health-links")).json()
    for link in answer["parameter"]:
        parts = link["part"]
        if parts[0]["valueString"] == id:
            return [
                {part["name"]: next(v for k, v in part.items() if k != "name") for part in entry["part"]}
                for entry in parts
                if entry["name"] == "access"
            ]
    raise AssertionError("no such link")


async def test_the_whole_record_through_the_manifest(people: People) -> None:
    doses = [dose("", "141", f"20{year:02}-{month}-15") for year in range(5, 21) for month in ("02", "10", "12")]
    patient, ids = await people.person(*doses, dose("", "998"))
    link, id = await create(people, patient, label="Vacunas de Ana")
    assert link.url.startswith(f"{people.origin}/shl/") and len(link.url) <= 128 and link.flags == ""
    manifest = await people.client.post(link.url, json=ME)
    assert manifest.status_code == 200 and manifest.headers["cache-control"] == "no-store"
    files = {}
    for listed in manifest.json()["files"]:
        answer = await people.client.get(listed["location"])
        assert answer.headers["content-type"] == "application/jose"
        kind, data = decrypt(answer.text, link.key)
        assert kind == listed["contentType"]
        files[kind] = json.loads(data)
    from tests.health_cards.test_issue import codes

    assert len(codes(files["application/smart-health-card"]["verifiableCredential"])) == 48
    bundle = files["application/fhir+json"]
    assert bundle["type"] == "collection" and len(bundle["entry"]) == 1 + len(ids)
    (use,) = await log(people, patient, id)
    assert (use["recipient"], use["outcome"]) == ("Wake County Schools", "manifest")
    embedded = (await people.client.post(link.url, json={**ME, "embeddedLengthMax": 10_000_000})).json()["files"]
    assert decrypt(embedded[0]["embedded"], link.key)[0] == "application/smart-health-card"
    forged = manifest.json()["files"][0]["location"].replace("/0?", "/1?")
    assert (await people.client.get(forged)).status_code == 404


async def test_wrong_passcodes_end_a_link_for_good(people: People) -> None:
    patient, _ = await people.person(dose(""))
    link, id = await create(people, patient, passcode="1950", passcodeTries=3)
    assert link.flags == "P"
    missing = await people.client.post(link.url, json=ME)
    assert (missing.status_code, missing.json()) == (401, {"remainingAttempts": 3})
    for left in (2, 1):
        wrong = await people.client.post(link.url, json={**ME, "passcode": "0000"})
        assert (wrong.status_code, wrong.json()) == (401, {"remainingAttempts": left})
        assert (await people.client.post(link.url, json={**ME, "passcode": "1950"})).status_code == 200
    last = await people.client.post(link.url, json={**ME, "passcode": "0000"})
    assert (last.status_code, last.json()) == (401, {"remainingAttempts": 0})
    assert (await people.client.post(link.url, json={**ME, "passcode": "1950"})).status_code == 404
    outcomes = [use["outcome"] for use in await log(people, patient, id)]
    assert outcomes == ["wrong-passcode", "manifest", "wrong-passcode", "manifest", "wrong-passcode"]


async def test_many_tries_at_once_are_no_more_tries(people: People) -> None:
    patient, _ = await people.person(dose(""))
    link, id = await create(people, patient, passcode="1950", passcodeTries=5)
    tries = [people.client.post(link.url, json={**ME, "passcode": f"{number:04}"}) for number in range(40)]
    answers = await asyncio.gather(*tries)
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [404] * 35
    assert {answer.json()["remainingAttempts"] for answer in answers if answer.status_code == 401} == set(range(5))
    assert len(await log(people, patient, id)) == 5


async def test_one_direct_file_and_a_number_of_retrievals(people: People) -> None:
    patient, _ = await people.person(dose(""))
    link, id = await create(people, patient, direct=True, maxRetrievals=3)
    assert link.flags == "U"
    answers = await asyncio.gather(*[people.client.get(link.url, params=ME) for _ in range(10)])
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [404] * 7
    text = next(answer.text for answer in answers if answer.status_code == 200)
    assert decrypt(text, link.key)[0] == "application/smart-health-card"
    assert [use["outcome"] for use in await log(people, patient, id)] == ["direct"] * 3
    assert (await people.client.post(link.url, json=ME)).status_code == 404


async def test_the_last_retrieval_s_files_can_still_be_fetched(people: People) -> None:
    patient, _ = await people.person(dose(""))
    link, _ = await create(people, patient, maxRetrievals=1)
    manifest = (await people.client.post(link.url, json=ME)).json()
    assert (await people.client.post(link.url, json=ME)).status_code == 404
    assert [(await people.client.get(file["location"])).status_code for file in manifest["files"]] == [200, 200]


async def test_revoked_and_expired(people: People) -> None:
    patient, _ = await people.person(dose(""))
    other, _ = await people.person(dose(""))
    link, id = await create(people, patient, expires="2999-12-31")
    assert link.expires is not None
    location = (await people.client.post(link.url, json=ME)).json()["files"][0]["location"]
    foreign = await ask(people, other, "$health-link-revoke", id=id)
    assert (foreign.status_code, foreign.json()["issue"][0]["details"]["coding"][0]["code"]) == (404, "unknown-link")
    assert (await ask(people, patient, "$health-link-revoke", id=id)).status_code == 200
    assert (await people.client.post(link.url, json=ME)).status_code == 404
    assert (await people.client.get(location)).status_code == 404
    listed = (await people.client.get(f"Patient/{patient}/$health-links")).json()["parameter"][0]["part"]
    assert next(part["valueBoolean"] for part in listed if part["name"] == "active") is False
    soon, _ = await create(people, patient, expires=await _in_two_seconds())
    assert (await people.client.post(soon.url, json=ME)).status_code == 200
    await asyncio.sleep(2.5)
    assert (await people.client.post(soon.url, json=ME)).status_code == 404


async def _in_two_seconds() -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"passcode": "1", "direct": True}, 400, "direct-with-passcode"),
        ({"expires": "2020-01-01"}, 400, "expiry-in-past"),
        ({"label": "x" * 81}, 400, "link-label"),
        ({"color": "red"}, 400, "unknown-parameter"),
        ({"direct": True}, 422, "nothing-to-share"),
    ],
)
async def test_refused(people: People, given: dict[str, Any], status: int, code: str) -> None:
    patient, _ = await people.person()
    answer = await ask(people, patient, "$health-link-create", **given)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (status, code)


async def test_who_asks_must_say_so(people: People) -> None:
    patient, _ = await people.person(dose(""))
    link, id = await create(people, patient)
    for body in ({}, {"recipient": " "}, {"recipient": 7}, {**ME, "embeddedLengthMax": "x"}):
        assert (await people.client.post(link.url, json=body)).status_code == 400
    assert (await people.client.get(link.url)).status_code == 400
    assert await log(people, patient, id) == []
