"""https://hl7.org/fhir/R4/immunization.html

At the chair: somebody is found or registered, screened, vaccinated once however often the form is sent, and corrected.
"""

import asyncio
import html
import re
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import zxingcpp

from tests.oauth.browser import Form, forms
from tests.portal.conftest import Town
from tests.portal.test_me import send
from tests.portal.test_register import as_staff
from tests.portal.test_verify import told

TODAY = datetime.now(ZoneInfo("America/New_York")).date()
SOON = TODAY + timedelta(days=90)
COMIRNATY = "00300692528012"
SPIKEVAX_FOR_CHILDREN = "80777-0113-09"
NOTHING = {"allergies": "none", "health": "none", "elsewhere": "false"}
MOST_INTERACTIONS = 8


def code_of(lot: str, gtin: str = COMIRNATY, expires: date = SOON) -> str:
    return f"01{gtin}17{expires:%y%m%d}10{lot}"


def form_of(page: httpx.Response, name: str) -> Form:
    return forms(page)[name]


async def register(http: httpx.AsyncClient, family: str, born: str = "1970-03-04", **more: str) -> httpx.Response:
    form = form_of(await http.get("/clinic/people"), "register")
    return await send(http, form, given="Rosa", family=family, birth=born, **more)


async def asked(http: httpx.AsyncClient, town: Town, path: str, **parameters: str) -> dict[str, Any]:
    """What the API says to the visitor themself."""
    token = next(cookie.value for cookie in http.cookies.jar if cookie.name == "portal")
    answer = await http.get(f"/fhir/{path}", params=parameters, headers={"authorization": f"Bearer {token}"})
    found: dict[str, Any] = answer.json()
    return found


async def doses(http: httpx.AsyncClient, town: Town, page: httpx.Response) -> list[dict[str, Any]]:
    patient = str(page.url).partition("/people/")[2].partition("/")[0]
    found = await asked(http, town, "Immunization", patient=patient)
    return [entry["resource"] for entry in found.get("entry", ())]


async def dose_form(http: httpx.AsyncClient, person: httpx.Response) -> Form:
    return form_of(await http.get(f"{person.url}/dose"), "dose")


async def test_pages_are_for_providers(town: Town) -> None:
    async with town.visitor("ruth") as http:
        assert (await http.get("/clinic")).status_code == 403
        assert "/clinic" not in (await http.get("/")).text
    async with town.visitor("ortiz") as http:
        assert 'href="/clinic"' in (await http.get("/")).text
        for path in ("/clinic", "/clinic/lots", "/clinic/due", "/clinic/people"):
            page = await http.get(path)
            assert (page.status_code, len(page.content) < 60_000) == (200, True), path
        for path in ("/clinic/people/unknown", "/clinic/people/a%20b", "/clinic/people/unknown/dose"):
            assert (await http.get(path)).status_code == 404, path
        assert (await http.post("/clinic", data={"family": "Whitfield"})).status_code == 403


