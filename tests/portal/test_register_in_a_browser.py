"""https://www.w3.org/TR/WCAG22/

On a phone, in Spanish, without scripts: from the front page to the account, the questions, and the card.
"""

import os
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.portal.conftest import Town
from tests.portal.test_register import as_staff
from tests.portal.test_verify_in_a_browser import PHONE

CVX = "http://hl7.org/fhir/sid/cvx"
PICTURES = os.environ.get("PORTAL_PICTURES", "")
"""A folder to leave pictures of the pages in."""


async def picture(page: Page, name: str) -> None:
    # Nothing is wider than the phone.
    assert await page.locator("html").evaluate("page => page.scrollWidth") <= PHONE["width"], name
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


async def test_from_the_front_page_to_the_card(browser: tuple[Browser, Path], town: Town) -> None:
    viewport: ViewportSize = {"width": PHONE["width"], "height": PHONE["height"]}
    context = await browser[0].new_context(viewport=viewport, locale="es-MX", java_script_enabled=False)
    page = await context.new_page()
    await page.goto(town.origin)
    await page.get_by_role("link", name="Registrarse").click()
    await page.get_by_label("Nombre", exact=True).fill("Lucía")
    await page.get_by_label("Apellido").fill("Del Teléfono")
    await page.get_by_label("Fecha de nacimiento").fill("1944-05-06")
    await page.get_by_label("Un nombre para entrar").fill("lucia")
    await page.get_by_label("Contraseña").fill("cuatro palabras muy sencillas")
    await picture(page, "register")
    await page.get_by_role("button", name="Registrarse").click()
    await expect(page.locator("#login-name")).to_contain_text("lucia-")
    await picture(page, "registered")
    await page.get_by_role("link", name="Continuar").click()
    await expect(page.get_by_label("¿Cuál es su fecha de nacimiento?")).to_have_value("1944-05-06")
    await page.get_by_role("button", name="Guardar").click()
    await expect(page.locator("h1")).to_have_text("Lucía Del Teléfono")
    patient = page.url.partition("person=")[2]
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": CVX, "code": "208"}]},
        "patient": {"reference": f"Patient/{patient}"},
        "occurrenceDateTime": "2021-02-03",
        "primarySource": True,
        "lotNumber": "EL9261",
    }
    assert (await as_staff(town, "Immunization", dose)).status_code == 201
    await page.reload()
    await expect(page.locator("#doses")).to_contain_text("3 de febrero de 2021")
    await picture(page, "me")
    for path in ("contact", "share", "log", "password"):
        await page.goto(f"{town.origin}/me/{path}")
        await picture(page, path)
    await page.goto(f"{town.origin}/me")
    await page.get_by_role("button", name="Mostrar mi tarjeta").click()
    await expect(page.locator("svg").first).to_be_visible()
    await picture(page, "card")
    await context.close()
