"""$reminders-due over HTTP: for whom, in which language, by which channel; pages; and who is not in it."""

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.operations import people, reminders, vocabulary
from fhir_server.store.records import Update
from tests.operations.conftest import Clock

TAG = "reminded"


def person(name: str, born: str = "1950-03-01", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"{TAG}-{name}", "birthDate": born, **more}


def dose(name: str, day: str, **more: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Immunization",
        "id": f"{TAG}-{name}-{day}",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": f"Patient/{TAG}-{name}"},
        "occurrenceDateTime": day,
        "performer": [{"actor": {"reference": f"Organization/{TAG}-clinic"}}],
    }
    return base | more


def consent(name: str, kind: str) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": f"{TAG}-{name}",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]},
        "category": [{"coding": [{"system": vocabulary.CONSENT_CATEGORY, "code": kind}]}],
        "patient": {"reference": f"Patient/{TAG}-{name}"},
        "policyRule": {"text": "As the person wishes."},
    }


MAIL: dict[str, Any] = {
    "telecom": [{"system": "email", "value": "someone@example.org"}, {"system": "phone", "value": "919-555-0100"}]
}
SPANISH: dict[str, Any] = {"communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}]}
STARTED = ("mail", "call", "declined", "silent", "done", "dead", "inactive")


@pytest.fixture(scope="module")
async def started(client: httpx.AsyncClient) -> None:
    """People with a first dose on 2021-01-15, and two without any."""
    resources = [
        {"resourceType": "Organization", "id": f"{TAG}-clinic", "name": "Clinic"},
        person("mail", **MAIL, **SPANISH),
        person("call"),
        person("declined", **MAIL),
        person("silent", **MAIL),
        person("done", **MAIL),
        person("dead", **MAIL, deceasedBoolean=True),
        person("inactive", **MAIL, active=False),
        person("elder", **MAIL),
        person("young", "1956-02-05", **MAIL),
        *(dose(name, "2021-01-15") for name in STARTED),
        dose("done", "2021-02-05"),
        consent("declined", "decline-vaccine"),
        consent("silent", "no-contact"),
    ]
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text


async def due(client: httpx.AsyncClient, day: str, **query: str) -> dict[str, dict[str, Any]]:
    """The reminders of this test's people by their name, from all pages."""
    answer = await client.get("Patient/$reminders-due", params={"day": day, "_count": "1000", **query})
    found: dict[str, dict[str, Any]] = {}
    while True:
        assert answer.status_code == 200, answer.text
        parameters = answer.json().get("parameter", [])
        for parameter in parameters:
            if parameter["name"] == "reminder":
                parts = {part["name"]: _value(part) for part in parameter["part"]}
                id = parts["patient"]["reference"].removeprefix("Patient/")
                if id.startswith(f"{TAG}-"):
                    found[id.removeprefix(f"{TAG}-")] = parts
        following = [_value(parameter) for parameter in parameters if parameter["name"] == "next"]
        if not following:
            return found
        parsed = urlsplit(following[0])
        answer = await client.get(f"Patient/$reminders-due?{parsed.query}")


def _value(part: dict[str, Any]) -> Any:
    return next(value for name, value in part.items() if name.startswith("value"))


@pytest.mark.usefixtures("started")
async def test_the_second_dose(client: httpx.AsyncClient) -> None:
    found = await due(client, "2021-02-05")
    assert found.keys() == {"mail", "call", "young"}
    assert {name: value for name, value in found["mail"].items() if name not in ("patient", "provider")} == {
        "occasion": "dose-due",
        "day": "2021-02-05",
        "language": "es",
        "channel": "email",
        "address": "someone@example.org",
        "doseNumber": 2,
        "text": "Su próxima dosis de la vacuna contra la COVID-19 le toca a partir del 5 de febrero de 2021.",
    }
    assert found["call"]["channel"] == "call-list"
    assert "address" not in found["call"]
    assert found["call"]["provider"] == {"reference": f"Organization/{TAG}-clinic"}
    assert found["young"]["occasion"] == "newly-eligible"
    assert found["young"]["text"] == "You can be vaccinated now: “Group 2: people aged 65 or older” is open to you."
    assert (await due(client, "2021-02-05", channel="call-list")).keys() == {"call"}


@pytest.mark.usefixtures("started")
async def test_overdue_and_newly_eligible(client: httpx.AsyncClient) -> None:
    overdue = await due(client, "2021-02-26")
    assert {name: found["occasion"] for name, found in overdue.items()} == {
        "mail": "dose-overdue",
        "call": "dose-overdue",
    }
    # On 14 January nobody had had a dose, as doses of later days are not known yet.
    opened = await due(client, "2021-01-14")
    assert {name: found["occasion"] for name, found in opened.items()} == dict.fromkeys(
        ("mail", "call", "done", "elder"), "newly-eligible"
    )
    assert await due(client, "2021-01-16") == {}


@pytest.mark.usefixtures("started")
async def test_a_page_is_a_page_of_people(client: httpx.AsyncClient) -> None:
    first = await client.get("Patient/$reminders-due", params={"day": "2021-02-05", "_count": "2"})
    link = next(_value(each) for each in first.json()["parameter"] if each["name"] == "next")
    assert "_count=2" in link and "_page=" in link
    other = link.replace("day=2021-02-05", "day=2021-02-06")
    refused = await client.get(f"Patient/$reminders-due?{urlsplit(other).query}")
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "bad-page-token"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"day": "2021"}, "incomplete-date"),
        ({"day": "someday"}, "invalid-value"),
        ({"channel": "pigeon"}, "invalid-value"),
        ({"_count": "0"}, "invalid-value"),
        ({"who": "me"}, "unknown-parameter"),
    ],
)
async def test_bad_input(client: httpx.AsyncClient, query: dict[str, str], code: str) -> None:
    answer = await client.get("Patient/$reminders-due", params=query)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (400, code)


async def test_the_first_and_the_last_day_of_the_calendar(client: httpx.AsyncClient) -> None:
    for day in ("0001-01-01", "9999-12-31"):
        answer = await client.get("Patient/$reminders-due", params={"day": day, "_count": "5"})
        assert answer.status_code == 200, answer.text


async def test_everybody_a_page_at_a_time(timed: tuple[Context, Clock], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sending of messages goes through: all that is due, for more people than a page."""
    context, clock = timed
    clock.set("2021-02-05T09:00:00-05:00")
    people_there = [person(f"many-{number}") for number in range(7)]
    resources = people_there + [dose(f"many-{number}", "2021-01-15") for number in range(0, 7, 2)]
    writes = [
        Update(each["resourceType"], each["id"], json.dump(each), index.entries(each, context.settings.base))
        for each in resources
    ]
    await context.store.commit(SERVER, allow_all, writes)
    monkeypatch.setattr(people, "PAGE", 3)
    found = [each async for each in reminders.due(context, SERVER, allow_all, context.today)]
    assert sorted(each.patient for each in found) == [f"Patient/{TAG}-many-{number}" for number in range(0, 7, 2)]
    assert {each.reminder.occasion for each in found} == {"dose-due"}
    seen, after = await reminders.page(context, SERVER, allow_all, context.today, None, 3)
    assert len(seen) <= 3
    assert after is not None
