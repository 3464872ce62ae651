"""https://pages.nist.gov/800-63-4/sp800-63a.html#enrollcode

Registering, with an invitation and without; and that neither tells who is known.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fhir_server import administering
from fhir_server.settings import Settings
from tests.oauth.browser import Form, forms
from tests.portal.conftest import Town
from tests.portal.test_me import send
from tests.portal.test_verify import told

PASSWORD = "four plain words here"
ANA = {"given": "Ana", "family": "Nueva", "birth-date": "1980-02-03", "login": "ana", "password": PASSWORD}


async def register(http: httpx.AsyncClient, path: str = "/register", **typed: str) -> httpx.Response:
    page = await http.get(path)
    return await send(http, forms(page)["register"], **typed)


def login_in(page: httpx.Response) -> str:
    found = re.search(r'id="login-name">([^<]+)<', page.text)
    assert found is not None, page.text
    return found[1]


async def as_staff(town: Town, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """What the registry's own system is answered."""
    headers = {"authorization": f"Bearer {town.teller.tokens['state-registry']}"}
    async with httpx.AsyncClient(base_url=town.origin + "/fhir/", headers=headers, timeout=30) as http:
        return await (http.get(path) if body is None else http.post(path, json=body))


async def test_registering_and_on_to_the_questions(town: Town) -> None:
    async with town.visitor() as http:
        page = await register(http, **ANA, email="ana@example.org", phone="919 555 0100")
        assert page.status_code == 200
        assert re.fullmatch(r"ana-\d{4}", login_in(page))
        page = await http.get("/portal/login?next=/me/answers")
        assert (page.status_code, page.url.path) == (200, "/me/answers")
        assert "About Ana Nueva." in told(page).text
        assert 'value="1980-02-03"' in page.text
        page = await http.get("/me")
        assert "Ana Nueva" in page.text
        assert "No dose is on record." in page.text
    async with town.visitor() as http:
        form = forms(await http.get("/portal/login"))["login"]
        assert form.action


async def test_what_is_told_once_is_not_led_away_from(town: Town) -> None:
    """Another language would be another page, without the name, the code or the link."""
    async with town.visitor() as http:
        assert "hreflang" in (await http.get("/register")).text
        assert "hreflang" not in (await register(http, **ANA)).text
        await http.get("/portal/login?next=/me")
        share = await http.get("/me/share")
        assert "hreflang" in share.text
        assert "hreflang" not in (await send(http, forms(share)["share"], days="7")).text


async def test_what_is_wrong_is_told_at_the_field_and_nothing_is_lost(town: Town) -> None:
    wrong = {
        **ANA,
        "given": "",
        "birth-date": "2980-01-01",
        "email": "no",
        "phone": "12",
        "login": "á",
        "password": "x",
    }
    async with town.visitor(language="es") as http:
        page = await register(http, **wrong)
    assert page.status_code == 422
    for name in ("given", "birth-date", "email", "phone", "login", "password"):
        assert f'id="{name}-problem"' in page.text, name
        assert f'href="#{name}"' in page.text, name
    assert 'value="Nueva"' in page.text
    assert "x" not in re.findall(r'id="password" name="password" value="([^"]*)"', page.text)
    assert "Esto no es un número de teléfono." in page.text


async def test_whoever_is_on_record_is_answered_as_everybody_else(town: Town) -> None:
    pages = []
    for family, given, born in (("Whitfield", "Ruth", "1950-06-02"), ("Nobody", "Noel", "1950-06-03")):
        async with town.visitor() as http:
            told_by = {"family": family, "given": given, "birth-date": born, "login": "rw", "password": PASSWORD}
            page = await register(http, **told_by)
            mine = await http.get("/portal/login?next=/me")
            assert "No dose is on record." in mine.text
        pages.append(re.sub(r"rw-\d{4}|value=\"[^\"]*\"", "", page.text))
        assert page.status_code == 200
    assert pages[0] == pages[1]
    for _ in range(50):
        tasks = (await as_staff(town, "Task?code=possible-duplicate")).json()
        matches = [task["resource"]["input"][0]["valueReference"]["reference"] for task in tasks.get("entry", ())]
        if "Patient/demo-ruth" in matches:
            break
        await asyncio.sleep(0.1)
    assert matches.count("Patient/demo-ruth") == 1


async def test_who_wrote_the_new_patient(town: Town) -> None:
    async with town.visitor() as http:
        await register(http, **{**ANA, "family": "Provenance"})
    found = await as_staff(
        town, "Patient?family=Provenance&_revinclude=Provenance:target&_revinclude=AuditEvent:patient"
    )
    kinds = {entry["resource"]["resourceType"]: entry["resource"] for entry in found.json()["entry"]}
    assert kinds["Provenance"]["agent"][1]["who"]["identifier"]["value"] == "own-portal"
    assert kinds["AuditEvent"]["action"] in "CR"
    language = kinds["Patient"]["communication"][0]["language"]["coding"][0]["code"]
    assert (language, kinds["Patient"]["name"][0]["given"]) == ("en", ["Ana"])


