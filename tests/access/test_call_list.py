"""The day's call list over HTTP, with authorization on: what it says is what a look at everybody says, for each caller.

https://hl7.org/fhir/R4/security.html

Two clinics and 300 people of all sorts on a day in 2021; then the list is made, and things happen.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from fhir_server.app import create_app
from fhir_server.caller import Caller
from fhir_server.context import Context
from fhir_server.jobs import calling
from fhir_server.operations import call_list, shipped, vocabulary
from fhir_server.settings import Settings
from fhir_server.store.call_list import CALL_LIST
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.turns import Turn
from tests.access.conftest import House
from tests.access.world import BASE, STEWARD, Resource, concept, reference
from tests.operations.conftest import Clock

DAY, TOMORROW = "2021-02-05", "2021-02-06"
MORNING = f"{DAY}T08:00:00-05:00"
PEOPLE = 300


def clinic(name: str) -> Caller:
    return Caller(f"of-{name}", frozenset({"provider"}), "app", ("user/*.cruds",), organization=name)


NORTH, SOUTH, EAST = (clinic(name) for name in ("north", "south", "east"))
"""The two clinics, and one without anybody."""

PHONE, MAIL = {"system": "phone", "value": "919-555-0100"}, {"system": "email", "value": "someone@example.org"}


def person(id: str, at: str, **more: Any) -> Resource:
    managed = reference("Organization", at)
    return {"resourceType": "Patient", "id": id, "birthDate": "1960-03-01", "managingOrganization": managed, **more}


def dose(id: str, at: str, day: str) -> Resource:
    return {
        "resourceType": "Immunization", "id": f"{id}-{day}", "status": "completed", "occurrenceDateTime": day,
        "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "208"), "patient": reference("Patient", id),
        "performer": [{"actor": reference("Organization", at)}],
    }  # fmt: skip


def consent(id: str, kind: str) -> Resource:
    return {
        "resourceType": "Consent", "id": f"{id}-{kind}", "status": "active", "patient": reference("Patient", id),
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(vocabulary.CONSENT_CATEGORY, kind)], "policyRule": {"text": "as they wish"},
    }  # fmt: skip


def answers(id: str, *ways: str) -> Resource:
    """How the person wants to be reminded."""
    codings = [{"valueCoding": {"system": vocabulary.REMINDER_CHANNEL, "code": way}} for way in ways]
    return {
        "resourceType": "QuestionnaireResponse", "id": f"answers-{id}", "status": "completed",
        "questionnaire": vocabulary.REGISTRATION, "subject": reference("Patient", id),
        "item": [{"linkId": "reminders", "answer": codings}],
    }  # fmt: skip


def visit(id: str) -> Resource:
    """To the other clinic, which so has to do with the person."""
    return {
        "resourceType": "Encounter", "id": f"visit-{id}", "status": "finished", "class": {"code": "AMB"},
        "subject": reference("Patient", id), "serviceProvider": reference("Organization", "south"),
    }  # fmt: skip


def due(id: str, at: str = "north") -> list[Resource]:
    """Somebody to call on the day: the second dose is due, and there is no e-mail address."""
    return [person(id, at, telecom=[PHONE]), dose(id, at, "2021-01-15")]


def anybody(number: int) -> list[Resource]:
    """One of the 300."""
    chance = random.Random(number)
    id, at, other = f"p{number}", *chance.sample(("north", "south"), 2)
    made = person(id, at, birthDate=f"{chance.choice((1935, 1956, 1990))}-02-05")
    made |= chance.choice(({"telecom": [PHONE]}, {}, {"telecom": [PHONE, MAIL]}))
    made |= chance.choice(({}, {}, {}, {"active": False}, {"deceasedBoolean": True}))
    if chance.random() < 0.1:
        restricted = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
        made["meta"] = {"security": [restricted]}
    found = [made]
    days = chance.choice(([], ["2021-01-15"], ["2021-01-15"], ["2020-12-25"], ["2021-01-16"], ["2021-01-02", DAY]))
    # A dose elsewhere ties the person to the other clinic, too.
    found += [dose(id, chance.choice((at, at, other)), day) for day in days]
    if chance.random() < 0.3:
        found.append(answers(id, *chance.choice((["phone"], ["phone"], ["email"], ["phone", "email"]))))
    if chance.random() < 0.2:
        found.append(consent(id, chance.choice(("no-contact", "decline-vaccine", "do-not-share"))))
    return found


@dataclass
class Clinics:
    """The application, the clock of the day, and the turn to keep up its list."""

    house: House
    clock: Clock
    turn: Turn

    async def write(self, *resources: Resource) -> None:
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await self.house.ask(STEWARD, "POST", "", bundle)
        assert answer.status_code == 200, answer.text

    async def keep_up(self) -> None:
        assert await self.turn.take()
        await call_list.update(self.house.app.state.context, self.turn, rest=0)

    async def ask(self, who: Caller, **query: str) -> httpx.Response:
        asked = "&".join(f"{name}={value}" for name, value in ({"channel": "call-list"} | query).items())
        return await self.house.ask(who, "GET", f"Patient/$reminders-due?{asked}")

    async def told(self, who: Caller, **query: str) -> dict[str, Resource]:
        """The reminders by id, from all pages, each of which says (or does not) that it is of the list."""
        found: dict[str, Resource] = {}
        answer = await self.ask(who, **query)
        while True:
            assert answer.status_code == 200, answer.text
            parameters = answer.json().get("parameter", [])
            of_list = any(each["name"] == "asOf" for each in parameters)
            assert of_list == ("everybody" not in query), parameters
            for each in parameters:
                if each["name"] == "reminder":
                    id = each["part"][0]["valueReference"]["reference"].removeprefix("Patient/")
                    assert id not in found
                    found[id] = each
            following = [each["valueUrl"] for each in parameters if each["name"] == "next"]
            if not following:
                return found
            answer = await self.house.ask(who, "GET", f"Patient/$reminders-due?{urlsplit(following[0]).query}")

    async def listed(self) -> set[str]:
        """Everybody in the collection."""
        rows = await self.house.context.store.database.rows(CALL_LIST, [{"$match": {}}])
        return {row["_id"] for row in rows}


@pytest.fixture(scope="module")
async def clinics(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinics]:
    database = EmbeddedDatabase(tmp_path_factory.mktemp("call-list"))
    await database.start()
    try:
        folder = tmp_path_factory.mktemp("call-list-data")
        folder.chmod(0o700)
        app = create_app(Settings.model_validate({"data": folder, "base_url": BASE}), database.uri)
        clock = Clock(0)
        clock.set(MORNING)
        with pytest.MonkeyPatch.context() as patch:
            # Its clock is the machine's: it would make the list of another day.
            patch.setattr(calling, "EVERY_SECONDS", 3_600.0)
            async with app.router.lifespan_context(app):
                context: Context = app.state.context
                app.state.context = replace(context, clock=clock)
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url=BASE + "/") as http:
                    house = House(app, context, http)
                    context.tokens.external = house.find
                    made = Clinics(house, clock, context.store.call_list.turn(600))
                    places = [
                        {"resourceType": "Organization", "id": each, "name": each}
                        for each in ("north", "south", "east")
                    ]
                    phases = [each for each in shipped.resources() if each["resourceType"] == "Group"]
                    await made.write(*places, *phases)
                    for start in range(0, PEOPLE, 100):
                        people = (anybody(number) for number in range(start, start + 100))
                        await made.write(*(each for found in people for each in found))
                    await made.keep_up()
                    yield made
    finally:
        await database.stop()


async def test_the_list_says_what_a_look_at_everybody_says(clinics: Clinics) -> None:
    every: dict[str, dict[str, Resource]] = {}
    for who in (NORTH, SOUTH, EAST, STEWARD):
        of_list = await clinics.told(who, _count="7")
        assert of_list == await clinics.told(who, everybody="true")
        every[who.subject] = of_list
    north, south = (set(every[who.subject]) for who in (NORTH, SOUTH))
    assert len(north - south) > 20 and len(south - north) > 20 and len(north & south) > 2
    assert every[STEWARD.subject].keys() == north | south == await clinics.listed()
    phoned = {id for id in every[STEWARD.subject] if MAIL in anybody(int(id[1:]))[0].get("telecom", ())}
    assert len(phoned) > 2
    occasions = {each["part"][1]["valueCode"] for each in every[STEWARD.subject].values()}
    assert occasions == {"dose-due", "newly-eligible", "dose-overdue"}


async def test_another_clinic_learns_nothing(clinics: Clinics) -> None:
    """No people, no further page that would tell of some, and nothing by another's page link."""
    answer = await clinics.ask(EAST, _count="1")
    assert [each["name"] for each in answer.json()["parameter"]] == ["asOf"]
    [link] = [
        each["valueUrl"]
        for each in (await clinics.ask(NORTH, _count="2")).json()["parameter"]
        if each["name"] == "next"
    ]
    for who in (EAST, SOUTH):
        refused = await clinics.house.ask(who, "GET", f"Patient/$reminders-due?{urlsplit(link).query}")
        assert refused.status_code == 400
        assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "bad-page-token"
    # Nor is a link of the list one for the look at everybody.
    both = await clinics.house.ask(NORTH, "GET", f"Patient/$reminders-due?{urlsplit(link).query}&everybody=true")
    assert both.status_code == 400


