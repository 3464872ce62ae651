"""https://www.rfc-editor.org/rfc/rfc9110#name-404-not-found

Somebody gone astray: at no page, at a page for others, at a form that is too old, signed out in the middle of it.
"""

from playwright.async_api import expect

from tests.portal.stories.reader import Reader


async def test_where_nothing_is(reader: Reader) -> None:
    await reader.goes("/vacuna")
    await reader.reads("There is no such page")
    await reader.looks("no-page")
    await reader.follows("To the front page")
    await expect(reader.page.locator("#questions")).to_be_visible()
    await reader.goes("/oauth/authorize?client_id=nobody")
    await reader.reads("The app that sent you here is not registered.")
    await reader.looks("unknown-app")
    await reader.goes("/cards/none")
    await reader.reads("There is no such page")
    await reader.goes("/me")
    await expect(reader.page.locator("#username")).to_be_visible()
    async with reader.beside("ruth") as ruth:
        await ruth.goes("/clinic")
        await ruth.reads("This page is for others")
        await ruth.keeps("for-others")
        await ruth.goes("/me?person=demo-amy")
        await ruth.reads("That did not work", "What this page is about is not there, or is not for you.")
        await ruth.looks("refused")
        await ruth.goes("/me/dispute?dose=none")
        await ruth.keeps("no-such-dose")


async def test_a_form_that_waited_too_long(reader: Reader) -> None:
    await reader.goes("/register")
    await reader.types("First name", "Tarde")
    await reader.page.context.clear_cookies()
    await reader.presses("Register", unchecked=True)
    await reader.looks("too-old")
    async with reader.beside("ruth") as ruth:
        await ruth.goes("/me/answers")
        kept = [each for each in await ruth.page.context.cookies() if each["name"] == "portal"]
        await ruth.page.context.clear_cookies(name="portal")
        await ruth.page.fill("#county", "Durham")
        await ruth.presses("Save")
        await ruth.reads("Please sign in again")
        await ruth.looks("sign-in-again")
        await ruth.page.context.add_cookies(kept)  # type: ignore[arg-type]  # what it has given
        await ruth.presses("Send it now")
        await ruth.follows("My answers")
        await expect(ruth.page.locator("#county")).to_have_value("Durham")
