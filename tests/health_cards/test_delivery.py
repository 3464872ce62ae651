"""Cards as people get them: page, print, PDF, picture and file, in English and Spanish."""

import re
from typing import Any

import httpx
import pytest
import zxingcpp
from PIL import Image

from fhir_server.domain.sentences import LANGUAGES, sentence
from fhir_server.http.card_face import Face, face
from fhir_server.http.card_page import HEADERS, page
from fhir_server.http.card_pdf import pdf
from smart_health_cards import Report, Verdict, read_picture
from terminology import codes
from tests.health_cards.conftest import People, dose, until


async def test_the_page_in_both_languages(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose("", performer=[{"actor": {"display": "Wake County Health"}}]))
    (address,) = await people.addresses(patient)
    english = await client.get(address)
    assert english.status_code == 200
    assert english.headers["content-type"] == "text/html; charset=utf-8"
    assert english.headers["cache-control"] == "private, no-store"
    assert english.headers["referrer-policy"] == "no-referrer"
    for text in ("Vaccination card", "Ana Peña", "Born March 2, 1950", "January 29, 2021", "COVID-19", "EL9261"):
        assert text in english.text
    assert "Wake County Health" in english.text and 'role="alert"' not in english.text
    for spanish in (
        await client.get(address, headers={"accept-language": "es-MX"}),
        await client.get(address, params={"lang": "es"}, headers={"accept-language": "en"}),
    ):
        assert '<html lang="es">' in spanish.text
        for text in ("Tarjeta de vacunación", "Fecha de nacimiento: 2 de marzo de 1950", "29 de enero de 2021"):
            assert text in spanish.text


async def test_every_form_carries_the_same_card(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose(""))
    (address,) = await people.addresses(patient)
    file = await client.get(address + ".smart-health-card")
    assert file.headers["content-type"] == "application/smart-health-card"
    assert file.headers["content-disposition"] == 'attachment; filename="vaccination.smart-health-card"'
    (card,) = file.json()["verifiableCredential"]
    picture = await client.get(address + ".png")
    assert read_picture(picture.content) == ["shc:/" + "".join(f"{ord(char) - 45:02}" for char in card)]
    drawn = await client.get(address + ".svg")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    printed = await client.get(address + ".pdf")
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.content.startswith(b"%PDF-")
    for unknown in (address + ".exe", address + "0", address[:-1], address + ".png.png"):
        assert (await client.get(unknown)).status_code == 404


async def test_a_revoked_card_says_so(people: People, client: httpx.AsyncClient) -> None:
    patient, (given,) = await people.person(dose(""))
    (address,) = await people.addresses(patient)

    async def told() -> bool:
        return "no longer counts" in (await client.get(address)).text

    assert (await client.delete(f"Immunization/{given}")).is_success
    await until(told)
    assert "ya no es válida" in (await client.get(address, params={"lang": "es"})).text


def test_a_card_that_no_longer_counts_leads_to_a_new_one() -> None:
    revoked = report(revocation="fail")
    for language, offer in (("en", "Sign in and get a new card"), ("es", "Iniciar sesión y obtener una tarjeta nueva")):
        offered = page(face(revoked, language), "abc", b"<svg/>", None, "../me").decode()
        assert f'<a class="" href="../me">{offer}</a>' in offered
        assert offer not in page(face(report(), language), "abc", b"<svg/>", None, "../me").decode()
        assert offer not in page(face(revoked, language), "abc", b"<svg/>", None).decode(), "nobody signs in there"