AFTERWARDS: dict[str, list[Resource]] = {
    "vaccinated": [dose("vaccinated", "north", DAY)],
    "opted-out": [consent("opted-out", "no-contact")],
    "declined": [consent("declined", "decline-vaccine")],
    "dead": [person("dead", "north", deceasedBoolean=True)],
    "mailed": [person("mailed", "north", telecom=[PHONE, MAIL])],
    "corrected": [{**dose("corrected", "north", "2021-01-15"), "status": "entered-in-error"}],
}


async def test_what_has_happened_since(clinics: Clinics) -> None:
    """Who is no longer to be called is not shown, also before the list is kept up; then they are off it."""
    gone = set(AFTERWARDS)
    await clinics.write(*(each for id in (*gone, "deleted", "same") for each in due(id)))
    await clinics.keep_up()
    assert {*gone, "deleted", "same"} <= (await clinics.told(NORTH)).keys()
    await clinics.write(*(each for resources in AFTERWARDS.values() for each in resources))
    assert (await clinics.house.ask(STEWARD, "DELETE", "Patient/deleted")).status_code in (200, 204)
    shown = await clinics.told(NORTH, _count="5")
    assert not {*gone, "deleted"} & shown.keys() and "same" in shown
    assert {*gone, "deleted"} <= await clinics.listed()
    await clinics.keep_up()
    assert not {*gone, "deleted"} & await clinics.listed()


