"""https://www.w3.org/TR/WCAG22/

axe-core looks at every page for people, as it is and after a form was sent empty; what it cannot see is measured: no
scrolling sideways at 320 pixels, targets of 24 pixels, a visible focus.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.portal.conftest import Town
from tests.portal.test_verify_in_a_browser import DESK, PHONE

AXE = Path(__file__).with_name("npm") / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("PORTAL_PICTURES", "")
"""A folder to leave pictures of the pages in."""
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

NOBODY, RECIPIENT, PROVIDER = "", "ruth", "ortiz"
PERSON = "/clinic/people/demo-ruth"
PAGES = (
    *((NOBODY, page) for page in ("/", "/register", "/register/invitation", "/verify", "/eligible", "/portal/login")),
    *((NOBODY, page) for page in ("/account/password", "/oauth/authorize", "/me/none")),
    *((RECIPIENT, f"/me{page}") for page in ("", "/answers", "/contact", "/share", "/log", "/password", "/people")),
    (RECIPIENT, "/me/dispute?dose={dose}"),
    *((PROVIDER, f"/clinic{page}") for page in ("", "/people", "/lots", "/due")),
    *((PROVIDER, f"{PERSON}{page}") for page in ("", "/dose")),
    *((PROVIDER, f"{PERSON}/doses/{{dose}}{page}") for page in ("", "/correct", "/ask")),
    (PROVIDER, "/account/recovery"),
)
ANY = "main form[method=post]:not([action*=logout])"
SENT = {
    **dict.fromkeys(("/register", "/register/invitation", "/verify", "/eligible", "/account/password"), ANY),
    **dict.fromkeys(("/me/contact", "/me/people", "/me/password", "/me/dispute?dose={dose}", "/clinic"), ANY),
    **dict.fromkeys(("/clinic/people", "/clinic/lots", f"{PERSON}/dose", f"{PERSON}/doses/{{dose}}/correct"), ANY),
    "/me": "form[action*='/card']",
    PERSON: "form[action$='/card']",
}
"""Forms that are sent as they are, by the page they stand on; the page that answers is looked at, too."""

SMALL_TARGETS = """() => [...document.querySelectorAll('a, button, input, select, summary, textarea')]
    .filter(each => each.offsetParent !== null && !['hidden', 'file'].includes(each.type))
    .filter(each => !(each.tagName === 'A' && getComputedStyle(each).display === 'inline'))
    .map(each => (each.closest('label') || each))
    .map(each => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
    .filter(([, box]) => box.width > 1 && (box.width < 24 || box.height < 24)).map(([text]) => text)"""
UNSEEN_FOCUS = """() => [...document.querySelectorAll('main a, main button, main input, main select, main textarea')]
    .filter(each => each.checkVisibility() && each.type !== 'hidden' && !each.disabled)
    .filter(each => { each.focus({focusVisible: true}); const style = getComputedStyle(each);
        return style.outlineStyle === 'none' && style.boxShadow === 'none'; })
    .map(each => each.outerHTML.slice(0, 120))"""


@asynccontextmanager
async def visiting(
    browser: Browser, town: Town, login: str, size: dict[str, int], language: str
) -> AsyncIterator[Page]:
    """A page in a browser in which this person has signed in."""
    async with town.visitor(login, language) as http:
        cookies = [{"name": each.name, "value": each.value or "", "url": town.origin} for each in http.cookies.jar]
    context = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale=language,
        # axe is no part of the page, whose policy forbids every script but its own.
        bypass_csp=True,
    )
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # its own TypedDict of the same members
    yield await context.new_page()
    await context.close()


async def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is, a line for each element."""
    await page.add_script_tag(path=AXE)
    found: dict[str, Any] = await page.evaluate("tags => axe.run({runOnly: tags, resultTypes: ['violations']})", TAGS)
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]
    ]


async def looked_at(page: Page, name: str) -> list[str]:
    """All that is wrong with the page as it is."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
    wrong = await violations(page)
    wrong += [f"small: {each}" for each in await page.evaluate(SMALL_TARGETS)]
    wrong += [f"no focus to see: {each}" for each in await page.evaluate(UNSEEN_FOCUS)]
    size = page.viewport_size
    await page.set_viewport_size({"width": 320, "height": 640})
    if await page.locator("html").evaluate("page => page.scrollWidth") > 320:
        wrong.append("wider than 320 pixels")
    assert size is not None
    await page.set_viewport_size(size)
    return [f"{name}: {each}" for each in wrong]


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci --prefix tests/portal/npm")
@pytest.mark.parametrize(
    ("language", "size"),
    [
        ("es", PHONE),
        pytest.param("en", DESK, marks=pytest.mark.long),
        pytest.param("en", PHONE, marks=pytest.mark.long),
        pytest.param("es", DESK, marks=pytest.mark.long),
    ],
)
async def test_no_page_keeps_anybody_out(
    browser: tuple[Browser, Path], town: Town, language: str, size: dict[str, int]
) -> None:
    async with town.visitor(PROVIDER) as http:
        shown = await http.get(PERSON)
    dose = shown.text.partition(f"{PERSON}/doses/")[2].partition('"')[0].partition("/")[0]
    assert dose
    wrong: list[str] = []
    for login in (NOBODY, RECIPIENT, PROVIDER):
        async with visiting(browser[0], town, login, size, language) as page:
            for path in (path for whose, path in PAGES if whose == login):
                name = f"{language}-{size['width']}-{path.strip('/').replace('/', '-').partition('?')[0] or 'home'}"
                address = town.origin + path.format(dose=dose)
                await page.goto(address)
                signing_in = "/oauth/authorize?" in page.url
                if (page.url == address) == signing_in or signing_in != (path == "/portal/login"):
                    wrong.append(f"{path} led to {page.url}")
                wrong += await looked_at(page, name)
                if path in SENT:
                    await page.goto(address)
                    form = page.locator(SENT[path]).last
                    async with page.expect_navigation():
                        await form.evaluate("form => { form.noValidate = true; form.requestSubmit() }")
                    wrong += await looked_at(page, f"{name}-sent")
    assert not wrong, "\n".join(wrong)
