"""https://hl7.org/fhir/R4/relatedperson.html

For whom somebody acts: children they register, and those whose record a vaccination site opens to them.
"""

import re
from datetime import date

import httpx

from tests.oauth.browser import forms
from tests.portal.conftest import Town
from tests.portal.test_clinic import form_of
from tests.portal.test_clinic import register as register_at_the_chair
from tests.portal.test_me import form_to, send
from tests.portal.test_register import ANA, PASSWORD, as_staff, register
from tests.portal.test_verify import told

BORN = date.today().replace(day=1, year=date.today().year - 9).isoformat()


async def given(town: Town, family: str) -> tuple[str, str]:
    """A child registered at the chair: its id, and the code that a guardian was handed."""
    async with town.visitor("ortiz") as http:
        person = await register_at_the_chair(http, family, BORN)
        page = await send(http, form_of(person, "proxy-code"), **{"as": "proxy"})
        assert "give it to the parent or guardian only" in told(page).text
        return str(person.url).rpartition("/")[2], re.findall(r'class="code">([^<]+)<', page.text)[0]


async def add(http: httpx.AsyncClient, decision: str, **typed: str) -> httpx.Response:
    form = forms(await http.get("/me/people"))[f"{decision}-form"]
    return await send(http, form, decision=decision, **typed)


async def test_a_code_from_the_chair_opens_a_childs_record(town: Town) -> None:
    kid, code = await given(town, "Handed")
    async with town.visitor() as http:
        await register(http, **ANA)
        await http.get("/portal/login?next=/me")
        # Neither its id nor its name opens a record, and a wrong day is told as a wrong code is.
        assert (await http.get(f"/me?person={kid}")).status_code == 404
        wrong = [await add(http, "code", code=code, born="2019-01-02"), await add(http, "code", code="x", born=BORN)]
        assert [page.status_code for page in wrong] == [422, 422]
        assert len({re.sub(r'value="[^"]*"', "", page.text) for page in wrong}) == 1
        page = await add(http, "code", code=code, born=BORN)
        assert (page.status_code, page.url.query.decode()) == (200, f"person={kid}")
        assert "<h1>Rosa Handed</h1>" in page.text
        assert "You act for Rosa Handed, until" in page.text
        assert "Ana Nueva" in page.text
        for path in ("answers", "contact", "share", "log"):
            assert "You act for Rosa Handed" in (await http.get(f"/me/{path}?person={kid}")).text, path
        mine = await http.get("/me")
        assert "<h1>Ana Nueva</h1>" in mine.text
        assert "You act for" not in mine.text
        assert (await add(http, "code", code=code, born=BORN)).status_code == 422
        log = await as_staff(town, f"AuditEvent?patient={kid}&action=E")
        assert any("own-portal" in str(entry["resource"]) for entry in log.json()["entry"])
        people = await http.get("/me/people")
        ended = await send(http, form_to(people, "/me/people", kid), decision="end")
        assert "You act for nobody at present." in ended.text
        assert (await http.get(f"/me?person={kid}")).status_code == 404


async def test_a_guardian_without_an_account_opens_one_with_the_code(town: Town) -> None:
    kid, code = await given(town, "Orphan")
    async with town.visitor() as http:
        typed = {"birth-date": BORN, "login": "guardian", "password": PASSWORD, "code": code}
        assert (await register(http, "/register/invitation", **typed)).status_code == 200
        page = await http.get("/portal/login?next=/me")
        assert "You act for Rosa Orphan, until" in page.text
        assert "person=" + kid in page.text
        # Who acts for one person and is nobody else does not lose them by a click.
        people = await http.get("/me/people")
        assert "no longer" not in people.text
        form = forms(people)["code-form"]
        await send(http, form, decision="end", person=kid)
        assert "You act for Rosa Orphan" in (await http.get("/me")).text


async def test_a_child_is_registered_as_somebody_new(town: Town) -> None:
    async with town.visitor(language="es") as http:
        await register(http, **ANA)
        await http.get("/portal/login?next=/me")
        typed = {"given": "Ruth", "family": "Whitfield", "birth-date": "1950-06-02"}
        adult = await add(http, "child", **typed)
        assert adult.status_code == 422
        assert "menores de 18" in adult.text
        assert 'value="Whitfield"' in adult.text
        empty = await add(http, "child", given="", family="", **{"birth-date": "2015-02-30"})
        for field in ("given", "family", "birth-date"):
            assert f'id="{field}-problem"' in empty.text
        kid = {"family": "Secreta", "given": ["Nora"]}
        known = await as_staff(town, "Patient", {"resourceType": "Patient", "name": [kid], "birthDate": BORN})
        form = forms(await http.get("/me/people"))["child-form"]
        nora = {"given": "Nora", "family": "Secreta", "birth-date": BORN}
        page = await send(http, form, decision="child", **nora)
        assert "<h1>Nora Secreta</h1>" in page.text
        # A button that was pressed twice registers once.
        again = await send(http, form, decision="child", **nora)
        assert (again.status_code, again.url.path) == (200, "/me/people")
        assert known.json()["id"] not in page.text
        assert (await http.get(f"/me?person={known.json()['id']}")).status_code == 404
        assert (await as_staff(town, "Patient?family=Secreta&_summary=count")).json()["total"] == 2