def report(name: str = "Ana Peña", vaccine: str = "208", **more: Any) -> Report:
    verdicts = tuple(
        Verdict(check, more.get(check, "pass"), "fine", "")
        for check in ("format", "signature", "validity", "revocation", "trust", "profile")
    )
    given = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": vaccine}]},
        "occurrenceDateTime": "2021-01",
        "lotNumber": more.get("lot"),
        "performer": [{"actor": {"display": more.get("by")}}],
        "isSubpotent": True,
    }
    patient = {"resourceType": "Patient", "name": [{"text": name}]}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": patient}, {"resource": given}]}
    claims = {"iss": "https://e.org/shc", "nbf": 1_720_000_000, "exp": 1_800_000_000}
    return Report(verdicts, claims | {"vc": {"type": [], "credentialSubject": {"fhirBundle": bundle}}})


HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&lt;"


def test_nothing_on_a_card_becomes_markup() -> None:
    shown = face(report(HOSTILE, HOSTILE, lot=HOSTILE, by=HOSTILE), "en")
    html = page(shown, "abc", b"<svg/>", f"https://wallet.example/#{HOSTILE}").decode()
    assert "<script" not in html and "<img" not in html
    assert html.count("&lt;script&gt;") == 5
    assert "script-src" not in HEADERS["content-security-policy"]
    assert HEADERS["content-security-policy"].startswith("default-src 'none'")


def test_the_style_is_the_one_the_policy_allows() -> None:
    import hashlib
    from base64 import b64encode

    html = page(face(report(), "es"), "abc", b"<svg/>", None).decode()
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    allowed = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{allowed}'" in HEADERS["content-security-policy"]
    assert " style=" not in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_vaccine_group_has_a_name(language: str) -> None:
    for code in range(1, 600):
        for group in codes.vaccine_groups(f"{code:02}"):
            assert sentence("vaccine-group", group, language, {})


def test_a_partial_date_a_reduced_dose_and_an_expiry_are_told() -> None:
    shown = face(report(), "en")
    assert shown.doses[0][0] == "2021-01"
    assert shown.doses[0][2].endswith("(CVX 208), reduced dose")
    assert shown.born == "Date of birth not stated"
    assert shown.notes[1:] == ("Issued on July 3, 2024", "Valid until January 15, 2027")


def test_names_beyond_the_western_letters_lose_marks_rather_than_letters() -> None:
    from fhir_server.http.card_pdf import _western

    assert _western("Peña Müller Ángel ¿—“”?") == "Peña Müller Ángel ¿—“”?"
    assert _western("Nguyễn Łódź 王") == "Nguyen Lódz ?"


@pytest.fixture
async def card_text(people: People) -> tuple[str, Face]:
    patient, _ = await people.person(dose(""))
    (card,) = await people.issue(patient)
    return card, face(report(), "es")


def test_the_drawn_code_of_the_pdf_is_the_card(card_text: tuple[str, Face]) -> None:
    """The rectangles of the PDF's only path, painted, are read as the card."""
    import zlib
    from base64 import a85decode

    card, shown = card_text
    document = pdf(shown, card)
    assert document == pdf(shown, card)
    assert len(document) < 100_000
    found = re.findall(rb"stream\r?\n(.*?)endstream", document, re.DOTALL)
    content = b"".join(zlib.decompress(a85decode(each.strip(), adobe=False) if b"~>" not in each else a85decode(
        b"<~" + each.strip(), adobe=True)) for each in found[:1])  # fmt: skip
    boxes = [tuple(map(float, box.split()[:4])) for box in re.findall(rb"[-\d. ]+ re", content)]
    scale = 4
    picture = Image.new("L", (612 * scale, 792 * scale), 255)
    for x, y, width, height in boxes:
        left, top, right, bottom = (round(edge * scale) for edge in (x, 792 - y - height, x + width, 792 - y))
        picture.paste(0, (left, top, right, bottom))
    wide = max(x + width for x, _, width, _ in boxes) - min(x for x, *_ in boxes)
    assert wide / 72 * 25.4 >= 40, "millimetres"
    (text,) = [code.text for code in zxingcpp.read_barcodes(picture)]
    assert text == "shc:/" + "".join(f"{ord(char) - 45:02}" for char in card)
