"""https://hl7.org/fhir/R4/patient-operation-everything.html

My contact, my password, who looked at my record, its copy, links to it, a dose that is wrong, and a child's pages.
"""

import asyncio
import re
import time
from base64 import b64decode
from datetime import date
from functools import partial

import httpx
import pytest

from fhir_server import administering
from fhir_server.access import users
from fhir_server.settings import Settings
from smart_health_cards import read_picture
from tests.oauth.browser import forms
from tests.portal.conftest import Town
from tests.portal.test_me import form_to, send
from tests.portal.test_register import ANA, PASSWORD, as_staff, login_in, register


async def test_contact_and_language(town: Town) -> None:
    async with town.visitor("ruth") as http:
        form = forms(await http.get("/me/contact"))["contact"]
        wrong = await send(http, form, email="ruth@", phone="919 555 0100", language="es")
        assert wrong.status_code == 422
        assert 'value="ruth@"' in wrong.text and 'value="919 555 0100"' in wrong.text
        done = await send(http, form, email="ruth@example.org", phone="919 555 0100", language="es")
        assert str(done.url) == f"{town.origin}/me?person=demo-ruth"
        patient = (await as_staff(town, "Patient/demo-ruth")).json()
        assert [point["value"] for point in patient["telecom"][:2]] == ["ruth@example.org", "+19195550100"]
        assert patient["communication"][0]["language"]["coding"][0]["code"] == "es"
        await send(http, form, email="", phone="", language="en")
        patient = (await as_staff(town, "Patient/demo-ruth")).json()
        assert not [point for point in patient.get("telecom", ()) if point["system"] in ("email", "phone")]
        page = await http.get("/me/contact")
        assert (await send(http, forms(page)["contact"], person="demo-amy", language="en")).status_code == 404


async def test_who_looked_at_my_record(town: Town) -> None:
    for _ in range(60):
        await as_staff(town, "Patient/demo-ruth")
    async with town.visitor("ruth") as http:
        others, whole = await log_of(http, "/me/log"), await log_of(http, "/me/log?own=1")
        assert len(others) > 1
        assert "Back to the newest" in others[-1] and "Back to the newest" not in others[0]
        assert [page.count("<li>") for page in others[:-1]] == [others[0].count("<li>")] * (len(others) - 1)
        forged = await http.get("/me/log?_page=forged")
    assert forged.status_code == 400 and "<h1>" in forged.text
    assert "yourself, or who acts for you" in "".join(whole)
    text = "".join(others)
    assert "yourself, or who acts for you" not in text
    assert "a registry or another system" in text or "an administrator of this server" in text
    assert "What</dt><dd>issued a card" in text
    assert "demo-amy" not in text


async def log_of(http: httpx.AsyncClient, address: str) -> list[str]:
    """The pages of the log from this one on."""
    pages: list[str] = []
    while address:
        page = await http.get(address)
        assert page.status_code == 200
        pages.append(page.text)
        older = re.findall(r'href="(/me/log\?[^"]+)">Older<', page.text)
        address = older[0].replace("&amp;", "&") if older else ""
    return pages


async def test_a_copy_of_all_my_data(town: Town) -> None:
    async with town.visitor("ruth") as http:
        answer = await http.get("/me/copy")
        assert (await http.get("/me/copy?person=demo-amy")).status_code == 404
    assert answer.headers["content-disposition"] == 'attachment; filename="record-demo-ruth.json"'
    bundle = answer.json()
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert bundle["type"] == "collection"
    assert (kinds[0], kinds.count("Immunization")) == ("Patient", 2)


async def test_a_dose_is_disputed(town: Town) -> None:
    async with town.visitor("ruth") as http:
        page = await http.get("/me")
        address = re.findall(r'href="(/me/dispute\?[^"]+)"', page.text)[0].replace("&amp;", "&")
        form = forms(await http.get(address))["dispute"]
        assert "This is needed." in (await send(http, form, reason=" ")).text
        for _ in range(2):
            page = await send(http, form, reason="I was <b>not</b> there")
            assert "We have told those who can correct it." in page.text
        assert (await http.get(address.replace("demo-ruth", "demo-amy"))).status_code == 404
    tasks = (await as_staff(town, "Task?code=disputed-dose&patient=demo-ruth")).json()["entry"]
    assert [task["resource"]["description"] for task in tasks] == ["I was <b>not</b> there"]
    assert tasks[0]["resource"]["for"] == {"reference": "Patient/demo-ruth"}


