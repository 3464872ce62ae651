"""A reader: somebody at a browser of their own, who clicks on what they read, and looks at every page they come to.

https://playwright.dev/python/docs/locators
"""

import os
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from playwright.async_api import Browser, CDPSession, Locator, Page, expect

from fhir_server import languages
from tests.portal.conftest import Town
from tests.portal.places import DESK
from tests.portal.stories import looking

PICTURES = Path(os.environ.get("PORTAL_PICTURES") or Path(__file__).parents[3] / "build" / "screenshots")
"""Where pictures of the pages are left: <story>/<language>-<size>/."""
_PATIENCE = 10_000
_STATUS = "Failed to load resource"
"""What a browser's console says of every page that is not a 200."""


@dataclass
class Reader:
    """Words are given in English, and looked for in the reader's language."""

    page: Page
    town: Town
    browser: Browser
    language: str
    size: dict[str, int]
    folder: Path
    tools: CDPSession
    wrong: list[str] = field(default_factory=list)
    """What was wrong with the pages so far."""
    learned: dict[str, str] = field(default_factory=dict)
    """What a story has prepared for them."""
    interactions: int = 0
    """Clicks and fields typed in, since this was set to zero."""
    _seen: list[str] = field(default_factory=list)

    @property
    def scripts(self) -> bool:
        """Whether pages get theirs: at a desk; on the phone everything works without."""
        return self.size is DESK

    def words(self, sentence: str, /, **values: object) -> str:
        """The sentence in the reader's language."""
        said = languages.say(sentence, self.language)
        return said % values if values else said

    def day(self, value: date) -> str:
        """A day as it is written in the reader's language."""
        return languages.day(value, self.language)

    async def goes(self, path: str) -> None:
        """Type an address."""
        await self.page.goto(self.town.origin + path)

    def link(self, sentence: str, /, **values: object) -> Locator:
        return self.page.get_by_role("link", name=self.words(sentence, **values), exact=True)

    def button(self, sentence: str, /, **values: object) -> Locator:
        return self.page.get_by_role("button", name=self.words(sentence, **values), exact=True)

    def field(self, sentence: str, /) -> Locator:
        return self.page.get_by_label(self.words(sentence), exact=True)

    async def follows(self, sentence: str, /, **values: object) -> None:
        """Click on a link with these words."""
        self.interactions += 1
        await self.link(sentence, **values).first.click()

    async def presses(self, sentence: str, /, *, unchecked: bool = False, **values: object) -> None:
        """Press a button with these words; `unchecked` in a browser that sends forms without looking at them."""
        self.interactions += 1
        if unchecked:
            await self.page.evaluate("() => { for (const each of document.forms) each.noValidate = true; }")
        await self.button(sentence, **values).first.click()

    async def types(self, sentence: str, text: str, /) -> None:
        """Fill in the field with this label."""
        self.interactions += 1
        await self.field(sentence).first.fill(text)

    async def ticks(self, sentence: str, /) -> None:
        """Choose what has this label."""
        self.interactions += 1
        await self.field(sentence).first.check()

    async def chooses(self, name: str, value: str) -> None:
        """Choose one of the answers to a question, by the names that the form sends."""
        self.interactions += 1
        await self.page.locator(f"input[name='{name}'][value='{value}']").check()

    async def reads(self, *sentences: str, **values: object) -> None:
        """All of this stands on the page."""
        for sentence in sentences:
            await expect(self.page.locator("main")).to_contain_text(self.words(sentence, **values))

    async def reads_as_it_is(self, *texts: str) -> None:
        """All of this stands on the page, in whatever language."""
        for text in texts:
            await expect(self.page.locator("body")).to_contain_text(text)

    async def is_told_at(self, *fields: str) -> None:
        """Each of these fields says what is wrong with it, to eyes and to who listens."""
        for name in fields:
            problem = self.page.locator(f"#{name}-problem")
            await expect(problem).to_be_visible()
            told = self.page.locator(f"[aria-describedby~='{name}-problem'][aria-invalid=true]")
            await expect(told.first).to_be_attached()

    async def looks(self, name: str) -> None:
        """Look at the page from all sides, once in a story, and keep a picture."""
        if name in self._seen:
            return
        await self.keeps(name)
        found = await looking.measures(self.page)
        found += await looking.foreign_words(self.page, self.language)
        found += await looking.keyboard(self.page, self.tools)
        if looking.AXE.is_file():
            found += await looking.violations(self.page)
        self.wrong += [f"{name}: {each}" for each in found]

    async def keeps(self, name: str) -> None:
        """Keep a picture of a page that is looked at elsewhere."""
        self._seen.append(name)
        await self.page.wait_for_load_state()
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = (await self.tools.send("Page.getLayoutMetrics"))["cssContentSize"]
        asked = {"format": "jpeg", "quality": 75, "captureBeyondViewport": True, "clip": {**whole, "scale": 1}}
        taken = await self.tools.send("Page.captureScreenshot", asked)
        (self.folder / f"{len(self._seen):02}-{name}.jpg").write_bytes(b64decode(taken["data"]))

    async def signs_in(self, login: str, password: str) -> None:
        """Fill in the form of the sign-in."""
        await self.types("User name", login)
        await self.types("Password", password)
        await self.presses("Sign in")

    async def signs_out(self) -> None:
        """As one does on a shared computer."""
        await self.presses("Sign out")
        await expect(self.link("Sign in").first).to_be_visible()

    @asynccontextmanager
    async def beside(self, login: str = "") -> AsyncIterator["Reader"]:
        """Somebody else of the same language, with a browser of their own; staff have signed in already, for a code of
        their second factor is good once."""
        async with reading(self.browser, self.town, self.language, self.size, self.folder, login) as other:
            other._seen, other.wrong = self._seen, self.wrong
            yield other


@asynccontextmanager
async def reading(
    browser: Browser, town: Town, language: str, size: dict[str, int], folder: Path, login: str = ""
) -> AsyncIterator[Reader]:
    """A reader with a browser that knows nothing yet, but for who has signed in."""
    context = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale=language,
    )
    if size is not DESK:
        # Pages get none of their scripts; those that look at them run all the same.
        await context.route("**/*.js", lambda route: route.abort())
    context.set_default_timeout(_PATIENCE)
    if login:
        async with town.visitor(login, language) as http:
            kept = [{"name": each.name, "value": each.value or "", "url": town.origin} for each in http.cookies.jar]
        await context.add_cookies(kept)  # type: ignore[arg-type]  # its own TypedDict of the same members
    page = await context.new_page()
    tools = await context.new_cdp_session(page)
    reader = Reader(page, town, browser, language, size, folder, tools)

    def complains(text: str) -> None:
        if _STATUS not in text:
            reader.wrong.append(f"{page.url}: {text}")

    page.on("console", lambda message: complains(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complains(str(error)))
    page.on("request", lambda request: None if _is_ours(request.url, town) else complains(f"asks {request.url}"))
    yield reader
    await context.close()


def _is_ours(url: str, town: Town) -> bool:
    return url.startswith((town.origin + "/", "data:", "blob:"))
