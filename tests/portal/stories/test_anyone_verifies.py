"""https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier

Somebody at a door is shown a card: pasted, as a picture, as none at all; and is told in plain words what it is worth.
"""

from playwright.async_api import expect

from smart_health_cards import png
from tests.portal.stories.reader import Reader


async def test_at_the_door(reader: Reader) -> None:
    card = reader.town.teller.learned["jws"]
    await reader.goes("/")
    await reader.follows("Check a card")
    # Where no script may run nothing offers a camera.
    await expect(reader.page.locator("#scan-start")).to_be_visible(visible=reader.scripts)
    await reader.looks("verify")
    await reader.presses("Check")
    await reader.is_told_at("text")
    await reader.looks("nothing")
    await reader.types("Or the text of the card", card)
    await reader.presses("Check")
    await reader.reads("This card is valid")
    await expect(reader.page.locator(".verdict.valid")).to_contain_text("Ruth Whitfield")
    await reader.looks("valid")
    await reader.follows("Check another card")
    await reader.types("Or the text of the card", card[:-4] + "AAAA")
    await reader.presses("Check")
    await reader.reads("Do not rely on this card", "Its signature is wrong: it was changed, or somebody else made it.")
    await reader.looks("changed")
    await reader.follows("Check another card")
    await reader.types("Or the text of the card", "Hola, soy una tarjeta")
    await reader.presses("Check")
    await reader.reads("It cannot be read as a health card: it is damaged, incomplete, or something else.")
    await reader.keeps("something-else")
    for name, content, said in (
        ("card.png", png(card), "This card is valid"),
        ("cat.jpg", b"\xff\xd8\xff\xe0cat", "The picture cannot be read. Please take a PNG or JPEG."),
    ):
        await reader.follows("Check another card")
        picture = {"name": name, "mimeType": "image/jpeg", "buffer": content}
        await reader.page.set_input_files("#picture", picture)  # type: ignore[arg-type]  # its own TypedDict
        await reader.presses("Check")
        await reader.reads(said)