async def test_who_is_due_since_comes_onto_it(clinics: Clinics) -> None:
    """Registered at the desk, or a dose of before is entered; it is another's dose by a correction."""
    await clinics.write(*due("walked-in"), person("entered", "north"), *due("mistaken"), person("really", "north"))
    assert "walked-in" not in await clinics.told(NORTH)
    await clinics.keep_up()
    assert {"walked-in", "mistaken"} <= (await clinics.told(NORTH)).keys()
    moved = {**dose("mistaken", "north", "2021-01-15"), "patient": reference("Patient", "really")}
    await clinics.write(dose("entered", "north", "2021-01-15"), moved)
    await clinics.keep_up()
    now = await clinics.listed()
    assert {"entered", "really"} <= now and "mistaken" not in now
    assert {"entered", "really"} <= (await clinics.told(NORTH)).keys()


async def test_relationships_begin_and_end(clinics: Clinics) -> None:
    await clinics.write(*due("moving"), *due("silent"), visit("silent"))
    await clinics.keep_up()
    assert "moving" not in await clinics.told(SOUTH) and "silent" in await clinics.told(SOUTH)
    await clinics.write(visit("moving"), consent("silent", "do-not-share"))
    # No keeping up in between: the keys of the list follow those of the Patients.
    south = await clinics.told(SOUTH)
    assert "moving" in south and "silent" not in south
    assert {"moving", "silent"} <= (await clinics.told(NORTH)).keys()


async def test_a_phase_that_opens_during_the_day(clinics: Clinics) -> None:
    """Everybody is looked at again: it may be about anybody."""
    await clinics.write(person("teacher", "north", birthDate="1990-05-05"))
    await clinics.keep_up()
    assert "teacher" not in await clinics.listed()
    # Group 5: everybody from 16 on, in April.
    [group] = [each for each in shipped.resources() if each.get("id") == "nc-2021-01-group-5"]
    [age] = group["characteristic"]
    await clinics.write(group | {"characteristic": [age | {"period": {"start": DAY}}]})
    await clinics.keep_up()
    assert "teacher" in await clinics.told(NORTH)
    await clinics.write(group)
    await clinics.keep_up()
    assert "teacher" not in await clinics.told(NORTH)


async def test_yesterdays_list_is_removed(clinics: Clinics) -> None:
    before = await clinics.listed()
    clinics.clock.set(f"{TOMORROW}T00:00:10-05:00")
    # Until it is made, everybody is looked at.
    names = {each["name"] for each in (await clinics.ask(NORTH, _count="5")).json()["parameter"]}
    assert "asOf" not in names
    await clinics.keep_up()
    after = await clinics.listed()
    assert after and not after & before
    assert await clinics.told(NORTH) == await clinics.told(NORTH, everybody="true")
    standing = await clinics.house.context.store.call_list.standing()
    assert standing is not None and standing.day == date(2021, 2, 6)
