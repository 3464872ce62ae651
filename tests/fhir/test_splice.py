import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir import json
from fhir_server.fhir.splice import splice


@pytest.mark.parametrize(
    ("body", "after", "expected"),
    [
        (b'{"a":1.0e2,"b":"\\u00e9"}', b'{"a":1.0e2,"b":"x"}', b'{"a":1.0e2,"b":"x"}'),
        (b'{"a":{"b":1.0e2,"c":1}}', b'{"a":{"b":1.0e2,"c":2}}', b'{"a":{"b":1.0e2,"c":2}}'),
        (b"[1.0e1,2.0e1]", b"[2.0e1]", b"[2.0e1]"),
        (
            b'{"l":[{"v":1.0e1},{"v":2.0e1}]}',
            b'{"l":[0,{"v":1.0e1},{"v":2.0e1}]}',
            b'{"l":[0,{"v":1.0e1},{"v":2.0e1}]}',
        ),
        (b'{"a":true}', b'{"a":1}', b'{"a":1}'),
        (b'{"a":1.0}', b'{"a":1}', b'{"a":1}'),
        (b'{"a":1.10}', b'{"a":1.1}', b'{"a":1.1}'),
        (b'{"a":"\\/","b":1}', b'{"b":1,"a":"/"}', b'{"b":1,"a":"\\/"}'),
    ],
)
def test_what_did_not_change_keeps_its_bytes(body: bytes, after: bytes, expected: bytes) -> None:
    before, now = ({"v": value} for value in (_value(body), _value(after)))
    assert splice(b'{"v":' + body + b"}", before, now) == b'{"v":' + expected + b"}"


def _value(text: bytes) -> object:
    return json.parse(b'{"v":' + text + b"}")["v"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(values, values)
def test_the_outcome_is_always_the_new_value(before: object, after: object) -> None:
    assert json.dump({"v": after}) == splice(json.dump({"v": before}), {"v": before}, {"v": after})
