"""https://hl7.org/fhir/R4/patient.html

My page, for somebody whose series is complete, for somebody who declined, and for nobody else.
"""

import re
from urllib.parse import urlencode

import httpx
import pytest

from tests.oauth.browser import Form, forms
from tests.portal.conftest import Town
from tests.portal.test_verify import told


def form_to(page: httpx.Response, action: str, kind: str = "") -> Form:
    """The first form that goes there (and is about this choice)."""
    found = re.findall(rf'<form[^>]*action="{action}".*?</form>', page.text, re.S)
    [text] = [each for each in found if not kind or f'value="{kind}"' in each]
    (form,) = forms(httpx.Response(200, text=text)).values()
    return form


async def send(http: httpx.AsyncClient, form: Form, **typed: object) -> httpx.Response:
    pairs = [pair for pair in form.fields if pair[0] not in typed]
    body = urlencode([*pairs, *typed.items()], doseq=True)
    return await http.post(form.action, content=body, headers={"content-type": "application/x-www-form-urlencoded"})


async def test_who_has_not_signed_in_is_asked_to(town: Town) -> None:
    async with town.visitor() as http:
        answer = await http.get("/me")
        assert "login" in forms(answer)
        assert answer.history[0].headers["location"] == "/portal/login?next=%2Fme"


async def test_a_complete_series_and_its_card(town: Town) -> None:
    async with town.visitor("ruth") as http:
        page = await http.get("/me")
        text = told(page).text
        assert page.status_code == 200
        assert len(page.content) < 60_000
        for said in ("Ruth Whitfield", "January 20, 2021", "February 10, 2021", "EL0140", "EL3247"):
            assert said in text, said
        card = await send(http, form_to(page, "/me/card"))
        assert card.status_code == 200
        assert "Ruth Whitfield" in card.text
        assert "<svg" in card.text


async def test_ids_that_are_none(town: Town) -> None:
    async with town.visitor("ruth") as http:
        for id in (
            "%00",
            "demo-ruth/$everything",
            "../Patient/demo-ruth",
            "demo-ruth?_summary=true",
            "x" * 65,
            "%F0%9F%98%80",
        ):
            for path in ("/me", "/me/log", "/me/copy", "/me/dispute"):
                assert (await http.get(f"{path}?person={id}")).status_code == 404, (path, id)
        assert (await http.get("/me/dispute?dose=a,b|c")).status_code == 404
        page = await http.get("/me")
        form = form_to(page, "/me/card")
        assert (await send(http, form, person="a\x01b/$everything")).status_code == 404


async def test_in_spanish(town: Town) -> None:
    async with town.visitor("ruth", "es") as http:
        text = told(await http.get("/me")).text
        for said in ("20 de enero de 2021", "Mostrar mi tarjeta", "No quiero la vacuna"):
            assert said in text, said


async def test_a_language_that_was_chosen_stays_also_on_the_card(town: Town) -> None:
    async with town.visitor("ruth") as http:
        page = await http.get("/me?person=demo-ruth&lang=es")
        # The way back to English keeps whose page it is.
        assert 'href="/me?person=demo-ruth&amp;lang=en"' in page.text
        card = await send(http, form_to(page, "/me/card"))
        assert "Tarjeta de vacunación" in card.text
        # What a form leads to is looked at in another language without sending it again.
        assert (await http.get("/me/card?lang=en")).url.path == "/me"


async def test_opting_out_and_coming_back(town: Town) -> None:
    async with town.visitor("amy") as http:
        page = await http.get("/me")
        assert 'data-status="opted-out"' in page.text
        page = await send(http, form_to(page, "/me/choices", "decline-vaccine"), decision="take-back")
        assert 'data-status="opted-out"' not in page.text
        page = await send(http, form_to(page, "/me/choices", "no-contact"), decision="choose")
        assert "You may write to me again" in page.text
        assert 'data-status="opted-out"' not in page.text
        page = await send(http, form_to(page, "/me/choices", "no-contact"), decision="take-back")
        page = await send(http, form_to(page, "/me/choices", "decline-vaccine"), decision="choose")
        assert 'data-status="opted-out"' in page.text


async def test_answers_are_changed_and_looked_at_anew(town: Town) -> None:
    async with town.visitor("ruth") as http:
        page = await http.get("/me/answers")
        assert 'value="1950-06-02"' in page.text
        form = form_to(page, "/me/answers")
        wrong = await send(http, form, **{"birth-date": "1950-02-30", "county": "Wake", "occupation": "education"})
        assert wrong.status_code == 422
        assert "This is no day of the calendar." in wrong.text
        assert 'value="1950-02-30"' in wrong.text
        assert 'value="Wake"' in wrong.text
        assert re.search(r'value="education" checked', wrong.text)
        right = await send(http, form, **{"birth-date": "1950-06-02", "county": "Wake", "occupation": "education"})
        assert str(right.url) == f"{town.origin}/me?person=demo-ruth"
        again = await http.get("/me/answers")
        assert re.search(r'value="education" checked', again.text)
        assert 'value="Wake"' in again.text
        # However quickly they follow each other, the last ones count.
        for occupation in ("health-care", "education", "health-care", "education"):
            typed = {"birth-date": "1950-06-02", "county": "Wake", "occupation": occupation}
            sent = await send(http, form_to(again, "/me/answers"), **typed)
            assert sent.url == right.url
            again = await http.get("/me/answers")
            assert re.search(rf'value="{occupation}" checked', again.text)


async def test_nobody_elses_record(town: Town) -> None:
    async with town.visitor("ruth") as http:
        assert (await http.get("/me?person=demo-amy")).status_code == 404
        page = await http.get("/me")
        assert (await send(http, form_to(page, "/me/card"), person="demo-amy")).status_code == 404
        assert (await send(http, form_to(page, "/me/card"), form_token="0" * 64)).status_code == 403
        assert (await http.post("/me/choices", data={"kind": "no-contact"})).status_code == 403


@pytest.mark.parametrize("path", ["/me", "/me/answers"])
async def test_staff_have_other_pages(town: Town, path: str) -> None:
    async with town.visitor("ortiz") as http:
        assert (await http.get(path)).status_code == 403