async def test_somebody_is_found(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        find = form_of(await http.get("/clinic"), "find")
        for typed in ({"family": "whitf"}, {"birth": "1950-06-02", "given": "Ruth"}, {"identifier": "MRN-ruth"}):
            page = await send(http, find, **typed)
            assert "/clinic/people/demo-ruth" in page.text, typed
        # A day and month the wrong way round is no hit, but a hint.
        near = await send(http, find, family="Whitfeld", given="Ruth", birth="1950-02-06")
        assert "Nobody was found" in near.text
        assert "/clinic/people/demo-ruth" in near.text
        assert "nearly the same date of birth" in near.text
        empty = await send(http, find)
        assert (empty.status_code, "first." in empty.text) == (422, True)
        wrong = await send(http, find, family="Pe%ña", birth="1950-02-31")
        assert (wrong.status_code, 'value="1950-02-31"' in wrong.text) == (422, True)


async def test_nobody_is_registered_twice_unseen(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        form = form_of(await http.get("/clinic/people"), "register")
        wrong = await send(http, form, given="Rosa", family="", birth="2999-01-01", phone="12", email="x", gender="cat")
        assert wrong.status_code == 422
        for field in ("family", "birth", "phone", "email", "gender"):
            assert f'id="{field}-problem"' in wrong.text
        assert 'value="Rosa"' in wrong.text
        typed = {"given": "carlos", "family": "Hernandez", "birth": "1988-09-17", "phone": "919-555-0188"}
        warned = await send(http, form, **typed)
        assert (warned.status_code, "Is it one of these?" in warned.text) == (409, True)
        assert "the same name, the same date of birth" in told(warned).text
        again = form_of(warned, "register")
        assert dict(again.fields)["form"] == dict(form.fields)["form"]
        both = await asyncio.gather(*(send(http, again, **typed, decision="none-of-these") for _ in range(2)))
        assert {str(page.url) for page in both} == {str(both[0].url)}
        assert "/clinic/people/" in str(both[0].url)
        assert "No e-mail address" in both[0].text


async def test_a_hidden_twin_is_left_to_stewards(town: Town) -> None:
    hidden = {"resourceType": "Patient", "name": [{"family": "Hidden,Núñez", "given": ["Ana", "Rosa"]}]}
    made = await town.teller.speaking("state-registry").post("Patient", {**hidden, "birthDate": "1931-01-02"})
    async with town.visitor("ortiz") as http:
        form = form_of(await http.get("/clinic/people"), "register")
        page = await send(http, form, given="Ana Rosa", family="Hidden,Núñez", birth="1931-01-02")
        assert page.url.path.startswith("/clinic/people/")
        assert made["id"] not in page.url.path
    registry = town.teller.speaking("state-registry")
    told = await registry.get(
        "Task", code="possible-duplicate", focus=page.url.path.replace("/clinic/people", "Patient")
    )
    [task] = [entry["resource"] for entry in told["entry"]]
    assert task["input"][0]["valueReference"]["reference"] == f"Patient/{made['id']}"


async def test_lots_of_the_day(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        page = await http.get("/clinic/lots")
        form = form_of(page, "add")
        assert (await send(http, form, code="EL9261")).status_code == 422
        half = await send(http, form, code="00069-2528-01")
        assert "The code does not say the lot." in half.text
        assert 'value="00069-2528-01"' in half.text
        both = await asyncio.gather(
            send(http, form, code=code_of("LOT-A")),
            send(http, form, code=SPIKEVAX_FOR_CHILDREN, number="LOT-B", expires=SOON.isoformat()),
        )
        assert [answer.status_code for answer in both] == [200, 200]
        page = await http.get("/clinic/lots")
        assert "LOT-A" in page.text
        assert "LOT-B" in page.text
        known = "https://fhir-server.example/fhir/NamingSystem/lots-of-the-day|"
        found = await asked(http, town, "List", identifier=known, subject="Location/demo-mercy-clinic")
        [listed] = [entry["resource"] for entry in found["entry"]]
        assert listed["subject"]["reference"] == "Location/demo-mercy-clinic"
        assert {each["batch"]["lotNumber"] for each in listed["contained"]} == {"LOT-A", "LOT-B"}
        key = html.unescape(re.findall(r'name="lot" value="([^"]+LOT-B)"', page.text)[0])
        removed = await send(http, form, lot=key, decision="remove")
        assert "LOT-B" not in removed.text


async def test_a_picture_of_a_package(town: Town) -> None:
    text = code_of("PHOTO-1")
    image = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.DataMatrix).to_image(scale=6)
    async with town.visitor("ortiz") as http:
        page = await http.post("/clinic/lots/picture", files={"picture": ("code.png", _png(image))})
        assert f'value="{text}"' in page.text
        dark = await http.post("/clinic/lots/picture", files={"picture": ("cat.png", b"\x89PNG\r\n\x1a\n")})
        assert (dark.status_code, 'id="picture-problem"' in dark.text) == (422, True)


async def test_a_dose_is_recorded_once(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, "Quintero", "1955-05-05")
        form = await dose_form(http, person)
        # Two boxes and one answer, the code, the site, the button: with the link to the page seven.
        typed = {**NOTHING, "code": code_of("ONCE-1"), "site": "LD", "route": "IM", "day": TODAY.isoformat()}
        assert len(typed) - 2 + 2 <= MOST_INTERACTIONS
        page = await send(http, form, **typed)
        if "doubts" in forms(page):
            page = await send(http, form_of(page, "doubts"), decision="save")
        assert (page.status_code, 'data-minutes="15"' in page.text) == (200, True)
        again = await asyncio.gather(*(send(http, form, **typed) for _ in range(3)))
        assert {str(each.url) for each in again} == {str(page.url)}
        [dose] = await doses(http, town, person)
        assert dose["lotNumber"] == "ONCE-1"
        assert dose["vaccineCode"]["coding"][0]["code"] == "309"
        assert dose["manufacturer"]["identifier"]["value"] == "PFR"
        assert dose["expirationDate"] == SOON.isoformat()
        assert dose["doseQuantity"]["value"] == 0.3
        assert dose["site"]["coding"][0]["code"] == "LD"
        assert dose["location"]["reference"] == "Location/demo-mercy-clinic"
        assert dose["performer"][0]["actor"]["reference"] == "Practitioner/demo-nurse-ortiz"
        [answer] = [
            entry["resource"]
            for entry in (await asked(http, town, "QuestionnaireResponse", identifier=dose["identifier"][0]["value"]))[
                "entry"
            ]
        ]
        assert answer["subject"] == dose["patient"]
        assert "Quintero" in told(await http.get("/clinic")).text
        card = await send(http, form_of(page, "card"))
        assert (card.status_code, "Rosa Quintero" in card.text, "<svg" in card.text) == (200, True, True)


async def test_twins_of_a_request_store_one_dose(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, "Twin", "1961-05-05")
        form = await dose_form(http, person)
        typed = {**NOTHING, "code": code_of("TWIN-1"), "site": "RD", "route": "IM", "day": TODAY.isoformat()}
        page = await send(http, form, **typed)
        if "doubts" in forms(page):
            form, typed = form_of(page, "doubts"), {"decision": "save"}
            pages = await asyncio.gather(*(send(http, form, **typed) for _ in range(4)))
            assert {each.status_code for each in pages} == {200}
        assert len(await doses(http, town, person)) == 1


async def test_signed_out_meanwhile_nothing_is_lost(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, "Outside", "1962-05-05")
        form = await dose_form(http, person)
        token = next(cookie for cookie in http.cookies.jar if cookie.name == "portal")
        http.cookies.delete("portal")
        typed = {**NOTHING, "health": ["pregnant", "fillers"], "code": code_of("LATE-1"), "site": "RT", "route": "IM"}
        page = await send(http, form, **typed, day=TODAY.isoformat())
        assert (page.status_code, "Please sign in again" in page.text) == (401, True)
        assert (await http.post(form.action, data={"code": "x"})).url.path != form.action
        http.cookies.jar.set_cookie(token)
        page = await send(http, form_of(page, "again"))
        said = told(page).text
        assert "Pregnant or breastfeeding" in said
        assert "Dermal fillers" in said
        page = await send(http, form_of(page, "doubts"), decision="save")
        assert "LATE-1" in told(page).text


async def test_what_speaks_against_a_dose_is_told_before(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, "Doubt", "1980-05-05")
        form = await dose_form(http, person)
        empty = await send(http, form, lot="", site="", route="IM", day="2021-02-30", code="what")
        assert empty.status_code == 422
        for field in ("allergies", "health", "elsewhere", "code", "site", "day"):
            assert f'id="{field}-problem"' in empty.text, field
        both = await send(http, form, **{**NOTHING, "health": ["none", "ill"]}, site="LD", route="IM", day="", code="")
        assert 'id="health-problem"' in both.text
        assert re.search(r'value="ill" checked', both.text)
        wrong = {
            **NOTHING,
            "allergies": "peg",
            "code": SPIKEVAX_FOR_CHILDREN,
            "number": "C-1",
            "expires": SOON.isoformat(),
        }
        typed = {**wrong, "site": "LD", "route": "IM", "day": TODAY.isoformat()}
        page = await send(http, form, **typed)
        assert page.status_code == 409
        said = told(page).text
        assert "not meant for the age" in said
        assert "Allergic to polyethylene glycol" in said
        assert "The schedule speaks against this product" in said
        assert await doses(http, town, person) == []
        back = await send(http, form_of(page, "doubts"), decision="change")
        assert re.search(r'value="peg" checked', back.text)
        assert f'value="{SPIKEVAX_FOR_CHILDREN}"' in back.text
        saved = await send(http, form_of(page, "doubts"), decision="save")
        assert 'data-minutes="30"' in saved.text
        # The next one is too early, and the second of this day.
        early = await send(http, await dose_form(http, person), **{**typed, **NOTHING, "code": code_of("NEXT")})
        said = told(early).text
        assert "is already on record, lot C-1" in said
        assert re.search(r"By the schedule the next dose can be given from \w+ \d+, 20\d\d on", said)
        expired = code_of("OLD", expires=TODAY - timedelta(days=1))
        late = await send(http, await dose_form(http, person), **{**typed, **NOTHING, "code": expired})
        assert "after its lot expired" in told(late).text
        assert len(await doses(http, town, person)) == 1


async def test_a_dose_is_corrected_and_taken_back(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, "Correct", "1950-05-05")
        typed = {**NOTHING, "code": code_of("WRONG"), "site": "LD", "route": "IM", "day": TODAY.isoformat()}
        page = await send(http, await dose_form(http, person), **typed)
        if "doubts" in forms(page):
            page = await send(http, form_of(page, "doubts"), decision="save")
        address = str(page.url)
        correct = form_of(await http.get(f"{address}/correct"), "correct")
        right = {"lot": "recorded", "code": code_of("RIGHT"), "site": "RD", "route": "IM", "day": TODAY.isoformat()}
        page = await send(http, correct, **right)
        if "doubts" in forms(page):
            page = await send(http, form_of(page, "doubts"), decision="save")
        assert str(page.url) == address
        [dose] = await doses(http, town, person)
        assert (dose["lotNumber"], dose["site"]["coding"][0]["code"]) == ("RIGHT", "RD")
        assert "T" in dose["occurrenceDateTime"]
        stale = await send(http, correct, **right)
        assert (stale.status_code, "Somebody has changed this dose meanwhile" in stale.text) == (409, True)
        back = form_of(stale, "take-back")
        unsure = await send(http, back, decision="take-back")
        assert (unsure.status_code, "Say that the dose was not given" in unsure.text) == (422, True)
        page = await send(http, back, decision="take-back", sure="yes")
        assert 'data-status="entered-in-error"' in page.text
        assert (await doses(http, town, person))[0]["status"] == "entered-in-error"
        over = await send(http, correct, **right)
        assert (over.status_code, "This dose does not count." in over.text) == (200, True)
        strange = str(person.url.path).rpartition("/")[2]
        for path in ("", "/correct", "/ask"):
            elsewhere = address.replace(strange, "demo-ruth") + path
            assert (await http.get(elsewhere)).status_code == 404


async def test_others_are_asked_to_correct(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        registry = town.teller.speaking("state-registry")
        dose = {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "309"}]},
            "patient": {"reference": "Patient/demo-carlos"},
            "occurrenceDateTime": "2025-10-01",
            "primarySource": True,
            "lotNumber": "THEIRS",
            "site": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0163", "code": "LD"}]},
        }
        made = await registry.post("Immunization", dose)
        address = f"/clinic/people/demo-carlos/doses/{made['id']}"
        form = form_of(await http.get(f"{address}/correct"), "take-back")
        page = await send(http, form, decision="take-back", sure="yes")
        assert str(page.url) == f"{town.origin}{address}/ask"
        ask = form_of(page, "ask")
        assert (await send(http, ask, text=" ")).status_code == 422
        sent = await asyncio.gather(*(send(http, ask, text="It was another person.") for _ in range(2)))
        assert all('id="sent"' in each.text for each in sent)
        found = await asked(http, town, "Task", focus=f"Immunization/{made['id']}")
        [task] = [entry["resource"] for entry in found["entry"]]
        assert task["description"] == "It was another person."
        assert task["owner"]["reference"] == "Organization/demo-mercy"


