"""https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-standalone-launch

The portal signs people in as any app would, keeps the token where no script gets at it, and signs them out.
"""

import httpx
import pytest

from fhir_server.http.portal.session import local
from fhir_server.story import sample
from tests.oauth.browser import forms
from tests.portal.conftest import Town


async def test_in_and_out(town: Town) -> None:
    async with town.visitor() as http:
        assert "Sign in" in (await http.get("/")).text
        page = await town.sign_in(http, "ruth")
        assert (page.status_code, str(page.url)) == (200, town.origin + "/")
        assert "You have signed in." in page.text
        kept = [cookie for cookie in http.cookies.jar if cookie.name == "portal"]
        assert [cookie.has_nonstandard_attr("HttpOnly") for cookie in kept] == [True]
        token = kept[0].value
        asked = {"authorization": f"Bearer {token}"}
        assert (await http.get("/fhir/Patient/demo-ruth", headers=asked)).status_code == 200
        [form] = [form for form in forms(page).values() if form.action == "/portal/logout"]
        out = await http.post(form.action, data=dict(form.fields))
        assert "Sign in" in out.text
        # The token is over, also for whoever has copied it (within the seconds that a process trusts it).
        assert not [cookie for cookie in http.cookies.jar if cookie.name in ("portal", "session")]


async def test_the_page_that_was_asked_for_comes_next(town: Town) -> None:
    async with town.visitor() as http:
        page = await town.sign_in(http, "amy", "/verify")
        assert str(page.url) == town.origin + "/verify"


async def test_who_the_page_was_about_is_kept(town: Town) -> None:
    async with town.visitor() as http:
        page = await http.get("/me/log?person=demo-ruth&own=1")
        typed = {"username": "ruth", "password": sample.PASSWORD}
        page = await http.post(forms(page)["login"].action, data={**dict(forms(page)["login"].fields), **typed})
        assert str(page.url) == town.origin + "/me/log?person=demo-ruth&own=1"


async def test_an_answer_that_was_not_asked_for_signs_nobody_in(town: Town) -> None:
    async with town.visitor() as http:
        for query in ({}, {"code": "a.b", "state": "guessed"}):
            assert (await http.get("/portal/callback", params=query)).status_code == 403
        await http.get("/portal/login")
        assert (await http.get("/portal/callback", params={"code": "a.b", "state": "guessed"})).status_code == 403
        assert not [cookie for cookie in http.cookies.jar if cookie.name == "portal"]


async def test_a_foreign_form_signs_nobody_out(town: Town) -> None:
    async with town.visitor("ruth") as http:
        for form in ({"form_token": ""}, {"form_token": "0" * 64}):
            assert (await http.post("/portal/logout", data=form)).status_code == 403
        headers = {"origin": "https://evil.example"}
        assert (await http.post("/portal/logout", data={"form_token": ""}, headers=headers)).status_code == 403
        assert "You have signed in." in (await http.get("/")).text


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example", "/\\evil.example", "", "me", "/a\nb"])
def test_only_addresses_of_this_site_come_next(address: str) -> None:
    assert local(address) == "/"


async def test_without_a_token_the_cookie_is_worth_nothing(town: Town) -> None:
    cookies = {"portal": "forged.token"}
    async with httpx.AsyncClient(base_url=town.origin, cookies=cookies) as http:
        assert "Sign in" in (await http.get("/")).text
