import io
import struct
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from smart_health_cards import Card, CardError, numeric, picture, png, read_picture


def saved(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def test_photo_like_pictures_are_read(issue_one: Callable[..., Card]) -> None:
    jws = issue_one().jws
    code = Image.open(io.BytesIO(png(jws))).convert("L")
    page = Image.new("RGB", (1600, 1200), (235, 230, 220))
    page.paste(code.rotate(7, expand=True, fillcolor=255), (300, 200))
    assert read_picture(saved(page, "JPEG")) == [numeric(jws)]
    assert read_picture(saved(code.rotate(90), "PNG")) == [numeric(jws)]


def test_transparent_ground_counts_as_white(issue_one: Callable[..., Card]) -> None:
    jws = issue_one().jws
    code = Image.open(io.BytesIO(png(jws))).convert("L")
    clear = Image.new("RGBA", code.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=code.point(lambda light: 255 - light))
    assert read_picture(saved(clear, "PNG")) == [numeric(jws)]


def test_two_codes_in_one_picture(issue_one: Callable[..., Card]) -> None:
    first, second = issue_one().jws, issue_one(identity_claims=[]).jws
    page = Image.new("L", (1400, 700), 255)
    for place, jws in ((0, first), (700, second)):
        page.paste(Image.open(io.BytesIO(png(jws, scale=5))), (place, 0))
    assert sorted(read_picture(saved(page, "PNG"))) == sorted([numeric(first), numeric(second)])


def test_a_picture_without_a_code_has_no_texts() -> None:
    assert read_picture(saved(Image.new("L", (50, 50), 200), "PNG")) == []


def bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GIF89a", "picture-unreadable"),
        (b"", "picture-unreadable"),
        (b"\x89PNG\r\n\x1a\n", "picture-unreadable"),
        (saved(Image.new("L", (300, 300)), "PNG")[:60], "picture-unreadable"),
        (saved(Image.new("L", (300, 300)), "JPEG")[:200], "picture-unreadable"),
        (b"\x89PNG" + bytes(picture.MAX_BYTES), "picture-too-large"),
        (bomb(), "picture-too-large"),
        (saved(Image.new("1", (7100, 7100)), "PNG"), "picture-too-large"),
    ],
)
def test_pictures_that_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(CardError) as raised:
        read_picture(data)
    assert raised.value.code == code


def test_a_missing_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    with pytest.raises(CardError, match="picture-reader-missing"):
        read_picture(PICTURES[0])


PICTURES = [saved(Image.effect_noise((40, 40), 80), kind) for kind in ("PNG", "JPEG")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PICTURES), st.integers(0, 3000), st.binary(max_size=8))
def test_damaged_pictures_are_refused_or_read(whole: bytes, place: int, damage: bytes) -> None:
    place %= len(whole)
    try:
        read_picture(whole[:place] + damage + whole[place + len(damage) :])
    except CardError as error:
        assert error.code in ("picture-unreadable", "picture-too-large")
