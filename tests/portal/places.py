"""Places: the pages for people, whose they are, and a browser in which somebody has signed in.

https://www.w3.org/TR/WCAG22/
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page

from tests.portal.conftest import Town

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}

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
"""Login of whoever the page is for, and its address; `dose` is one of Ruth's."""


async def a_dose(town: Town) -> str:
    """The id of a dose of Ruth's."""
    async with town.visitor(PROVIDER) as http:
        shown = (await http.get(PERSON)).text
    found = re.search(rf'href="{PERSON}/doses/([^"/]+)"', shown)
    assert found is not None, shown
    return found[1]


@asynccontextmanager
async def visiting(
    browser: Browser, town: Town, login: str, size: dict[str, int], language: str, *, scripts: bool = True
) -> AsyncIterator[Page]:
    """A page in a browser of its own, in which this person has signed in."""
    async with town.visitor(login, language) as http:
        cookies = [{"name": each.name, "value": each.value or "", "url": town.origin} for each in http.cookies.jar]
    context = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale=language,
        java_script_enabled=scripts,
        # What looks at a page is no part of it, and its policy forbids every script but its own.
        bypass_csp=True,
    )
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # its own TypedDict of the same members
    yield await context.new_page()
    await context.close()
