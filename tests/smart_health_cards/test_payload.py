import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_health_cards import CardError, base64url, payload, strict_json


def raw(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@given(st.binary())
def test_base64url_round_trip(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AAB", "A+/A", "AA A", "AAAA\n", "ÄÄÄÄ", "AAA.", "\ud800AAA"])
def test_base64url_has_one_text_for_one_value(text: str) -> None:
    with pytest.raises(CardError, match="base64url-invalid"):
        base64url.decode(text)


def test_minified_claims_round_trip() -> None:
    claims = {"iss": "https://é.example", "vc": {"a": [1, 2]}}
    packed = payload.pack(claims)
    assert zlib.decompress(packed, -15) == '{"iss":"https://é.example","vc":{"a":[1,2]}}'.encode()
    assert payload.unpack(packed) == claims


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (b"", "payload-truncated"),
        (raw(b"{}") + b"x", "payload-trailing-data"),
        (raw(b'{"a":1}')[:-1], "payload-truncated"),
        (zlib.compress(b"{}"), "payload-zlib-wrapped"),
        (zlib.compress(b"{}", wbits=31), "payload-gzip-wrapped"),
        (b"\xff\xff", "payload-not-deflate"),
        (raw(b'"' + b" " * 65536 + b'"'), "payload-too-large"),
        (raw(b"\xef\xbb\xbf{}"), "json-bom"),
        (raw("{}".encode("utf-16")), "json-bom"),
        (raw(b"[]"), "json-not-object"),
        (raw(b"{}{}"), "json-invalid"),
        (raw(b'{"a":NaN}'), "json-invalid"),
        (raw(b'{"a":1,"a":1}'), "json-duplicate-name"),
        (raw(b'{"b":{"a":1,"a":1}}'), "json-duplicate-name"),
        (raw(b'{"a":"\\ud800"}'), "json-lone-surrogate"),
        (raw(b'{"a":"\xff"}'), "json-invalid"),
        (raw(b'{"a":' + b"[" * 30000), "json-invalid"),
        (raw(b'{"a":' + b"9" * 5000 + b"}"), "json-invalid"),
    ],
)
def test_what_is_no_payload(packed: bytes, code: str) -> None:
    with pytest.raises(CardError) as raised:
        payload.unpack(packed)
    assert raised.value.code == code


def test_payload_of_exactly_the_limit_is_read() -> None:
    text = json.dumps({"a": ""})
    full = json.dumps({"a": "x" * (payload.MAX_BYTES - len(text))}).encode()
    assert len(full) == payload.MAX_BYTES
    assert payload.unpack(raw(full))


def test_nothing_larger_is_packed() -> None:
    with pytest.raises(CardError, match="payload-too-large"):
        payload.pack({"a": "x" * payload.MAX_BYTES})
    with pytest.raises(CardError, match="json-lone-surrogate"):
        strict_json.minify("\ud800")
