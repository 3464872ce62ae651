"""$who-would-be over HTTP: counted over everybody, in no small numbers, at once or as a job."""

import asyncio
from datetime import date
from typing import Any

import httpx
import msgspec
import pytest

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.operations import people, shipped, vocabulary, who_would_be
from fhir_server.operations.who_would_be import race
from fhir_server.operations.who_would_be_answer import Question
from fhir_server.store.held import Held, take
from fhir_server.store.records import Update
from tests.operations.conftest import Clock

RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
# Counties in which no other test has anybody live.
TYRRELL, HYDE, CAMDEN = "37177", "37095", "37029"


def person(number: int, born: str, county: str, *races: str, **more: Any) -> dict[str, Any]:
    categories = [
        {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code}}
        for code in races
    ]
    extension = [{"url": RACE, "extension": [*categories, {"url": "text", "valueString": "as stated"}]}]
    home = {"use": "home", "district": county}
    base = {"resourceType": "Patient", "id": f"planned-{number}", "birthDate": born, "address": [home]}
    return base | ({"extension": extension} if races else {}) | more


def of_person(kind: str, number: int, **more: Any) -> dict[str, Any]:
    about = "patient" if kind in ("Immunization", "Consent") else "subject"
    identity = {"resourceType": kind, "id": f"planned-{number}", about: {"reference": f"Patient/planned-{number}"}}
    return identity | more


