"""https://hl7.org/fhir/R4/patient-operation-everything.html

Somebody who was vaccinated: their doses and the next one, their card in every form, a link to it, who looked at it, a
copy of it, a dose that is wrong, and saying no for a while.
"""

import io
import json
from datetime import date, timedelta

import zxingcpp
from PIL import Image
from playwright.async_api import Download, expect

from tests.portal.stories.reader import Reader
from tests.portal.test_register import as_staff

PASSWORD = "four plain words here"
EIGHT_WEEKS = timedelta(weeks=8)
"""After which the schedule allows another dose to who is 65 or older."""
LONG = " ".join(["Para la escuela"] * 8)


async def test_what_is_mine(reader: Reader) -> None:
    id = await _registered_and_vaccinated(reader)
    await reader.goes("/me")
    await expect(reader.page.locator("#doses")).to_contain_text("EL9261")
    await reader.reads_as_it_is(reader.day(date(2021, 2, 3)))
    await reader.looks("my-page")

    await reader.presses("Show my card")
    await expect(reader.page.locator("svg").first).to_be_visible()
    await reader.looks("card")
    await reader.page.emulate_media(media="print")
    await expect(reader.page.locator("nav")).to_be_hidden()
    await expect(reader.page.locator("svg").first).to_be_visible()
    await reader.keeps("card-printed")
    await reader.page.emulate_media(media="screen")
    file = await _saved(reader, "Save for a wallet app")
    assert file.suggested_filename.endswith(".smart-health-card")
    [card] = json.loads((await file.path()).read_text())["verifiableCredential"]
    address = reader.page.url
    picture = await reader.page.request.get(f"{address}.png")
    pdf = await reader.page.request.get(f"{address}.pdf")
    assert (pdf.headers["content-type"], (await pdf.body())[:5]) == ("application/pdf", b"%PDF-")
    seen = zxingcpp.read_barcode(Image.open(io.BytesIO(await picture.body())))
    assert seen is not None and seen.text.startswith("shc:/")
    # Anybody may check it: here they paste what the file holds.
    async with reader.beside() as stranger:
        await stranger.goes("/verify")
        await stranger.page.fill("#text", card)
        await stranger.presses("Check")
        await stranger.reads("This card is valid")

    await reader.goes("/me")
    await reader.follows("Share my record")
    await reader.looks("share")
    await reader.page.locator("#label").evaluate("field => field.removeAttribute('maxlength')")
    await reader.types("What it is for", LONG)
    await reader.presses("Make a link")
    await reader.is_told_at("label")
    await reader.looks("share-wrong")
    await expect(reader.field("What it is for")).to_have_value(LONG)
    await reader.types("What it is for", "Para la escuela")
    await reader.presses("Make a link")
    await expect(reader.page.locator("#link")).to_contain_text("shlink:/")
    await reader.looks("link-made")
    await reader.presses("End this link")
    await expect(reader.page.locator(".link")).to_have_count(0)
    await reader.follows("Back")

    await reader.follows("Who looked at my record")
    await reader.reads("a registry or another system")
    await reader.looks("log")
    await reader.follows("Show it, too")
    await reader.reads("yourself, or who acts for you")
    await reader.follows("Back")

    copy = await _saved(reader, "A copy of all my data (a file in FHIR's JSON)")
    bundle = json.loads((await copy.path()).read_text())
    assert {f"Patient/{id}"} <= {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle["entry"]
    }

    await reader.page.get_by_role("link", name=reader.words("This dose is wrong")).first.click()
    await reader.looks("dispute")
    await reader.presses("Send", unchecked=True)
    await reader.is_told_at("reason")
    await reader.looks("dispute-wrong")
    await reader.types("What is wrong?", "Ese día no estuve allí.")
    await reader.presses("Send")
    await reader.reads("We have told those who can correct it. The dose stays as it is until they have looked at it.")
    await reader.looks("disputed")
    await reader.follows("Back")

    await reader.presses("I do not want the vaccine")
    await expect(reader.page.locator("#eligibility")).to_have_attribute("data-status", "opted-out")
    await reader.keeps("opted-out")
    await reader.presses("I want the vaccine again")
    await expect(reader.page.locator("#eligibility")).not_to_have_attribute("data-status", "opted-out")
    await reader.presses("Do not write to me")
    await expect(reader.button("You may write to me again")).to_be_visible()
    await reader.presses("You may write to me again")


async def test_the_day_of_the_next_dose(reader: Reader) -> None:
    """Of somebody who had the first one a week ago."""
    given = date.today() - timedelta(days=7)
    await _registered_and_vaccinated(reader, given, cvx="309")
    await reader.goes("/me")
    await reader.reads("You can get the next dose from %(day)s on.", day=reader.day(given + EIGHT_WEEKS))
    await reader.looks("next-dose")


async def _registered_and_vaccinated(reader: Reader, day: date = date(2021, 2, 3), cvx: str = "208") -> str:
    """The id of somebody who has registered in this browser, and had a dose at Mercy on that day."""
    await reader.goes("/register")
    for label, text in (
        *(("First name", "Elena"), ("Last name", "Vacunada"), ("Date of birth", "1948-05-06")),
        *(("A name to sign in with", "elena"), ("Password", PASSWORD)),
    ):
        await reader.types(label, text)
    await reader.presses("Register")
    await reader.follows("Go on")
    id = await reader.page.locator("input[name=person]").get_attribute("value")
    assert id is not None
    await reader.presses("Save")
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": cvx}]},
        "patient": {"reference": f"Patient/{id}"},
        "occurrenceDateTime": day.isoformat(),
        "primarySource": True,
        "lotNumber": "EL9261",
        "performer": [{"actor": {"reference": "Organization/demo-mercy", "display": "Mercy Hospital"}}],
    }
    assert (await as_staff(reader.town, "Immunization", dose)).status_code == 201
    return id


async def _saved(reader: Reader, sentence: str) -> Download:
    async with reader.page.expect_download() as waiting:
        await reader.follows(sentence)
    return await waiting.value
