"""SMART Health Links: what may stand in one."""

from typing import Any

import pytest

from smart_health_cards import CardError, base64url, read_picture, strict_json
from smart_health_cards.links import Link, new_token, png

URL = "https://health.example/shl/" + "A" * 43
KEY = bytes(range(32))


def test_written_and_read_again() -> None:
    link = Link(URL, KEY, 1_800_000_000, "LP", "Ana's vaccinations")
    assert link.text().startswith("shlink:/")
    assert Link.read(link.text()) == link
    assert Link.read("https://viewer.example/open#" + link.text()) == link
    assert "AAAA" not in repr(link)


def test_the_payload_is_what_the_specification_says() -> None:
    text = Link(URL, KEY, flags="U", label="x").text().removeprefix("shlink:/")
    payload = strict_json.parse(base64url.decode(text), "The link")
    assert payload == {"url": URL, "key": base64url.encode(KEY), "flag": "U", "label": "x", "v": 1}
    assert len(payload["key"]) == 43


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://health.example/shl/1"}, "link-url"),
        ({"url": "https://e.org/" + "a" * 115}, "link-url"),
        ({"key": "AAAA"}, "link-key"),
        ({"key": 7}, "link-key"),
        ({"flag": "PL"}, "link-flag"),
        ({"flag": "PU"}, "link-flag"),
        ({"flag": ["P"]}, "link-malformed"),
        ({"label": "x" * 81}, "link-label"),
        ({"exp": 1_800_000_000_000}, "link-expires"),
        ({"exp": "soon"}, "link-malformed"),
        ({"v": 2}, "link-version"),
        ({"url": None}, "link-malformed"),
    ],
)
def test_refused(change: dict[str, Any], code: str) -> None:
    payload = {"url": URL, "key": base64url.encode(KEY)} | change
    text = "shlink:/" + base64url.encode(strict_json.minify(payload))
    with pytest.raises(CardError) as refused:
        Link.read(text)
    assert refused.value.code == code


@pytest.mark.parametrize("text", ["", "shlink:/", "shlink:/%%", "https://e.org/", "shlink:/" + "A" * 200_000])
def test_no_link(text: str) -> None:
    with pytest.raises(CardError):
        Link.read(text)


def test_tokens_have_256_bits() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert all(len(base64url.decode(new_token())) == 32 for _ in range(10))


def test_its_picture_is_read() -> None:
    text = Link(URL, KEY, flags="P", label="x").text()
    assert read_picture(png(text)) == [text]