async def test_a_form_counts_once_and_only_from_our_page(town: Town) -> None:
    async with town.visitor() as http:
        page = await http.get("/register")
        form, known = forms(page)["register"], list(http.cookies.jar)
        first, second = await asyncio.gather(*(send(http, form, **{**ANA, "family": "Twice"}) for _ in range(2)))
        # Whichever of the two a browser shows, it tells the name of the one account.
        assert login_in(first) == login_in(second)
        for cookie in known:
            http.cookies.jar.set_cookie(cookie)
        stranger = await send(http, form, **{**ANA, "family": "Twice", "password": "not the same words"})
        assert "login-name" not in stranger.text
        assert "This was sent already" in stranger.text
        assert (await send(http, form, **ANA, form_token="0" * 64)).status_code == 403
        assert (await http.post("/register", data=ANA)).status_code == 403
    assert (await as_staff(town, "Patient?family=Twice&_summary=count")).json()["total"] == 1


@pytest.fixture
async def fay(town: Town) -> AsyncIterator[tuple[str, str]]:
    """Somebody on record without an account: their id, and the code of their invitation."""
    person = {"resourceType": "Patient", "name": [{"family": "Fay", "given": ["Flo"]}], "birthDate": "1970-07-07"}
    made = await as_staff(town, "Patient", person)
    id = made.json()["id"]
    yield id, await invited(town, id)


async def invited(town: Town, id: str) -> str:
    answer = await as_staff(town, f"Patient/{id}/$invite", {"resourceType": "Parameters"})
    assert answer.status_code == 200, answer.text
    [invitation] = answer.json()["parameter"]
    return next(str(part["valueString"]) for part in invitation["part"] if part["name"] == "code")


async def test_an_invitation_opens_the_record_once(town: Town, fay: tuple[str, str]) -> None:
    id, code = fay
    newer = await invited(town, id)
    typed = {"birth-date": "1970-07-07", "login": "flo", "password": PASSWORD}
    async with town.visitor() as http, town.visitor() as other:
        pages = [await register(http, "/register/invitation", **typed, code=code)]
        pages.append(await register(http, "/register/invitation", **typed, code="ABCD-EFGH-JKLM"))
        pages.append(await register(http, "/register/invitation", **{**typed, "birth-date": "1970-07-08"}, code=newer))
        # Replaced by a newer one, unknown, another birth date: told in the same words.
        assert [page.status_code for page in pages] == [422, 422, 422]
        assert len({re.sub(r'value="[^"]*"', "", page.text) for page in pages}) == 1
        asked: list[Form] = []
        for browser in (http, other):
            asked.append(forms(await browser.get("/register/invitation"))["register"])
        done = await asyncio.gather(
            *(send(each, form, **typed, code=newer.lower()) for each, form in zip((http, other), asked, strict=True))
        )
        assert sorted(page.status_code for page in done) == [200, 422]
        winner = http if done[0].status_code == 200 else other
        page = await winner.get("/portal/login?next=/me")
        assert f"/me/answers?person={id}" in page.text
    again = await as_staff(town, f"Patient/{id}/$invite", {"resourceType": "Parameters"})
    assert again.status_code == 409
    assert again.json()["issue"][0]["details"]["coding"][0]["code"] == "account-exists"


async def test_a_few_wrong_birth_dates_end_an_invitation(town: Town, fay: tuple[str, str]) -> None:
    typed = {"login": "flo", "password": PASSWORD, "code": fay[1]}
    async with town.visitor() as http:
        for day in range(1, 6):
            assert (await register(http, "/register/invitation", **typed, **{"birth-date": f"1970-07-0{day}"})).is_error
        page = await register(http, "/register/invitation", **typed, **{"birth-date": "1970-07-07"})
        assert page.status_code == 422


async def test_an_address_registers_so_many_in_an_hour(town: Town) -> None:
    settings = Settings.model_validate({"data": town.teller.sample.folder.parent, "base_url": town.origin + "/fhir"})
    async with administering.opened(settings) as context:
        authority = context.authority
        key, now = authority.keyed("registrations", "127.0.0.1"), authority.now()
        for _ in range(settings.registrations):
            await authority.passing.count("asked", key, now + 60, now)
        try:
            async with town.visitor() as http:
                page = await register(http, **ANA)
            assert (page.status_code, page.headers["retry-after"]) == (429, "3600")
            assert "too many tries" in page.text
        finally:
            await authority.passing.remove("asked", key)
