"""https://www.w3.org/TR/WCAG22/#accessible-authentication-minimum

Somebody without e-mail and telephone registers by themselves: through every mistake on the way, to the answer whether
it is their turn, and back in with the name they wrote down.
"""

import re

from playwright.async_api import expect

from tests.portal.stories.reader import Reader

PASSWORD = "cuatro palabras muy sencillas"


async def test_registering_without_an_email_address(reader: Reader) -> None:
    await reader.goes("/")
    await reader.looks("front")
    await reader.follows("Register")
    await reader.looks("register")
    await reader.types("First name", "Lucía")
    for label, text in (("E-mail address", "lucia@"), ("Telephone", "12"), ("A name to sign in with", "ñ")):
        await reader.types(label, text)
    await reader.types("Password", "corta")
    await reader.presses("Register", unchecked=True)
    await reader.is_told_at("family", "birth-date", "email", "phone", "login", "password")
    await reader.looks("register-wrong")
    for label, text in (("First name", "Lucía"), ("E-mail address", "lucia@"), ("A name to sign in with", "ñ")):
        await expect(reader.field(label)).to_have_value(text)
    for label, text in (("Last name", "del Camino"), ("E-mail address", ""), ("Telephone", "")):
        await reader.types(label, text)
    await reader.types("Date of birth", "1944-05-06")
    await reader.types("A name to sign in with", "lucia")
    await reader.types("Password", PASSWORD)

    # Pressed twice, as it is by whoever sees nothing happen: one account, whose name is told all the same.
    await reader.button("Register").dblclick()
    await expect(reader.page.locator("#login-name")).to_have_text(re.compile(r"^lucia-\d{4}$"))
    login = await reader.page.locator("#login-name").inner_text()
    await reader.looks("registered")
    await reader.follows("Go on")

    await expect(reader.page.locator("#birth-date")).to_have_value("1944-05-06")
    await reader.looks("answers")
    await reader.page.fill("#birth-date", "")
    await reader.page.fill("#county", "Wake")
    await reader.presses("Save", unchecked=True)
    await reader.is_told_at("birth-date")
    await reader.looks("answers-wrong")
    await expect(reader.page.locator("#county")).to_have_value("Wake")
    await reader.page.fill("#birth-date", "1944-05-06")
    await reader.chooses("residence", "household")
    await reader.presses("Save")

    await expect(reader.page.locator("h1")).to_have_text("Lucía del Camino")
    await expect(reader.page.locator("#eligibility")).to_have_attribute("data-status", "eligible")
    await reader.reads("You can be vaccinated now", "No dose is on record.")
    await reader.looks("my-page")

    # The answers can be changed, and are where they were left.
    await reader.follows("My answers")
    await expect(reader.page.locator("#county")).to_have_value("Wake")
    await reader.chooses("occupation", "health-care")
    await reader.presses("Save")
    await reader.follows("My answers")
    await expect(reader.page.locator("input[value=health-care]")).to_be_checked()
    await reader.follows("Back")

    await reader.signs_out()
    await reader.follows("Sign in")
    await reader.looks("sign-in")
    await reader.signs_in(login, "nicht das Passwort")
    await expect(reader.page.locator("#username")).to_have_value(login)
    await reader.looks("sign-in-wrong")
    await reader.signs_in(login, PASSWORD)
    await reader.reads("You have signed in.")
    await reader.looks("front-signed-in")
    await reader.follows("My page")
    await reader.follows("Change my password")
    await reader.looks("password")
    await reader.types("The password you have now", "was it this one")
    await reader.types("The new password", "another one of four words")
    await reader.presses("Save")
    await reader.is_told_at("current")
    await reader.looks("password-wrong")
    await reader.types("The password you have now", PASSWORD)
    await reader.types("The new password", "another one of four words")
    await reader.presses("Save")
    await reader.reads("Your password has been changed. You were signed out everywhere; sign in with the new one.")
    await reader.keeps("password-changed")
    await reader.follows("Sign in")
    await reader.signs_in(login, "another one of four words")
    await expect(reader.page.locator("h1")).to_have_text("Lucía del Camino")
