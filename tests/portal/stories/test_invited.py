"""https://pages.nist.gov/800-63-4/sp800-63a.html#enrollcode

Somebody who is on record is handed a code at the chair: it opens their record, once; a second one sets a password that
was forgotten.
"""

import re

from playwright.async_api import expect

from tests.portal.stories.reader import Reader
from tests.portal.test_register import as_staff

PASSWORD, FRESH = "four plain words here", "four other words here"


async def test_a_code_from_the_chair(reader: Reader) -> None:
    name = {"family": "Invitada", "given": ["Irene"]}
    organization = {"managingOrganization": {"reference": "Organization/demo-mercy"}}
    person = {"resourceType": "Patient", "name": [name], "birthDate": "1951-07-08", **organization}
    id = (await as_staff(reader.town, "Patient", person)).json()["id"]
    async with reader.beside("ortiz") as nurse:
        await nurse.goes(f"/clinic/people/{id}")
        await nurse.presses("Give a code")
        await nurse.looks("code-to-hand-over")
        code = await nurse.page.locator(".code").inner_text()

    await reader.goes("/register")
    await reader.follows("I have an invitation with a code")
    await reader.looks("invitation")
    await reader.types("Code of the invitation", "ABCD-EFGH-JKLM")
    await reader.types("Date of birth", "1951-07-08")
    await reader.types("A name to sign in with", "irene")
    await reader.types("Password", PASSWORD)
    await reader.presses("Register")
    await reader.is_told_at("code")
    await reader.keeps("invitation-wrong")
    await expect(reader.field("A name to sign in with")).to_have_value("irene")
    await reader.types("Code of the invitation", code)
    await reader.types("Password", PASSWORD)
    await reader.presses("Register")
    login = await reader.page.locator("#login-name").inner_text()
    await reader.follows("Go on")
    await reader.presses("Save")
    await expect(reader.page.locator("h1")).to_have_text("Irene Invitada")

    await reader.follows("Contact and language")
    await reader.looks("contact")
    await reader.types("E-mail address", "irene@")
    await reader.types("Telephone", "none")
    await reader.presses("Save", unchecked=True)
    await reader.is_told_at("email", "phone")
    await reader.looks("contact-wrong")
    await expect(reader.field("Telephone")).to_have_value("none")
    await reader.types("E-mail address", "irene@example.org")
    await reader.types("Telephone", "919 555 0142")
    await reader.chooses("language", "es")
    await reader.presses("Save")
    await reader.follows("Contact and language")
    await expect(reader.field("E-mail address")).to_have_value("irene@example.org")
    await expect(reader.page.locator("input[value=es]")).to_be_checked()
    await reader.follows("Back")
    await reader.signs_out()

    async with reader.beside("ortiz") as nurse:
        await nurse.goes(f"/clinic/people/{id}")
        await nurse.presses("Give a code")
        await nurse.looks("has-an-account")
        await nurse.presses("Give a code for a new password")
        await nurse.looks("recovery-code")
        again = await nurse.page.locator("#recovery-code").inner_text()
        await nurse.goes("/account/recovery")
        await nurse.looks("recovery")
        await nurse.types("Find a patient by name", "Nadie Así")
        await nurse.presses("Find")
        await nurse.reads("Nobody was found.")
        await nurse.keeps("recovery-nobody")

    await reader.follows("Sign in")
    await reader.follows("Password forgotten, or first visit?")
    await reader.looks("forgotten")
    for typed in ("ABCD-EFGH-JKLM", again):
        await reader.types("User name", login)
        await reader.types("One-time code", typed)
        await reader.types("New password (at least 10 characters)", FRESH)
        await reader.presses("Set the password")
        if typed != again:
            await expect(reader.page.locator("#username")).to_have_value(login)
            await reader.keeps("forgotten-wrong")
    await reader.reads("Your password is set. You can sign in now.")
    await reader.keeps("password-set")
    await reader.follows("Go on")
    await reader.follows("Sign in")
    await reader.signs_in(login, FRESH)
    await expect(reader.page).to_have_url(re.compile(r"/$"))
    await reader.follows("My page")
    await expect(reader.page.locator("h1")).to_have_text("Irene Invitada")
