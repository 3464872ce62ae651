import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from smart_health_cards import Card, CardError, numeric, parse, png, qr, read_picture, svg
from tests.smart_health_cards.conftest import immunization

ALPHABET = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


def longest() -> str:
    return ("eyJ6aXAi.-_" * 120)[:1195]


@given(st.text(ALPHABET, min_size=1, max_size=1195))
def test_numeric_text_round_trip(jws: str) -> None:
    text = numeric(jws)
    assert text.startswith("shc:/")
    assert text[5:].isdecimal()
    assert parse(text) == jws


def test_each_character_is_its_code_less_45() -> None:
    assert numeric("-.09AZ_az") == "shc:/000103122045505277"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("shc:/", "numeric-digits"),
        ("shc:/1", "numeric-digits"),
        ("shc:/123", "numeric-digits"),
        ("shc:/12a4", "numeric-digits"),
        ("shc:/12 4", "numeric-digits"),
        ("shc:/1234\n", "numeric-digits"),
        ("shc:/١٢", "numeric-digits"),
        ("shc:/99", "numeric-range"),
        ("shc:/78", "numeric-range"),
        ("shc:/1/2/56", "chunked"),
        ("shc:/0/2/56", "numeric-digits"),
    ],
)
def test_texts_that_are_no_card(text: str, code: str) -> None:
    with pytest.raises(CardError) as raised:
        parse(text)
    assert raised.value.code == code


def test_what_one_qr_code_does_not_hold_is_refused() -> None:
    with pytest.raises(CardError, match="too-large-for-qr"):
        png(longest() + "x")
    with pytest.raises(CardError, match="not-a-jws"):
        numeric("a b")
    with pytest.raises(CardError, match="too-large-for-qr"):
        qr.matrix("shc:/" + "1" * 2400)
    with pytest.raises(CardError, match="scale-out-of-range"):
        png("abc", scale=0)


def test_the_longest_card_makes_version_22_at_level_l() -> None:
    assert len(qr.matrix(numeric(longest()))) == 4 * 22 + 17


def test_segments_are_bytes_and_digits() -> None:
    # 4 + 8 + 5 * 8 bits of bytes, 4 + 10 + 1200 * 10 / 3 bits of digits: version 15 (4,184 bits at level L).
    assert len(qr.matrix(numeric("A" * 600))) == 4 * 15 + 17


def test_joined_chunks_in_any_order() -> None:
    jws = "abc.def.ghi"
    halves = [numeric(jws[:6])[5:], numeric(jws[6:])[5:]]
    texts = [f"shc:/2/2/{halves[1]}", f"shc:/1/2/{halves[0]}"]
    assert qr.join(texts) == jws
    for wrong, code in (
        (texts[:1], "chunk-missing"),
        ([texts[0], texts[0]], "chunk-missing"),
        ([*texts, f"shc:/3/3/{halves[0]}"], "chunk-missing"),
        ([texts[0], "shc:/1234"], "chunk-malformed"),
        ([], "chunk-missing"),
    ):
        with pytest.raises(CardError, match=code):
            qr.join(wrong)


def test_png_is_one_bit_with_quiet_zone_and_always_the_same(issue_one: Callable[..., Card]) -> None:
    jws = issue_one().jws
    picture = Image.open(io.BytesIO(png(jws, scale=3)))
    modules = len(qr.matrix(numeric(jws)))
    assert picture.mode == "1"
    assert picture.size == ((modules + 8) * 3, (modules + 8) * 3)
    assert {picture.getpixel((x, y)) for x in range(picture.width) for y in range(12)} == {255}
    assert picture.getpixel((12, 12)) == 0
    assert png(jws) == png(jws)


@pytest.mark.parametrize("scale", [2, 3, 6])
def test_pictures_are_read_back_by_zxing(issue_one: Callable[..., Card], scale: int) -> None:
    for jws in (issue_one().jws, longest()):
        assert read_picture(png(jws, scale=scale)) == [numeric(jws)]


def test_pictures_are_read_back_by_zbar(issue_one: Callable[..., Card]) -> None:
    try:
        from pyzbar import pyzbar
    except ImportError:
        pytest.skip("pyzbar finds no libzbar on this machine: the second reader was NOT asked (install libzbar0)")
    for jws in (issue_one().jws, issue_one(immunization(), immunization("2021-02-20")).jws, longest()):
        (found,) = pyzbar.decode(Image.open(io.BytesIO(png(jws))).convert("L"), symbols=[pyzbar.ZBarSymbol.QRCODE])
        assert found.data.decode() == numeric(jws)


def test_svg_has_the_same_modules_and_a_title(issue_one: Callable[..., Card]) -> None:
    jws = issue_one().jws
    root = ElementTree.fromstring(svg(jws, title="Card of <John & Jane>"))
    dark = qr.matrix(numeric(jws))
    side = len(dark) + 8
    assert root.get("viewBox") == f"0 0 {side} {side}"
    assert root.get("shape-rendering") == "crispEdges"
    title, ground, path = root
    assert title.text == "Card of <John & Jane>"
    assert ground.get("fill") == "#fff"
    drawn = {(x + step, y) for x, y, run in _rectangles(path.get("d") or "") for step in range(run)}
    assert drawn == {(x + 4, y + 4) for y, row in enumerate(dark) for x, module in enumerate(row) if module}


def _rectangles(path: str) -> list[tuple[int, int, int]]:
    found = []
    for rectangle in path.split("z")[:-1]:
        start, run, *_ = rectangle.removeprefix("M").replace("v", "h").split("h")
        x, y = start.split()
        found.append((int(x), int(y), int(run)))
    return found


def test_the_specifications_numeric_texts_are_ours(examples: Path) -> None:
    for name in ("00", "01", "03"):
        jws = (examples / f"example-{name}-d-jws.txt").read_text().strip()
        text = (examples / f"example-{name}-f-qr-code-numeric-value-0.txt").read_text().strip()
        assert numeric(jws) == text
        assert parse(text) == jws