@pytest.fixture(scope="module")
async def planned(client: httpx.AsyncClient) -> None:
    """Tyrrell: 30 of 70 years (one declined, one vaccinated, one dead), 25 of 30 years. Hyde: 5 of 70. Camden: 13."""
    people = [person(number, "1950-03-01", "Tyrrell County", "2106-3") for number in range(30)]
    people += [person(number, "1990-03-01", "condado de Tyrrell", "2054-5", "2028-9") for number in range(30, 55)]
    people += [person(number, "1950-03-01", "HYDE") for number in range(55, 60)]
    people += [person(number, "1950", "Camden") for number in range(60, 72)]
    people += [person(72, "1950", "Camden", active=False)]
    people[2] |= {"deceasedDateTime": "2020-12-31"}
    consent = of_person(
        "Consent",
        0,
        status="active",
        scope={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]},
        category=[{"coding": [{"system": vocabulary.CONSENT_CATEGORY, "code": "decline-vaccine"}]}],
        policyRule={"text": "The person declines the vaccine."},
    )
    dose = of_person(
        "Immunization",
        1,
        status="completed",
        vaccineCode={"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "212"}]},
        occurrenceDateTime="2021-03-05",
    )
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in [*people, consent, dose]
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert (await client.post("", json=bundle)).status_code == 200


async def ask(client: httpx.AsyncClient, group: str, at_once: bool = False, **query: str) -> dict[Any, Any]:
    """The answer as parameters by name; strata by (dimension, code). Polls, for other tests' people may be many."""
    headers = {} if at_once else {"prefer": "respond-async"}
    answer = await client.get(f"Group/{group}/$who-would-be", params=query, headers=headers)
    address = answer.headers.get("content-location", "")
    while answer.status_code == 202:
        await asyncio.sleep(0.6)
        answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    found: dict[Any, Any] = {}
    for parameter in answer.json()["parameter"]:
        if parameter["name"] == "stratum":
            parts = {part["name"]: _value(part) for part in parameter["part"]}
            found[parts["dimension"], parts["code"]] = parts
        elif "part" in parameter:
            found[parameter["name"]] = {part["name"]: _value(part) for part in parameter["part"]}
        else:
            found.setdefault(parameter["name"], _value(parameter))
    return found


def _value(part: dict[str, Any]) -> Any:
    return next(value for name, value in part.items() if name.startswith("value"))


@pytest.mark.usefixtures("planned")
async def test_counted_by_county_age_and_race(client: httpx.AsyncClient) -> None:
    found = await ask(client, "nc-2021-01-group-2", asOf="2021-04-01")
    assert (found["phase"], found["policy"], found["smallest"]) == ("nc-2021-01-group-2", "nc-2021-01", 11)
    assert found["group"] == {"reference": "Group/nc-2021-01-group-2/_history/1"}
    # 54 alive: 27 of the elders are neither done nor decline.
    tyrrell = found["county", TYRRELL]
    assert (tyrrell["registered"], tyrrell["eligible"], tyrrell["display"]) == (44, 22, "Tyrrell")
    assert tyrrell["withheld"] == "unknown"
    hyde = found["county", HYDE]
    assert not {"registered", "eligible", "unknown"} & hyde.keys()
    camden = found["county", CAMDEN]
    assert (camden["registered"], camden["eligible"]) == (11, 11)
    assert found["age", "65-74"]["eligible"] >= 33
    assert found["race", "multiple"]["registered"] >= 22
    for cell in found.values():
        counts = cell.values() if isinstance(cell, dict) else ()
        assert all(count % 11 == 0 and count > 0 for count in counts if isinstance(count, int))


@pytest.mark.usefixtures("planned")
async def test_a_phase_is_all_its_groups_and_a_draft_may_be_asked_about(client: httpx.AsyncClient) -> None:
    whole = await ask(client, "nc-2021-01-group-4a", asOf="2021-03-01", at_once=True)
    # Nobody here said where they live or work: unknown, which the whole of group 4 asks for.
    assert whole["county", CAMDEN]["unknown"] == 11
    alone = await ask(client, "nc-2021-01-group-4a", asOf="2021-03-01", whole="false", at_once=True)
    assert "unknown" not in alone["county", CAMDEN]
    draft = (await client.get("Group/nc-2021-01-group-2")).json() | {"id": "planned-draft", "active": False}
    draft["identifier"][0]["value"] = "planned-draft"
    draft["characteristic"][0]["valueRange"]["low"]["value"] = 30
    draft["characteristic"].append(
        {
            "code": {"coding": [{"system": vocabulary.CRITERION, "code": "county"}]},
            "valueCodeableConcept": {"coding": [{"system": vocabulary.COUNTY, "code": TYRRELL}]},
            "exclude": False,
        }
    )
    await client.put("Group/planned-draft", json=draft)
    found = await ask(client, "planned-draft", asOf="2021-04-01", at_once=True)
    assert found["county", TYRRELL]["eligible"] == 44
    assert "eligible" not in found["county", CAMDEN]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Group/nobody-has-this/$who-would-be", 404, "unknown-resource"),
        ("Group/planned-roster/$who-would-be", 422, "not-a-phase"),
        ("Group/nc-2021-01-group-2/$who-would-be?asOf=2021-02-30", 400, "invalid-value"),
        ("Group/nc-2021-01-group-2/$who-would-be?whole=maybe", 400, "invalid-value"),
        ("Group/$who-would-be", 404, "unknown-operation"),
    ],
)
async def test_what_is_refused(client: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    roster = {"resourceType": "Group", "id": "planned-roster", "type": "person", "actual": True}
    await client.put("Group/planned-roster", json=roster)
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == code


@pytest.mark.parametrize(
    ("races", "expected"),
    [((), "unknown"), (("2106-3",), "2106-3"), (("2106-3", "2028-9"), "multiple"), (("UNK",), "unknown")],
)
def test_race(races: tuple[str, ...], expected: str) -> None:
    assert race(person(0, "1950", "Hyde", *races)) == expected


class Killed(Exception):  # noqa: N818 - an event
    """The process ended here."""


async def test_a_count_that_was_interrupted_goes_on_and_counts_nobody_twice(
    timed: tuple[Context, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, clock = timed
    clock.set("2021-04-01T12:00:00-04:00")
    monkeypatch.setattr(people, "PAGE", 4)
    monkeypatch.setattr(who_would_be, "_PAGES_A_STEP", 1)
    elders = next(each for each in shipped.resources() if each["id"] == "nc-2021-01-group-2") | {"id": "counted"}
    resources = [
        elders,
        *({**person(number, "1950-03-01", "Yancey"), "id": f"counted-{number}"} for number in range(25)),
    ]
    writes = [
        Update(each["resourceType"], each["id"], json.dump(each), index.entries(each, context.settings.base))
        for each in resources
    ]
    await context.store.commit(SERVER, allow_all, writes)
    question = Question("counted", date(2021, 4, 1), True, "en")
    job = await context.store.jobs.enqueue(SERVER, who_would_be.KIND, msgspec.to_builtins(question))

    async def held(after_steps: int | None) -> Held:
        """The job in the hands of a process that dies after so many recorded steps."""
        found = await take(context.store.jobs, f"process-{after_steps}", 30)
        assert found is not None
        real = found.record

        async def record(*parts: Any) -> None:
            await real(*parts)
            if found.steps == after_steps:
                raise Killed

        monkeypatch.setattr(found, "record", record)
        return found

    for steps in (1, 3):
        dying = await held(steps)
        with pytest.raises(Killed):
            await who_would_be.run(context, allow_all, dying)
        await dying.give_back(0)
    await who_would_be.run(context, allow_all, await held(None))
    answer = b"".join([piece async for piece in context.store.jobs.answer(SERVER, job.id)])
    strata = [
        {part["name"]: _value(part) for part in parameter["part"]}
        for parameter in json.parse(answer)["parameter"]
        if parameter["name"] == "stratum"
    ]
    [yancey] = [each for each in strata if each["code"] == "37199"]
    assert (yancey["registered"], yancey["eligible"]) == (22, 22)