async def test_a_code_is_handed_over(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, "Coded", "1957-05-05")
        page = await send(http, form_of(person, "invite"))
        code = re.findall(r'class="code">([^<]+)<', page.text)[0]
        assert f"{town.origin}/register/invitation" in told(page).text
        assert "It works once" in told(page).text
        assert len(code) > 8
        for path in ("card", "code"):
            assert (await http.get(f"/clinic/people/demo-ruth/{path}")).url.path == "/clinic/people/demo-ruth"
        known = await send(http, form_of(await http.get("/clinic/people/demo-ruth"), "invite"))
        assert 'class="code"' not in known.text
        recovered = await send(http, form_of(known, "recovery"), decision="give")
        assert re.search(r'id="recovery-code">[A-Z2-9-]{14}<', recovered.text)
        assert "The code for ruth, for one hour:" in told(recovered).text


async def test_people_to_call(town: Town) -> None:
    async with town.visitor("ortiz", "es") as http:
        page = await http.get("/clinic/due", params={"day": "2021-01-14"})
        assert page.status_code == 200
        assert "Personas a las que llamar" in page.text
    async with town.visitor("ortiz") as http:
        person = await register(http, "Called", "1950-02-02", phone="919-555-0123")
        page = await http.get("/clinic/due", params={"day": "2021-01-14"})
        assert "up to 20 people are looked through" in page.text
        while "Rosa Called" not in page.text:
            further = re.search(r'href="(/clinic/due\?[^"]*)">Look further', page.text)
            assert further is not None, page.text
            page = await http.get(html.unescape(further[1]))
        assert 'href="tel:+19195550123"' in page.text
        assert person.url.path in page.text
        assert "Today" not in told(page).text


