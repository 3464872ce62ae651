"""https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing

What is pasted with more than can be seen, or in more lines than it had: it means what its reader takes it for.
"""

from collections.abc import Callable

import httpx
import pytest

from fhir_server.http.portal.pasted import card_text
from fhir_server.http.portal.typed import line, seen
from smart_health_cards.qr import numeric
from tests.oauth.browser import forms
from tests.portal.conftest import Town
from tests.portal.test_me import send
from tests.portal.test_register import ANA, as_staff, register
from tests.portal.test_verify import EN, told


def wrapped(text: str, end: str, width: int = 60) -> str:
    return end.join(text[start : start + width] for start in range(0, len(text), width))


def in_two(code: str) -> list[str]:
    digits = code.removeprefix("shc:/")
    half = len(digits) // 4 * 2
    return [f"shc:/2/2/{digits[half:]}", f"shc:/1/2/{digits[:half]}"]


WAYS: dict[str, Callable[[str], str]] = {
    "in lines": lambda code: wrapped(code, "\r\n"),
    "in lines of a mail": lambda code: "My card:\n\n" + wrapped(code, "\n") + "\n\nSee you\n",
    "with spaces": lambda code: wrapped(code, " \u00a0"),
    "in capitals": lambda code: code.upper(),
    "in quotes": lambda code: f'"{code}"',
    "with marks": lambda code: f"\u2066{wrapped(code, chr(0x200B))}\u2069",
    "in a link": lambda code: f"https://wallet.example/#{code}",
    "in two parts": lambda code: "\n".join(in_two(code)),
    "in two parts and lines": lambda code: " ".join(wrapped(each, "\n") for each in in_two(code)),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_code_however_it_is_pasted(pages: httpx.AsyncClient, card: str, way: str) -> None:
    answer = await pages.post("/verify", data={"text": WAYS[way](numeric(card))}, headers=EN)
    assert told(answer).outcomes == ["valid"]


async def test_a_card_in_lines_and_a_file_with_a_mark(pages: httpx.AsyncClient, card: str) -> None:
    answer = await pages.post("/verify", data={"text": wrapped(card, "\n", 76)}, headers=EN)
    assert told(answer).outcomes == ["valid"]
    file = b'\xef\xbb\xbf{"verifiableCredential": ["' + card.encode() + b'"]}'
    answer = await pages.post("/verify", files={"picture": ("card", file)}, headers=EN)
    assert told(answer).outcomes == ["valid"]


async def test_where_no_card_was_seen_none_is_condemned(pages: httpx.AsyncClient, card: str) -> None:
    said = {
        in_two(numeric(card))[0]: "This is a part of a card",
        "shc:/11\n" * 1_000: "That is more than can be checked at once.",
        "shlink:/abc": "This is a link that leads to cards.",
    }
    for text, words in said.items():
        page = told(await pages.post("/verify", data={"text": text}, headers=EN))
        assert (page.outcomes, words in page.text) == (["unsure"], True), words
    picture = told(await pages.post("/verify", files={"picture": ("a.gif", b"GIF89a\xff\xff")}, headers=EN))
    assert (picture.outcomes, "The picture cannot be read." in picture.text) == (["unsure"], True)


def test_other_texts_stay_as_they_are() -> None:
    for text in ("hello, I am a card", '{"a": "shc:/1 2"}', "", "a.b", "shc:/"):
        assert card_text(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("An\x01a\x00", "Ana"),
        ("\u202a+1 919 555 0100\u202c", "+1 919 555 0100"),
        ("Ana\u202e\ufeff", "Ana"),
        ("\u200b\u2060", ""),
        ("\u200d", ""),
        ("a\nb\tc", "a\nb\tc"),
        ("👩\u200d👧 שרה \u200eÑ", "👩\u200d👧 שרה \u200eÑ"),
        ("  ", ""),
    ],
)
def test_what_nobody_sees(text: str, left: str) -> None:
    assert seen(text) == left


def test_one_line() -> None:
    assert line(" Ana \u00a0 María\nPeña ") == "Ana María Peña"


async def test_a_name_with_marks_is_the_name(town: Town) -> None:
    async with town.visitor() as http:
        page = await register(http, **{**ANA, "given": "An\x02a\u202e  María", "phone": "\u202a919 555 0100\u202c"})
        assert page.status_code == 200
        await http.get("/portal/login?next=/me/answers")
        form = forms(await http.get("/me/answers"))["answers"]
        patient = (await as_staff(town, f"Patient/{dict(form.fields)['person']}")).json()
        assert patient["name"][0]["given"] == ["Ana María"]
        assert patient["telecom"] == [{"system": "phone", "value": "+19195550100"}]
        link = await send(
            http, forms(await http.get("/me/share"))["share"], label="A\x01", days="7", passcode=" \u200b"
        )
        assert "Your link is ready" in link.text
    async with town.visitor() as http:
        nobody = await register(http, **{**ANA, "given": "\u200b"})
        assert (nobody.status_code, 'id="given-problem">This is needed.' in nobody.text) == (422, True)


async def test_a_day_that_is_none_and_a_day_to_come(town: Town) -> None:
    said = {"2199-01-01": "This day is yet to come.", "1980-W05-1": "This is no day of the calendar."}
    async with town.visitor("ortiz") as staff, town.visitor() as http:
        for day, words in said.items():
            forms_sent = [
                await register(http, **{**ANA, "birth-date": day}),
                await send(http, forms(await http.get("/eligible"))["eligible"], **{"birth-date": day}),
            ]
            at_the_chair = forms(await staff.get("/clinic/people"))["register"]
            forms_sent.append(await send(staff, at_the_chair, given="A", family="B", birth=day))
            for page in forms_sent:
                assert (page.status_code, words in page.text) == (422, True), (day, page.url)
