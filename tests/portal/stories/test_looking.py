"""https://www.w3.org/TR/WCAG22/

What the stories look for is seen where it is wrong.
"""

from collections.abc import Awaitable, Callable

import pytest

from tests.portal.stories import looking
from tests.portal.stories.reader import Reader

GOOD = """<!doctype html><html lang="es"><head><title>Bien</title></head><body><main><h1>Bien</h1>
<p><a href="/">Uno</a></p><label style="display:block;padding:1em">Dos <input type="date"></label>
<fieldset><legend>Tres</legend><label style="display:block;padding:1em"><input type="radio" name="a" value="1"> A
</label><label style="display:block;padding:1em"><input type="radio" name="a" value="2"> B</label></fieldset>
<details><summary style="padding:1em">Cuatro</summary><a href="/">dentro</a></details>
<p><button style="min-height:44px">Cinco</button></p></main></body></html>"""


async def keyboard(reader: Reader) -> list[str]:
    return await looking.keyboard(reader.page, reader.tools)


async def measures(reader: Reader) -> list[str]:
    return await looking.measures(reader.page)


async def words(reader: Reader) -> list[str]:
    return await looking.foreign_words(reader.page, "es")


async def violations(reader: Reader) -> list[str]:
    return await looking.violations(reader.page)


async def found(reader: Reader, look: Callable[[Reader], Awaitable[list[str]]], html: str) -> str:
    await reader.page.set_content(html)
    return "\n".join(await look(reader))


async def test_what_is_wrong_is_seen(reader: Reader) -> None:
    for look, good, bad, said in (
        (keyboard, "<button", '<button tabindex="1"', "Tab reaches"),
        (keyboard, "<button", '<button tabindex="-1"', "Tab reaches nothing before <button"),
        (keyboard, '<button style="', '<button style="outline:none;', "no focus to see: <button"),
        (measures, "min-height:44px", "font-size:5px;padding:0;border:0", "small: <button"),
        (measures, "<h1>", '<h1 style="width:400px">', "at 320 pixels: scrolls sideways"),
        (words, "<h1>Bien", "<h1>Check a card", "not in es: Check a card"),
        (words, 'lang="es"', 'lang="en"', "lang is en"),
    ):
        assert await found(reader, look, GOOD) == ""
        assert good in GOOD
        assert said in await found(reader, look, GOOD.replace(good, bad, 1))


@pytest.mark.skipif(not looking.AXE.is_file(), reason="axe-core is not installed: npm ci --prefix tests/portal/npm")
async def test_axe_is_at_hand(reader: Reader) -> None:
    assert await found(reader, violations, GOOD) == ""
    assert "label" in await found(reader, violations, GOOD.replace(">Dos <input", "></label><p>Dos <input", 1))
