"""The files of a link: opened by its key only, and by others' software."""

import tracemalloc
from typing import Any

import pytest
from joserfc import jwe as jose
from joserfc.jwk import OctKey

from smart_health_cards import CardError, jwe
from smart_health_cards.jwe import decrypt, encrypt
from smart_health_cards.links import new_key

KEY = bytes(range(32))
FILE = b'{"a":1}' * 200
KIND = "application/fhir+json"
USUAL = {"alg": "dir", "enc": "A256GCM", "cty": KIND}


def foreign(header: dict[str, Any], data: bytes = FILE, key: bytes = KEY) -> str:
    return jose.encrypt_compact(header, data, OctKey.import_key(key), algorithms=[header["alg"], header["enc"], "DEF"])


@pytest.mark.parametrize("deflate", [False, True])
def test_a_file_opens_with_its_key_only(deflate: bool) -> None:
    key = new_key()
    text = encrypt(FILE, KIND, key, deflate=deflate)
    assert text != encrypt(FILE, KIND, key, deflate=deflate), "a fresh vector each time"
    assert (len(text) < len(FILE)) is deflate
    assert decrypt(text, key) == (KIND, FILE)
    for bad in ((text, new_key()), (text[:-4] + "AAAA", key), (text, key[:16]), ("a.b.c", key), ("", key)):
        with pytest.raises(CardError, match="file-undecryptable"):
            decrypt(*bad)


@pytest.mark.parametrize("deflate", [False, True])
def test_another_library_opens_it_and_writes_what_is_opened(deflate: bool) -> None:
    found = jose.decrypt_compact(
        encrypt(FILE, KIND, KEY, deflate=deflate), OctKey.import_key(KEY), algorithms=["dir", "A256GCM", "DEF"]
    )
    assert found.plaintext == FILE
    assert found.headers() == USUAL | ({"zip": "DEF"} if deflate else {})
    assert decrypt(foreign(USUAL | ({"zip": "DEF"} if deflate else {})), KEY) == (KIND, FILE)


def test_every_changed_character_is_noticed() -> None:
    text = encrypt(FILE, KIND, KEY, deflate=True)
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(CardError, match="file-undecryptable"):
            decrypt(changed, KEY)


def test_other_forms_of_encryption_are_not_opened() -> None:
    sealed = encrypt(FILE, KIND, KEY).split(".")
    for text in (
        foreign({"alg": "A256KW", "enc": "A256GCM"}),
        foreign({"alg": "dir", "enc": "A128GCM"}, key=KEY[:16]),
        ".".join([sealed[0], "AAAA", *sealed[2:]]),
        ".".join([*sealed, ""]),
        ".".join(sealed) + "=",
    ):
        with pytest.raises(CardError, match="file-undecryptable"):
            decrypt(text, KEY)


def test_a_file_that_inflates_without_end_is_refused_within_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encrypt(bytes(10_000_000), KIND, KEY, deflate=True)
    monkeypatch.setattr(jwe, "MAX_BYTES", 100_000)
    tracemalloc.start()
    with pytest.raises(CardError, match="file-too-large"):
        decrypt(bomb, KEY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
