"""https://hl7.org/fhir/R4/questionnaire.html

Somebody without a name asks whether it is their turn, in the language they choose, and goes on to register.
"""

from datetime import date, timedelta

from playwright.async_api import expect

from tests.portal.stories.reader import Reader

SIXTEEN = date.today() + timedelta(days=100)


async def test_without_a_name(reader: Reader) -> None:
    await reader.goes("/")
    await reader.follows("Is it my turn?")
    await reader.looks("questions")
    await reader.page.fill("#county", "Wake")
    await reader.presses("Find out", unchecked=True)
    await reader.is_told_at("birth-date")
    await reader.keeps("wrong")
    await expect(reader.page.locator("#county")).to_have_value("Wake")
    await reader.page.fill("#birth-date", SIXTEEN.replace(year=SIXTEEN.year - 16).isoformat())
    await reader.chooses("occupation", "student")
    await reader.chooses("residence", "household")
    await reader.presses("Find out")
    await expect(reader.page.locator("#eligibility")).to_have_attribute("data-status", "not-yet")
    await reader.reads("Your turn begins on %(day)s.", day=reader.day(SIXTEEN))
    await reader.looks("not-yet")
    await reader.page.fill("#birth-date", "1980-02-03")
    await reader.chooses("occupation", "health-care")
    await reader.chooses("patient-contact", "true")
    await reader.presses("Ask again")
    await expect(reader.page.locator("#eligibility")).to_have_attribute("data-status", "eligible")
    await reader.looks("eligible")
    await reader.follows("Register")
    await expect(reader.page.locator("#register")).to_be_visible()


async def test_the_language_is_chosen_and_stays(reader: Reader) -> None:
    other = {"es": "English", "en": "español"}[reader.language]
    await reader.goes("/eligible")
    await reader.page.get_by_role("link", name=other, exact=True).click()
    await expect(reader.page.locator("html")).not_to_have_attribute("lang", reader.language)
    await reader.goes("/register")
    await expect(reader.page.locator("html")).not_to_have_attribute("lang", reader.language)