async def test_the_list_of_today_and_everybody_again(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        async with asyncio.timeout(30):
            # Made by the worker within some seconds of the start.
            page = await http.get("/clinic/due")
            while "The list as of " not in page.text:
                await asyncio.sleep(0.2)
                page = await http.get("/clinic/due")
        again = re.search(r'href="(/clinic/due\?[^"]*everybody=true)">Look through everybody again', page.text)
        assert again is not None, page.text
        everybody = await http.get(html.unescape(again[1]))
        assert "Not from a list: up to 20 people" in everybody.text
        assert 'href="/clinic/due">Today\'s list' in everybody.text
        assert (await http.get("/clinic/due", params={"_page": "nonsense"})).status_code == 400
    async with town.visitor("ortiz", "es") as http:
        assert "La lista, tal como estaba a las " in (await http.get("/clinic/due")).text


PAYLOADS = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>']


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_nothing_typed_becomes_markup(town: Town, payload: str) -> None:
    async with town.visitor("ortiz") as http:
        person = await register(http, payload, "1940-01-01")
        if "register" in forms(person):
            person = await send(
                http,
                form_of(person, "register"),
                given="Rosa",
                family=payload,
                birth="1940-01-01",
                decision="none-of-these",
            )
        pages = [person, await http.get(f"{person.url}/dose")]
        pages.append(await send(http, form_of(pages[1], "dose"), **NOTHING, code=payload, site=payload, day=payload))
        pages.append(await send(http, form_of(await http.get("/clinic"), "find"), family=payload))
        for page in pages:
            assert page.status_code in (200, 422)
            assert "<script>alert" not in page.text
            assert "<img" not in page.text


def _png(image: Any) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.array(image)).save(out, "PNG")
    return out.getvalue()


