import json
from urllib.parse import unquote

import pytest

from smart_health_cards import CardError, deep_link, file, read_file, write_file


def test_file_round_trip() -> None:
    assert write_file(["a.b.c", "d.e.f"]) == b'{"verifiableCredential":["a.b.c","d.e.f"]}'
    assert read_file(write_file(["a.b.c"])) == ["a.b.c"]


def test_unknown_members_of_a_file_are_ignored() -> None:
    assert read_file(json.dumps({"other": 1, "verifiableCredential": ["a.b.c"]}).encode()) == ["a.b.c"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "file-no-cards"),
        (b'{"verifiableCredential":[]}', "file-no-cards"),
        (b'{"verifiableCredential":"a.b.c"}', "file-no-cards"),
        (b'{"verifiableCredential":[1]}', "file-no-cards"),
        (b'{"verifiableCredential":["a"],"verifiableCredential":["b"]}', "json-duplicate-name"),
        (b"\xef\xbb\xbf{}", "json-bom"),
        (b" " * (file.MAX_BYTES + 1), "file-too-large"),
    ],
)
def test_what_is_no_file(data: bytes, code: str) -> None:
    with pytest.raises(CardError) as raised:
        read_file(data)
    assert raised.value.code == code


def test_deep_link_carries_the_file_in_its_fragment() -> None:
    link = deep_link("https://app.example/SMARTHealthCard/", ["a.b.c"])
    base, _, fragment = link.partition("#")
    assert base == "https://app.example/SMARTHealthCard/"
    assert unquote(fragment) == '{"verifiableCredential":["a.b.c"]}'
    assert file.read_deep_link(link) == ["a.b.c"]


@pytest.mark.parametrize("base", ["http://app.example/", "https://app.example/#x", "app:"])
def test_deep_link_needs_a_safe_base(base: str) -> None:
    with pytest.raises(CardError, match="deep-link-base"):
        deep_link(base, ["a.b.c"])
