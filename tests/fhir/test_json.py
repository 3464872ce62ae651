"""JSON is read strictly and written back to the byte.

https://hl7.org/fhir/R4/json.html
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.json import compact, dump, instant, parse, pretty, stamp
from fhir_server.fhir.outcome import FhirError

DEEP = b'{"a":' * 64 + b"1" + b"}" * 64

REFUSED: list[tuple[bytes, str, str]] = [
    (b"", "malformed-json", "empty"),
    (b"  \n", "malformed-json", "empty"),
    (b'\xef\xbb\xbf{"a":1}', "malformed-json", "byte order mark"),
    (b'{"a":\n tru}', "malformed-json", "line 2 column 2"),
    (b'{"a":1}x', "malformed-json", "line 1 column 8"),
    (b'{"a":1,}', "malformed-json", "line 1 column"),
    (b"{'a':1}", "malformed-json", "line 1 column 2"),
    (b'{"a":"\t"}', "malformed-json", "line 1 column 7"),
    (b'{"a":"\xff"}', "malformed-json", "byte 6 is not UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "malformed-json", "byte 6 is not UTF-8"),
    (b'{"a":\n"\\ud800"}', "malformed-json", "half a surrogate pair, line 2"),
    (b'{"a":"\\udc00x"}', "malformed-json", "half a surrogate pair"),
    (b'{"a":{"b":["\\u0000"]}}', "malformed-json", "a.b[0] holds the character U+0000"),
    (b'{"\\u0000":1}', "malformed-json", "member name"),
    (b"[1]", "malformed-json", "object"),
    (b'"a"', "malformed-json", "object"),
    (b"1", "malformed-json", "object"),
    (b"null", "malformed-json", "object"),
    (b'{"a":1,"a":2}', "duplicate-key", "member a"),
    (b'{"a":[{"b":{"c":1,"c":1}}]}', "duplicate-key", "member c"),
    (b'{"a":1,"\\u0061":2}', "duplicate-key", "member a"),
    (b'{"a":1,"a":2,"b":"x\\u003ay"}', "duplicate-key", "member a"),
    (b'{"a":1,"a":2,"b":"x\\u003Ay"}', "duplicate-key", "member a"),
    (b'{"a":NaN}', "number-refused", "NaN"),
    (b'{"a":-Infinity}', "number-refused", "Infinity"),
    (b'{"a":1e999}', "number-refused", "too large"),
    (b'{"a":1e-999}', "number-refused", "too small"),
    (b'{"a":1.' + b"9" * 5000 + b"}", "number-refused", "too many digits"),
    (b'{"a":' + b"9" * 5000 + b"}", "number-refused", "too many digits"),
    (b'{"a":' + DEEP + b"}", "too-deep", "64"),
    (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "too-deep", "64"),
    (b'{"a":' + b"[" * 5000, "too-deep", "64"),
]


@pytest.mark.parametrize(("data", "detail", "text"), REFUSED, ids=range(len(REFUSED)))
def test_refuses(data: bytes, detail: str, text: str) -> None:
    with pytest.raises(FhirError) as caught:
        parse(data)
    (issue,) = caught.value.issues
    assert (caught.value.status, issue.detail) == (400, detail)
    assert text in issue.text


@pytest.mark.parametrize(
    "data",
    [
        DEEP,
        b'{"a":":","b":"\\":","c:d":{"e":":f"}}',
        b'{"a":"\\u003a","b":"\\u003e"}',
        b'{"a":"\\\\u0000"}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":{"x":1},"b":{"x":1}}',
        b'{"":1}',
        b"{}",
    ],
)
def test_accepts_what_only_looks_wrong(data: bytes) -> None:
    assert parse(data) == json.loads(data)


def test_keeps_numbers_as_written() -> None:
    data = b'{"a":[1.10,1E2,-0.0,100000000000000000000000000000000000001,0.1234567890123456789012345678901234567890]}'
    value = parse(data)
    assert [str(number) for number in value["a"][:3]] == ["1.10", "1E+2", "-0.0"]
    assert value["a"][3] == 100000000000000000000000000000000000001
    assert value["a"][4] == Decimal("0.1234567890123456789012345678901234567890")
    assert compact(data) == data


def test_compact_and_pretty_change_white_space_only() -> None:
    data = b'{ "a" : [ 1.10 , 1E2 ],\n"b":"\\u00e9 \\/ " }'
    assert compact(data) == b'{"a":[1.10,1E2],"b":"\\u00e9 \\/ "}'
    assert pretty(data) == b'{\n  "a": [\n    1.10,\n    1E2\n  ],\n  "b": "\\u00e9 \\/ "\n}'
    assert compact(pretty(data)) == compact(data)


def test_dump_writes_decimals_as_numbers() -> None:
    assert dump({"a": Decimal("1.10"), "b": [True, None, "é"]}) == '{"a":1.10,"b":[true,null,"é"]}'.encode()


STAMPED = [
    (
        b'{"resourceType":"Patient","active":true}',
        b'{"resourceType":"Patient","id":"x","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000001Z"},'
        b'"active":true}',
    ),
    (
        b'{"x":1.10,"resourceType":"Patient","meta":{"tag":[{"code":"\\u0061"}],"versionId":"9"},"y":1E2,"id":"old"}',
        b'{"x":1.10,"resourceType":"Patient","meta":{"tag":[{"code":"\\u0061"}],"versionId":"3",'
        b'"lastUpdated":"1970-01-01T00:00:00.000001Z"},"y":1E2,"id":"x"}',
    ),
    (
        b'{"active":true,"meta":{"profile":["a"]},"resourceType":"Patient"}',
        b'{"active":true,"meta":{"profile":["a"],"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000001Z"},'
        b'"resourceType":"Patient","id":"x"}',
    ),
    (
        b'{"resourceType":"Patient","id":"old","active":true}',
        b'{"resourceType":"Patient","id":"x","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000001Z"},'
        b'"active":true}',
    ),
]


@pytest.mark.parametrize(("body", "expected"), STAMPED, ids=range(len(STAMPED)))
def test_stamp(body: bytes, expected: bytes) -> None:
    assert stamp(body, "x", 3, 1) == expected


def test_official_examples_keep_everything_but_id_and_meta(shared: Path) -> None:
    for path in sorted((shared / "fhir-r4-examples").glob("*.json")):
        body = compact(path.read_bytes())
        before, after = parse(body), parse(stamp(body, "new", 2, 0))
        assert (after.pop("id"), after["meta"].pop("versionId")) == ("new", "2")
        assert after["meta"].pop("lastUpdated") == "1970-01-01T00:00:00.000000Z"
        meta = {k: v for k, v in before.pop("meta", {}).items() if k not in ("versionId", "lastUpdated")}
        assert after.pop("meta") == meta, path.name
        before.pop("id", None)
        assert list(after.items()) == list(before.items()), path.name


def test_instant() -> None:
    assert instant(1_767_323_045_678_901) == "2026-01-02T03:04:05.678901Z"
    assert instant(0) == "1970-01-01T00:00:00.000000Z"


texts = st.text(st.sampled_from('a:"\\/é␟{}[],'), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.tuples(texts, values), max_size=4), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_members_are_kept_and_repeated_ones_refused(
    members: list[tuple[str, Any]], ascii: bool, indent: int | str | None
) -> None:
    text = ",".join(
        f"{json.dumps(name, ensure_ascii=ascii)} : {json.dumps(value, ensure_ascii=ascii, indent=indent)}"
        for name, value in members
    )
    data = f"{{{text}}}".encode()
    if len({name for name, _ in members}) < len(members):
        with pytest.raises(FhirError, match="repeats the member"):
            parse(data)
    else:
        assert parse(data) == dict(members)