async def test_the_separators_of_a_scanner_arrive(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        form = await dose_form(http, await register(http, "Separada"))
        code = f"01{COMIRNATY}21ABC\x1d17{SOON:%y%m%d}10GS-1"
        page = await send(http, form, **NOTHING, code=code, site="LD", route="IM", day=TODAY.isoformat())
        assert "GS-1" in page.text
        assert page.url.path.rpartition("/")[0].endswith("/doses")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"birthDate": "9999-12-31"}, "born December 31, 9999"),
        ({"name": [{"family": "Sinfecha"}]}, "born —"),
        ({"birthDate": "1950-02"}, "born 1950-02"),
    ],
)
async def test_records_of_others_that_lack_or_exaggerate(town: Town, said: dict[str, Any], shown: str) -> None:
    patient = {"resourceType": "Patient", "managingOrganization": {"reference": "Organization/demo-mercy"}, **said}
    made = await as_staff(town, "Patient", patient)
    assert made.status_code == 201, made.text
    async with town.visitor("ortiz") as http:
        page = await http.get(f"/clinic/people/{made.json()['id']}")
    assert page.status_code == 200
    assert shown in told(page).text
    assert ("name" in said) != ("<h1>No name stated</h1>" in page.text)


async def test_forms_that_are_known_again_by_nothing_of_ours(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        form = await dose_form(http, await register(http, "Conocida"))
        dose = await send(http, form, **NOTHING, code=code_of("KN-1"), site="LD", route="IM", day=TODAY.isoformat())
        asking = forms(await http.get(f"{dose.url}/ask"))
        [ask] = [each for each in asking.values() if each.action.endswith("/ask")]
        new = form_of(await http.get("/clinic/people"), "register")
        typed = {"text": "x", "given": "Otra", "family": "Persona", "birth": "1911-01-01"}
        for number in ("", "😀", "a\r\nx: y", "1"):
            for each in (ask, new):
                page = await http.post(each.action, data={**dict(each.fields), **typed, "form": number})
                assert page.status_code == 400, (each.action, number)


async def test_a_day_before_all_schedules_is_told_in_plain_words(town: Town) -> None:
    async with town.visitor("ortiz") as http:
        form = await dose_form(http, await register(http, "Antigua"))
        typed = {"code": "0069-2528-01", "number": "OLD-1", "expires": SOON.isoformat(), "site": "LD", "route": "IM"}
        page = await send(http, form, **NOTHING, **typed, day="2020-02-29")
        assert page.status_code == 409
        assert "No schedule known here was in force on February 29, 2020" in page.text
        assert "There are:" not in page.text
