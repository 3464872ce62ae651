"""https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier

Anybody checks a card: by text, by picture, by file; in words of their language; and nothing said on it becomes markup.
"""

import html
import json
import re
from dataclasses import dataclass

import httpx
import pytest

from smart_health_cards import Issuer, SigningKey, issue, png

EN, ES = {"accept-language": "en-US,en;q=0.8"}, {"accept-language": "es-MX,es;q=0.9,en;q=0.5"}


@dataclass
class Told:
    """A page as its reader sees it."""

    status: int
    text: str
    outcomes: list[str]


def told(answer: httpx.Response) -> Told:
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2]))
    return Told(answer.status_code, html.unescape(words), re.findall(r'class="verdict (\w+)"', answer.text))


async def test_a_card_by_its_text(pages: httpx.AsyncClient, card: str) -> None:
    answer = await pages.post("/verify", data={"text": f" {card}\n"}, headers=EN)
    page = told(answer)
    assert (page.status, page.outcomes) == (200, ["valid"])
    for said in ("This card is valid", "Ana María Peña", "February 3, 1980", "January 29, 2021", "EL9261", "EN6200"):
        assert said in page.text
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) < 60_000


async def test_a_card_by_picture_and_file_in_spanish(pages: httpx.AsyncClient, card: str) -> None:
    file = json.dumps({"verifiableCredential": [card, card]}).encode()
    for content, outcomes in ((png(card), ["valid"]), (file, ["valid", "valid"])):
        answer = await pages.post("/verify", files={"picture": ("card", content)}, data={"text": ""}, headers=ES)
        page = told(answer)
        assert (page.status, page.outcomes) == (200, outcomes)
        assert "Esta tarjeta es válida" in page.text
        assert "3 de febrero de 1980" in page.text
        assert answer.headers["content-language"] == "es"


async def test_why_not(pages: httpx.AsyncClient, card: str) -> None:
    changed = card[:-4] + ("AAAA" if not card.endswith("AAAA") else "BBBB")
    key = SigningKey.generate()
    person = {"resourceType": "Patient", "name": [{"family": "<script>alert(1)</script>"}], "birthDate": "1990-01-01"}
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "occurrenceDateTime": "2021-01-29",
        "lotNumber": '"><img src=x>',
    }
    elsewhere = Issuer("https://elsewhere.example", group_of=lambda dose: "COVID-19")
    (foreign,) = issue(elsewhere, key, person, [dose], not_before=1_700_000_000, log=lambda entry: None).cards
    cases = [
        (changed, "invalid", "Its signature is wrong"),
        (foreign.jws, "unsure", "its issuer is not on our list"),
        ("hello", "invalid", "It cannot be read as a health card"),
        ("shlink:/abc", "unsure", "This is a link that leads to cards."),
    ]
    for text, outcome, reason in cases:
        answer = await pages.post("/verify", data={"text": text}, headers=EN)
        page = told(answer)
        assert (page.status, page.outcomes) == (200, [outcome]), text
        assert reason in page.text
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text


async def test_a_picture_without_a_code(pages: httpx.AsyncClient) -> None:
    answer = await pages.post("/verify", files={"picture": ("cat.jpg", b"\xff\xd8\xff\xe0cat")}, headers=ES)
    assert told(answer).outcomes == ["unsure"]
    assert "La imagen no se puede leer." in answer.text


async def test_nothing_given_is_told_at_the_form(pages: httpx.AsyncClient) -> None:
    answer = await pages.post("/verify", data={"text": "  "}, headers=ES)
    assert answer.status_code == 422
    assert "Primero elija una imagen o pegue un texto." in answer.text
    assert 'aria-invalid="true"' in answer.text


async def test_too_much_is_refused_unread(pages: httpx.AsyncClient) -> None:
    answer = await pages.post("/verify", files={"picture": ("big.png", b"\x89PNG\r\n\x1a\n" + bytes(12_100_000))})
    assert answer.status_code == 413
    assert "more than can be checked at once" in answer.text


async def test_a_look_through_the_camera(pages: httpx.AsyncClient, card: str) -> None:
    seen = await pages.post("/verify/frame", content=png(card), headers={"content-type": "image/png"})
    assert seen.json()["text"].startswith("shc:/")
    assert (await pages.post("/verify/frame", content=b"dark")).json() == {"text": None}


async def test_the_language_that_was_chosen_is_remembered(pages: httpx.AsyncClient) -> None:
    assert 'lang="en"' in (await pages.get("/")).text
    assert 'lang="es"' in (await pages.get("/?lang=es")).text
    assert 'html lang="es"' in (await pages.get("/verify", headers=EN)).text
    assert 'html lang="en"' in (await pages.get("/verify?lang=en", headers=ES)).text


@pytest.mark.parametrize("path", ["/", "/verify"])
async def test_pages_load_nothing_from_elsewhere(pages: httpx.AsyncClient, path: str) -> None:
    answer = await pages.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert address.startswith(("/", "#", "data:,")), address
    for address in re.findall(r'"(/assets/[^"]+)"', answer.text):
        asset = await pages.get(address)
        assert (asset.status_code, "immutable" in asset.headers["cache-control"]) == (200, True)
        assert "$accent" not in asset.text
    assert (await pages.get("/assets/0/site.css")).status_code == 404
