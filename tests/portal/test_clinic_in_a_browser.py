"""https://www.w3.org/TR/WCAG22/

At the chair with a camera, which reads the code of a vial.
"""

from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.portal.conftest import Town
from tests.portal.places import PHONE
from tests.portal.test_clinic import MOST_INTERACTIONS, code_of


async def opened(browser: Browser, town: Town, language: str) -> Page:
    """A browser in which the nurse has signed in; whatever its console says fails the test."""
    async with town.visitor("ortiz", language) as http:
        cookies = [{"name": each.name, "value": each.value or "", "url": town.origin} for each in http.cookies.jar]
    context = await browser.new_context(
        viewport={"width": PHONE["width"], "height": PHONE["height"]}, locale=language, permissions=["camera"]
    )
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # its own TypedDict of the same members
    return await context.new_page()


@pytest.mark.parametrize("language", ["en"])
async def test_the_camera_sees_a_vial(browser: tuple[Browser, Path], town: Town, language: str) -> None:
    """With the code of its package, a dose takes no more interactions than with a lot that was set."""
    program, seen = browser
    barcode = zxingcpp.create_barcode(code_of("VIAL-7"), zxingcpp.BarcodeFormat.DataMatrix)
    code = Image.fromarray(barcode.to_image(scale=12)).convert("RGB")
    scene = Image.new("RGB", (1280, 960), "#889")
    scene.paste(code, ((1280 - code.width) // 2, (960 - code.height) // 2))
    scene.save(seen, "JPEG", quality=90)
    page = await opened(program, town, language)
    await page.goto(f"{town.origin}/clinic/people")
    for field, typed in (("given", "Vera"), ("family", "Vial"), ("birth", "1951-02-03")):
        await page.fill(f"#{field}", typed)
    await page.click("#register button[type=submit]")
    interactions = 0
    for target in (
        "a[href$='/dose']",
        "#allergies input[value=none]",
        "#health input[value=none]",
        "#elsewhere input[value=false]",
        "#scan-start",
        "#site input[value=LD]",
    ):
        await page.click(target)
        interactions += 1
    await expect(page.locator("#scan-state")).to_contain_text("lot VIAL-7, good until", timeout=15_000)
    await expect(page.locator("#scan-state")).to_contain_text("COVID-19")
    await page.click("#dose button[type=submit]")
    interactions += 1
    if await page.locator("#doubts").count():
        await page.click("#doubts button[value=save]")
        interactions += 1
    assert interactions <= MOST_INTERACTIONS
    await expect(page.locator("#dose")).to_contain_text("VIAL-7")
    await page.context.close()
