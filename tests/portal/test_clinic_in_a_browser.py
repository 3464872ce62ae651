"""https://www.w3.org/TR/WCAG22/

The whole story at the chair in a real browser: a phone, in Spanish, without scripts.
"""

from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.portal.conftest import Town
from tests.portal.test_clinic import MOST_INTERACTIONS, SPIKEVAX_FOR_CHILDREN, code_of
from tests.portal.test_verify_in_a_browser import PHONE


async def opened(browser: Browser, town: Town, language: str, *, scripts: bool = False) -> Page:
    """A browser in which the nurse has signed in; whatever its console says fails the test."""
    async with town.visitor("ortiz", language) as http:
        cookies = [{"name": each.name, "value": each.value or "", "url": town.origin} for each in http.cookies.jar]
    context = await browser.new_context(
        viewport={"width": PHONE["width"], "height": PHONE["height"]}, locale=language, java_script_enabled=scripts
    )
    if scripts:
        await context.grant_permissions(["camera"])
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # its own TypedDict of the same members
    return await context.new_page()


async def looked_at(page: Page, folder: Path, name: str) -> None:
    """The page is no wider than the phone; of those that matter most a picture is left."""
    if name in ("dose", "doubts", "given"):
        await page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert await page.locator("html").evaluate("page => page.scrollWidth") <= PHONE["width"], name


@pytest.mark.parametrize("language", ["es"])
async def test_the_story_at_the_chair(browser: tuple[Browser, Path], town: Town, tmp_path: Path, language: str) -> None:
    page = await opened(browser[0], town, language)
    await page.goto(f"{town.origin}/clinic/lots")
    for code in (code_of("CHAIR-1"), code_of("CHAIR-2")):
        await page.fill("#code", code)
        await page.click("#add button")
    await expect(page.locator("#today")).to_contain_text("CHAIR-2")
    await looked_at(page, tmp_path, "lots")
    await page.goto(f"{town.origin}/clinic")
    await page.fill("#family", "Montañés")
    await page.fill("#given", "Inés")
    await page.fill("#birth", "1949-08-07")
    await page.click("#find button")
    await looked_at(page, tmp_path, "find")
    await page.click("#new button")
    await page.fill("#phone", "919-555-0177")
    await looked_at(page, tmp_path, "register")
    await page.click("#register button[type=submit]")
    await expect(page.locator("h1")).to_contain_text("Inés Montañés")
    await looked_at(page, tmp_path, "person")

    interactions = 0
    for target in (
        "a[href$='/dose']",
        "#allergies input[value=none]",
        "#health input[value=none]",
        "#elsewhere input[value=false]",
        "#lot input[value$='CHAIR-2']",
        "#site input[value=LD]",
    ):
        await page.click(target)
        interactions += 1
    await looked_at(page, tmp_path, "dose")
    await page.click("#dose button[type=submit]")
    interactions += 1
    if await page.locator("#doubts").count():
        await looked_at(page, tmp_path, "doubts")
        await page.click("#doubts button[value=save]")
        interactions += 1
    assert interactions <= MOST_INTERACTIONS
    await expect(page.locator("#observation")).to_contain_text("En observación hasta las")
    await expect(page.locator("#dose")).to_contain_text("CHAIR-2")
    await looked_at(page, tmp_path, "given")
    given = page.url
    await page.click("#card button")
    await expect(page.locator("body")).to_contain_text("Inés Montañés")

    # A dose for a child, on the same day: told before anything is stored.
    await page.goto(given.partition("/doses/")[0] + "/dose")
    await page.click("#allergies input[value=peg]")
    await page.click("#health input[value=ill]")
    await page.click("#elsewhere input[value=true]")
    await page.click("summary")
    await page.fill("#code", SPIKEVAX_FOR_CHILDREN)
    await page.fill("#number", "NIÑOS-1")
    await page.fill("#expires", "2030-01-31")
    await page.click("#site input[value=RD]")
    await page.click("#dose button[type=submit]")
    await expect(page.locator(".doubts")).to_contain_text("no está indicada para la edad")
    await expect(page.locator(".doubts")).to_contain_text("Alergia al polietilenglicol")
    await looked_at(page, tmp_path, "doubts")
    await page.click("#doubts button[value=change]")
    assert await page.input_value("#number") == "NIÑOS-1"
    assert await page.is_checked("#health input[value=ill]")
    await page.click("#health input[value=none]")
    await page.click("#dose button[type=submit]")
    await expect(page.locator("#health-problem")).to_be_visible()
    await looked_at(page, tmp_path, "wrong")
    await page.context.close()


@pytest.mark.parametrize("language", ["en"])
async def test_the_camera_sees_a_vial(browser: tuple[Browser, Path], town: Town, language: str) -> None:
    """With the code of its package, a dose takes no more interactions than with a lot that was set."""
    program, seen = browser
    barcode = zxingcpp.create_barcode(code_of("VIAL-7"), zxingcpp.BarcodeFormat.DataMatrix)
    code = Image.fromarray(barcode.to_image(scale=12)).convert("RGB")
    scene = Image.new("RGB", (1280, 960), "#889")
    scene.paste(code, ((1280 - code.width) // 2, (960 - code.height) // 2))
    scene.save(seen, "JPEG", quality=90)
    page = await opened(program, town, language, scripts=True)
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
