"""https://hl7.org/fhir/R4/immunization.html

A day at the chair: the lots are set, somebody is found, somebody is registered who is nearly somebody else, is asked,
vaccinated once however often the button is pressed, and corrected; and those who are due are called.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from tests.portal.stories.reader import Reader
from tests.portal.test_clinic import MOST_INTERACTIONS, SPIKEVAX_FOR_CHILDREN, code_of
from tests.portal.test_register import as_staff

TODAY = datetime.now(ZoneInfo("America/New_York")).date()
SOON = TODAY + timedelta(days=60)
FAMILIES = {("es", 360): "Quintana", ("es", 1280): "Oyarzábal", ("en", 360): "Underwood", ("en", 1280): "Blackwell"}
"""Whom each of those who walk through the story registers; they are not to be taken for each other."""


@pytest.fixture
async def nurse(reader: Reader) -> Reader:
    """Somebody who has a browser at a chair of their own, with nothing in its refrigerator yet."""
    place = {
        "resourceType": "Location",
        "status": "active",
        "name": f"Room {reader.language}-{reader.size['width']}",
        "managingOrganization": {"reference": "Organization/demo-mercy"},
    }
    made = await as_staff(reader.town, "Location", place)
    reader.learned["place"] = made.json()["name"]
    return reader


async def test_a_day_at_the_chair(nurse: Reader) -> None:
    async with nurse.beside("ortiz") as reader:
        await _opens_the_place(reader, nurse.learned["place"])
        await _finds_somebody(reader)
        person = await _registers(reader)
        await _records(reader)
        await _is_warned(reader, person)
        await _corrects(reader)
        await _asks_others(reader)
        await _calls(reader)
        await reader.goes("/clinic/lots")
        for lot in ("CHAIR-1", "CHAIR-2"):
            await reader.presses("Remove lot %(number)s", number=lot)
        await reader.reads("No lots are set for today.")


async def _opens_the_place(reader: Reader, place: str) -> None:
    await reader.goes("/clinic")
    await reader.looks("clinic")
    await reader.follows("Lots of the day")
    await reader.page.select_option("#place", label=place)
    await reader.page.locator("#stand button").click()
    await reader.reads("No lots are set for today.")
    await reader.keeps("lots-none")
    await reader.presses("Add")
    await reader.is_told_at("code")
    await reader.page.fill("#code", "not a code at all")
    await reader.presses("Add")
    await reader.is_told_at("code")
    await expect(reader.page.locator("#code")).to_have_value("not a code at all")
    await reader.page.fill("#code", "00069-2528-01")
    await reader.presses("Add")
    await reader.is_told_at("number", "expires")
    await reader.looks("lots-wrong")
    await reader.page.fill("#number", "CHAIR-1")
    await reader.page.fill("#expires", SOON.isoformat())
    await reader.presses("Add")
    await reader.page.fill("#code", code_of("CHAIR-2"))
    await reader.presses("Add")
    await reader.reads_as_it_is("CHAIR-1", "CHAIR-2")
    await reader.looks("lots")
    await reader.page.set_input_files(
        "#picture", {"name": "cat.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n"}
    )
    await reader.presses("Read")
    await reader.is_told_at("picture")
    await reader.follows("At the chair")


async def _finds_somebody(reader: Reader) -> None:
    await reader.presses("Find")
    await reader.is_told_at("family")
    await reader.keeps("find-nothing")
    await reader.types("Family name", "Whitfeld")
    await reader.types("Given name", "Ruth")
    await reader.types("Date of birth", "1950-02-06")
    await reader.presses("Find")
    await reader.reads("Nobody was found", "May be the same person")
    await reader.looks("nearly")
    await reader.types("Family name", "whitfield")
    await reader.types("Date of birth", "")
    await reader.presses("Find")
    await reader.keeps("found")
    await reader.page.locator("#found a[href$='/demo-ruth']").click()
    await expect(reader.page.locator("h1")).to_have_text("Ruth Whitfield")
    await reader.looks("person-complete")
    await reader.follows("Another person")


async def _registers(reader: Reader) -> str:
    """The address of somebody new, who is taken for somebody else at first."""
    family = FAMILIES[reader.language, reader.size["width"]]
    month = 1 + list(FAMILIES.values()).index(family)
    name = {"family": family, "given": ["Inés"]}
    twin = {"resourceType": "Patient", "name": [name], "birthDate": f"1949-{month:02}-09"}
    organization = {"managingOrganization": {"reference": "Organization/demo-mercy"}}
    assert (await as_staff(reader.town, "Patient", {**twin, **organization})).status_code == 201
    await reader.types("Family name", family)
    await reader.types("Given name", "Inés")
    await reader.types("Date of birth", f"1949-{month:02}-08")
    await reader.presses("Find")
    await reader.presses("Register somebody new")
    await expect(reader.page.locator("#family")).to_have_value(family)
    await reader.looks("register")
    await reader.page.fill("#given", "")
    await reader.page.fill("#phone", "12")
    await reader.page.fill("#email", "ines@")
    await reader.presses("Register this person", unchecked=True)
    await reader.is_told_at("given", "phone", "email")
    await reader.looks("register-wrong")
    await expect(reader.page.locator("#email")).to_have_value("ines@")
    await reader.page.fill("#given", "Inés")
    await reader.page.fill("#phone", "919-555-0177")
    await reader.page.fill("#email", "")
    await reader.presses("Register this person")
    await reader.reads("Is it one of these?")
    await reader.looks("register-alike")
    await reader.button("None of these: register").dblclick()
    await expect(reader.page.locator("h1")).to_have_text(f"Inés {family}")
    await reader.keeps("person-new")
    return reader.page.url


async def _records(reader: Reader) -> None:
    """A dose, in no more steps than a queue allows; pressed twice."""
    reader.interactions = 0
    await reader.follows("Record a dose")
    await reader.looks("dose")
    await reader.chooses("allergies", "none")
    await reader.chooses("health", "none")
    await reader.chooses("elsewhere", "false")
    await reader.page.locator("#lot input[value$='CHAIR-2']").check()
    await reader.chooses("site", "LD")
    reader.interactions += 2
    await reader.button("Save").dblclick()
    if await reader.page.locator("#doubts").count():
        reader.interactions += 1
        await reader.button("I have looked at it: save").dblclick()
    assert reader.interactions <= MOST_INTERACTIONS
    await expect(reader.page.locator("#observation")).to_have_attribute("data-minutes", "15")
    await expect(reader.page.locator("#dose")).to_contain_text("CHAIR-2")
    await reader.looks("given")
    await reader.presses("Print the card")
    await expect(reader.page.locator("svg").first).to_be_visible()
    await reader.keeps("card")
    await reader.page.go_back()
    await reader.follows("Another person")
    await expect(reader.page.locator("#watched")).to_contain_text("Inés")
    await reader.keeps("watched")


async def _is_warned(reader: Reader, person: str) -> None:
    """A product for children, at the day of another dose, to who is allergic to it: told before anything is stored."""
    await reader.page.goto(person)
    await expect(reader.page.locator("#doses .doses li")).to_have_count(1)
    await reader.follows("Record a dose")
    await reader.presses("Save")
    await reader.is_told_at("allergies", "health", "elsewhere", "site")
    await reader.looks("dose-wrong")
    for name, value in (("allergies", "peg"), ("health", "ill"), ("elsewhere", "true"), ("site", "RD")):
        await reader.chooses(name, value)
    if not await reader.page.locator("#code").is_visible():
        await reader.page.locator("summary").click()
    await reader.page.fill("#code", SPIKEVAX_FOR_CHILDREN)
    await reader.page.fill("#number", "NIÑOS-1")
    await reader.page.fill("#expires", SOON.isoformat())
    await reader.presses("Save")
    await expect(reader.page.locator(".doubts")).to_contain_text(
        {"es": "no está indicada para la edad", "en": "not meant for the age"}[reader.language]
    )
    await reader.reads(
        "Nothing has been saved yet. Please look at this:",
        "Allergic to polyethylene glycol: mRNA vaccines contain it. Consider a product without it.",
    )
    await reader.looks("doubts")
    await reader.presses("Change something")
    assert await reader.page.input_value("#number") == "NIÑOS-1"
    assert await reader.page.is_checked("#health input[value=ill]")
    await reader.keeps("dose-changed")
    await reader.presses("Save")
    await reader.follows("Give no dose")
    await expect(reader.page.locator("#doses .doses li")).to_have_count(1)


async def _corrects(reader: Reader) -> None:
    await reader.page.locator("#doses .doses a").click()
    await reader.follows("Correct or take back")
    await reader.looks("correct")
    await reader.presses("Take back")
    await reader.is_told_at("sure")
    await reader.looks("take-back-wrong")
    await reader.page.fill("#day", (TODAY + timedelta(days=3)).isoformat())
    await reader.presses("Save")
    await reader.is_told_at("day")
    await reader.page.fill("#day", TODAY.isoformat())
    await reader.chooses("site", "RD")
    await reader.presses("Save")
    if await reader.page.locator("#doubts").count():
        await reader.presses("I have looked at it: save")
    await reader.reads("Right upper arm (deltoid)")
    await reader.follows("Correct or take back")
    await reader.ticks("This dose was not given to this person.")
    await reader.presses("Take back")
    await expect(reader.page.locator("#dose")).to_have_attribute("data-status", "entered-in-error")
    await reader.keeps("taken-back")


async def _asks_others(reader: Reader) -> None:
    """Who has recorded a dose corrects it; others are asked to."""
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "309"}]},
        "patient": {"reference": "Patient/demo-carlos"},
        "occurrenceDateTime": date(2025, 10, 1).isoformat(),
        "primarySource": True,
        "lotNumber": "THEIRS",
    }
    made = await as_staff(reader.town, "Immunization", dose)
    await reader.goes(f"/clinic/people/demo-carlos/doses/{made.json()['id']}")
    await reader.follows("Correct or take back")
    await reader.ticks("This dose was not given to this person.")
    await reader.presses("Take back")
    await reader.looks("ask")
    await reader.presses("Send")
    await reader.is_told_at("text")
    await reader.types("What is wrong", "Fue otra persona.")
    await reader.button("Send").dblclick()
    await reader.reads("Your request has been sent")
    await reader.keeps("asked")
    found = (await as_staff(reader.town, f"Task?focus=Immunization/{made.json()['id']}")).json()
    assert len(found["entry"]) == 1


async def _calls(reader: Reader) -> None:
    await reader.goes("/clinic")
    await reader.follows("People to call")
    await reader.keeps("due")
    await reader.page.fill("#day", "2021-01-14")
    await reader.presses("Show")
    await reader.reads("Can be vaccinated from today on")
    await reader.looks("due-some")
