"""https://www.w3.org/TR/WCAG22/

The camera of a phone and of a desk sees a card.
"""

import io
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from smart_health_cards import png
from tests.portal.places import DESK, PHONE


async def opened(browser: Browser, origin: str, size: dict[str, int], language: str, scripts: bool = True) -> Page:
    """The form, in a browser that has nothing of this server yet; whatever its console says fails the test."""
    context = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale=language,
        permissions=["camera"],
        java_script_enabled=scripts,
    )
    page = await context.new_page()

    def complain(what: object) -> None:
        raise AssertionError(str(what))

    page.on("console", lambda message: complain(message.text))
    page.on("pageerror", complain)
    await page.goto(f"{origin}/verify")
    return page


@pytest.mark.parametrize(("size", "language", "said"), [(PHONE, "es", "Esta tarjeta es válida"), (DESK, "en", "valid")])
async def test_the_camera_sees_a_card(
    browser: tuple[Browser, Path], pages: httpx.AsyncClient, card: str, size: dict[str, int], language: str, said: str
) -> None:
    program, seen = browser
    scene = Image.new("RGB", (1280, 960), "#445")
    code = Image.open(io.BytesIO(png(card))).convert("RGB").resize((760, 760))
    scene.paste(code, (260, 100))
    scene.save(seen, "JPEG", quality=90)
    page = await opened(program, str(pages.base_url).rstrip("/"), size, language)
    await page.click("#scan-start")
    await expect(page.locator("h1")).to_contain_text(said, timeout=15_000)
    await expect(page.locator(".verdict.valid")).to_be_visible()
    await page.context.close()