async def test_a_link_is_made_and_ended(town: Town) -> None:
    async with town.visitor("ruth") as http:
        form = forms(await http.get("/me/share"))["share"]
        page = await send(http, form, label="For my employer", days="1", passcode="")
        assert re.search(r'id="link">shlink:/', page.text)
        assert "For my employer" in page.text
        again = await http.get("/me/share")
        assert "shlink:/" not in again.text
        ended = await send(http, form_to(again, "/me/share/end"))
        assert ended.status_code == 200
        assert "For my employer" not in ended.text


async def test_a_password_is_changed(town: Town) -> None:
    async with town.visitor() as http:
        login = login_in(await register(http, **ANA))
        await http.get("/portal/login?next=/me")
        form = forms(await http.get("/me/password"))["change-password"]
        assert "This is not your password." in (await send(http, form, current="wrong", password="x" * 12)).text
        assert (await send(http, form, current=PASSWORD, password="short")).status_code == 422
        assert "Your password has been changed." in (await send(http, form, current=PASSWORD, password="x" * 12)).text
        page = await http.get("/me")
        assert "login" in forms(page)
        typed = {"username": login, "password": PASSWORD}
        assert (await send(http, forms(page)["login"], **typed)).status_code == 401
        assert "Ana Nueva" in (await send(http, forms(page)["login"], **{**typed, "password": "x" * 12})).text


async def test_a_childs_pages_until_18(town: Town) -> None:
    settings = Settings.model_validate({"data": town.teller.sample.folder.parent, "base_url": town.origin + "/fhir"})
    children = []
    for name in ("Cleo", "Carl"):
        person = {"resourceType": "Patient", "name": [{"given": [name], "family": "Kid"}], "birthDate": "2010-01-01"}
        children.append((await as_staff(town, "Patient", person)).json()["id"])
    async with town.visitor() as http:
        login = login_in(await register(http, **ANA))
        async with administering.opened(settings) as context:
            authority = context.authority
            until = await administering.set_proxy(context, login, children[0])
            assert until == users.adult_on(date(2010, 1, 1))
            await administering.set_proxy(context, login, children[1], without_end=True)
            await administering.set_proxy(context, login, children[1], ends=True)
            with pytest.raises(ValueError, match="is 18"):
                await administering.set_proxy(context, login, "demo-ruth")
            with pytest.raises(ValueError, match="no recipient"):
                await administering.set_proxy(context, "ortiz", children[0])
            user = await authority.users.find(login)
            assert user is not None and user.proxy_for == ((children[0], until),)
            # Carl has become 18.
            await authority.users.set_proxies(login, [*user.proxy_for, (children[1], authority.clock() - 1)])
        page = await http.get("/me")
        assert "login" in forms(page)
        page = await send(http, forms(page)["login"], username=login, password=PASSWORD)
        assert "<h1>Ana Nueva</h1>" in page.text
        assert "Cleo Kid" in page.text and "Carl Kid" not in page.text
        assert "<h1>Cleo Kid</h1>" in (await http.get(f"/me?person={children[0]}")).text
        assert (await http.get(f"/me?person={children[1]}")).status_code == 404
        # Cleo becomes 18 while a page is open: the session and the token that were given before end there, too.
        async with administering.opened(settings) as context:
            user = await context.authority.users.find(login)
            assert user is not None
            birthday = context.clock() + 4_000_000
            await context.authority.users.set_proxies(login, [(children[0], birthday)])
        await http.get("/portal/login?next=/me")
        token = next(cookie.value for cookie in http.cookies.jar if cookie.name == "portal")
        read = partial(http.get, f"/fhir/Patient/{children[0]}", headers={"authorization": f"Bearer {token}"})
        assert ((await http.get(f"/me?person={children[0]}")).status_code, (await read()).status_code) == (200, 200)
        await asyncio.sleep((birthday - time.time_ns() // 1_000) / 1_000_000)
        page = await http.get(f"/me?person={children[0]}")
        assert (page.status_code, (await read()).status_code) == (404, 404)
        assert "they are 18, and decide for themselves" in page.text
        assert "Cleo" not in (await http.get("/me")).text


async def test_a_link_is_also_shown_to_scan(town: Town) -> None:
    async with town.visitor("ruth") as http:
        page = await send(http, forms(await http.get("/me/share"))["share"], label="School", days="1")
        [drawn] = re.findall(r'src="data:image/png;base64,([^"]+)"', page.text)
        [link] = re.findall(r'id="link">([^<]+)<', page.text)
        assert link.startswith("shlink:/")
        assert read_picture(b64decode(drawn)) == [link]
        assert "img-src 'self' data:" in page.headers["content-security-policy"]
        assert "data:image" not in (await http.get("/me/share")).text
