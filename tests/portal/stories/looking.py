"""Looking: what is wrong with a page as it stands, as axe-core finds it and as people at a phone or a keyboard do.

https://www.w3.org/TR/WCAG22/
"""

from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from playwright.async_api import CDPSession, Page

from fhir_server import languages

AXE = Path(__file__).parents[1] / "npm" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW = {"width": 320, "height": 640}
"""What is left of 1,280 pixels at 400 %, and of a small phone: more than the 200 % that text has to bear."""
STOPS_OF_A_DAY = 4
"""Day, month, year and the calendar, within one field of type `date`."""

_RUN = """tags => axe.run({runOnly: tags, resultTypes: ['violations'], preload: false, iframes: false})"""
"""There is no style but what the page has from here, and no page within a page."""
_LISTED = """
window.listed = () => { const groups = new Set();
    return [...document.querySelectorAll('a[href], button, input, select, summary, textarea')]
        .filter(each => each.checkVisibility({visibilityProperty: true}) && each.type !== 'hidden' && !each.disabled)
        .filter(each => { if (each.type !== 'radio') return true;
            // Of a group Tab reaches the one that is chosen, or the first.
            const all = [...(each.form || document).querySelectorAll('input[type=radio]')]
                .filter(one => one.name === each.name);
            return each === (all.find(one => one.checked) || all[0]); }); };
window.told = each => each.outerHTML.slice(0, 120);
"""
_SMALL = """() => [...document.querySelectorAll('a, button, input, select, summary, textarea')]
    .filter(each => each.checkVisibility() && !['hidden', 'file'].includes(each.type) && !each.matches('.skip'))
    .filter(each => !(each.tagName === 'A' && getComputedStyle(each).display === 'inline'))
    .map(each => (each.closest('label') || each))
    .map(each => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24).map(([text]) => text)"""
_WATCH = (
    """() => {"""
    + _LISTED
    + """
    window.reached = [];
    document.addEventListener('focusin', event => { const style = getComputedStyle(event.target);
        window.reached.push([event.target, style.outlineStyle !== 'none' || style.boxShadow !== 'none']); });
    // From the very beginning, wherever the page has put the focus.
    document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex');
    window.reached = [];
    const all = window.listed();
    return [all.length, all.filter(each => each.type === 'date').length]; }"""
)
_REACHED = """() => { const wanted = window.listed();
    const reached = window.reached.filter(([each], at, all) => at === 0 || each !== all[at - 1][0]);
    const wrong = wanted.map((each, at) => [each, reached[at]]).filter(([each, found]) => !found || found[0] !== each)
        .slice(0, 1).map(([each, found]) => `Tab reaches ${found ? told(found[0]) : 'nothing'} before ${told(each)}`);
    return [...wrong, ...reached.filter(([, seen]) => !seen).map(([each]) => `no focus to see: ${told(each)}`)]; }"""
_WIDE = """() => { const page = document.documentElement; return page.scrollWidth <= page.clientWidth ? [] :
    [...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > page.clientWidth + 1)
        .map(each => each.outerHTML.slice(0, 120)).slice(-2).concat('scrolls sideways'); }"""

_LARGE = (
    """() => { const root = document.documentElement; root.style.fontSize = '34px';
    const wrong = ("""
    + _WIDE
    + """)(); root.style.fontSize = ''; return wrong; }"""
)


async def violations(page: Page) -> list[str]:
    """What axe finds, a line for each element."""
    await page.evaluate(_source())
    found: dict[str, Any] = await page.evaluate(_RUN, TAGS)
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]
    ]


async def keyboard(page: Page, tools: CDPSession) -> list[str]:
    """What Tab does not reach in the order of the page, or where nobody sees that it is there."""
    many, days = await page.evaluate(_WATCH)
    key = {"type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    for _ in range(many + (STOPS_OF_A_DAY - 1) * days):
        await tools.send("Input.dispatchKeyEvent", key)
    wrong: list[str] = await page.evaluate(_REACHED)
    return wrong


async def measures(page: Page) -> list[str]:
    """Targets that are too small for a thumb, and what makes a narrow page scroll sideways."""
    size = page.viewport_size
    assert size is not None
    wrong = [f"small: {each}" for each in await page.evaluate(_SMALL)] + list(await page.evaluate(_WIDE))
    await page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    wrong += [f"at 320 pixels: {each}" for each in await page.evaluate(_WIDE)]
    # As somebody has it who reads a phone without their glasses.
    wrong += [f"with letters twice as large: {each}" for each in await page.evaluate(_LARGE)]
    await page.set_viewport_size(size)
    return wrong


async def foreign_words(page: Page, language: str) -> list[str]:
    """Lines that stand there in another language than the page's."""
    lines = {line.strip() for line in (await page.locator("body").inner_text()).splitlines()}
    said = await page.locator("html").get_attribute("lang")
    wrong = [] if said == language else [f"lang is {said}"]
    return wrong + [f"not in {language}: {line}" for line in sorted(lines & _others(language))]


@cache
def _source() -> str:
    return AXE.read_text()


@cache
def _others(language: str) -> frozenset[str]:
    """Sentences of the catalogues that say something else in this language."""
    catalogues: list[Catalog] = [
        languages.catalogue(each) for each in languages.languages() if each != languages.SOURCE
    ]
    pairs = [(str(message.id), str(message.string)) for each in catalogues for message in each if message.id]
    here = {said for pair in pairs for said in pair if languages.say(pair[0], language) == said}
    return frozenset({said for pair in pairs for said in pair} - here)
