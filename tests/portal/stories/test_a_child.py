"""https://hl7.org/fhir/R4/relatedperson.html

A mother registers a child, opens the record of another with a code from the chair, and gives it up again.
"""

from datetime import date, timedelta

from playwright.async_api import expect

from tests.portal.stories.reader import Reader
from tests.portal.test_register import as_staff

PASSWORD = "four plain words here"
SIXTEEN = date.today() + timedelta(days=100)
"""When the elder one is 16, and can be vaccinated by the plan in force."""
SMALL = date(date.today().year - 9, 3, 4).isoformat()


async def test_a_mother_and_two_children(reader: Reader) -> None:
    organization = {"managingOrganization": {"reference": "Organization/demo-mercy"}}
    kid = {"resourceType": "Patient", "name": [{"family": "Menor", "given": ["Nico"]}], "birthDate": SMALL}
    id = (await as_staff(reader.town, "Patient", {**kid, **organization})).json()["id"]
    async with reader.beside("ortiz") as nurse:
        await nurse.goes(f"/clinic/people/{id}")
        await nurse.looks("child-at-the-chair")
        await nurse.presses("I have seen the papers: give a code")
        await nurse.keeps("code-for-a-guardian")
        code = await nurse.page.locator(".code").inner_text()

    await reader.goes("/register")
    for label, text in (
        *(("First name", "Carmen"), ("Last name", "Madre"), ("Date of birth", "1985-02-03")),
        *(("A name to sign in with", "carmen"), ("Password", PASSWORD)),
    ):
        await reader.types(label, text)
    await reader.presses("Register")
    await reader.follows("Go on")
    await reader.presses("Save")

    await reader.follows("People I act for")
    await reader.keeps("people-none")
    child = reader.page.locator("#child-form")
    await child.locator("#given").fill("Sofía")
    await child.locator("#birth-date").fill("1980-01-01")
    await reader.presses("Register the child", unchecked=True)
    await reader.is_told_at("family")
    await reader.looks("child-wrong")
    await child.locator("#family").fill("Menor")
    await reader.presses("Register the child")
    await reader.is_told_at("birth-date")
    await reader.reads("Only children under 18 can be registered here. Adults register themselves.")
    await expect(child.locator("#given")).to_have_value("Sofía")
    await child.locator("#birth-date").fill(SIXTEEN.replace(year=SIXTEEN.year - 16).isoformat())
    await reader.presses("Register the child")
    await expect(reader.page.locator("h1")).to_have_text("Sofía Menor")
    await expect(reader.page.locator("#acting-for")).to_be_visible()
    await reader.follows("My answers")
    await reader.chooses("occupation", "student")
    await reader.chooses("residence", "household")
    await reader.keeps("answers-of-a-child")
    await reader.presses("Save")
    await expect(reader.page.locator("#eligibility")).to_have_attribute("data-status", "not-yet")
    await reader.reads("Your turn begins on %(day)s.", day=reader.day(SIXTEEN))
    await reader.looks("not-yet")
    await reader.follows("Carmen Madre")
    await expect(reader.page.locator("h1")).to_have_text("Carmen Madre")

    await reader.follows("People I act for")
    await reader.types("Code", code)
    await reader.page.fill("#born", "2001-01-01")
    await reader.presses("Open the record")
    await reader.is_told_at("code")
    await reader.keeps("code-wrong")
    await expect(reader.page.locator("#born")).to_have_value("2001-01-01")
    await reader.page.fill("#born", SMALL)
    await reader.presses("Open the record")
    await expect(reader.page.locator("h1")).to_have_text("Nico Menor")
    await reader.keeps("nico")
    await reader.follows("People I act for")
    await reader.looks("people-two")
    await reader.presses("Act for %(name)s no longer", name="Nico Menor")
    await expect(reader.page.locator("#acting")).not_to_contain_text("Nico Menor")
    await expect(reader.page.locator("#acting")).to_contain_text("Sofía Menor")
