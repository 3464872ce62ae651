import json as plain
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir import json, json_patch
from fhir_server.fhir.outcome import FhirError

FILE = Path(__file__).parents[3] / "shared" / "data" / "fhir-patch" / "json-patch-tests.json"
LIMIT = 100_000


def cases() -> list[Any]:
    if not FILE.is_file():
        return [pytest.param(None, marks=pytest.mark.skip("the official patch cases are not on this machine"))]
    return [pytest.param(case, id=case["comment"]) for case in plain.loads(FILE.read_text())]


@pytest.mark.parametrize("case", cases())
def test_official(case: dict[str, Any]) -> None:
    patch = json_patch.parse(json.dump(case["patch"]))
    if "error" in case:
        with pytest.raises(FhirError) as caught:
            json_patch.apply(case["doc"], patch, LIMIT)
        assert caught.value.status == (422 if case["patch"][-1]["op"] == "test" else 400)
    else:
        assert json_patch.apply(case["doc"], patch, LIMIT) == case["expected"]


def applied(body: bytes, patch: bytes, limit: int = LIMIT) -> bytes:
    return json.dump(json_patch.apply(json.parse(body), json_patch.parse(patch), limit))


def refused(body: bytes, patch: bytes, limit: int = LIMIT) -> tuple[int, str]:
    with pytest.raises(FhirError) as caught:
        applied(body, patch, limit)
    return caught.value.status, caught.value.issues[0].detail


def test_decimals_keep_their_digits() -> None:
    assert applied(b'{"a":1.10,"b":2}', b'[{"op":"add","path":"/c","value":3.00}]') == b'{"a":1.10,"b":2,"c":3.00}'
    assert applied(b'{"a":[1.10]}', b'[{"op":"move","from":"/a/0","path":"/b"}]') == b'{"a":[],"b":1.10}'


def test_numbers_compare_by_value_and_not_with_booleans() -> None:
    assert applied(b'{"a":1.10}', b'[{"op":"test","path":"/a","value":1.1}]') == b'{"a":1.10}'
    assert refused(b'{"a":1}', b'[{"op":"test","path":"/a","value":true}]') == (422, "test-failed")
    assert refused(b'{"a":{"b":1}}', b'[{"op":"test","path":"/a","value":{"b":true}}]') == (422, "test-failed")


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (b"", (400, "malformed-json")),
        (b"{}", (400, "not-a-patch")),
        (b"[1]", (400, "not-a-patch")),
        (b'[],"x":1', (400, "not-a-patch")),
        (b'[{"op":"add","path":"/a","path":"/b","value":1}]', (400, "duplicate-key")),
        (b'[{"op":"add","value":1}]', (400, "invalid-operation")),
        (b'[{"op":"add","path":7,"value":1}]', (400, "invalid-operation")),
        (b'[{"op":"add","path":"a","value":1}]', (400, "invalid-operation")),
        (b'[{"op":"add","path":"/~2","value":1}]', (400, "invalid-operation")),
        (b'[{"op":"grow","path":"/a"}]', (400, "invalid-operation")),
        (b'[{"op":"copy","path":"/b","from":1}]', (400, "invalid-operation")),
        (b'[{"op":"copy","path":"/b"}]', (400, "no-element")),
        (b'[{"op":"remove","path":"/none"}]', (400, "no-element")),
        (b'[{"op":"replace","path":"/none","value":1}]', (400, "no-element")),
        (b'[{"op":"add","path":"/list/7","value":1}]', (400, "no-element")),
        (b'[{"op":"add","path":"/list/01","value":1}]', (400, "no-element")),
        (b'[{"op":"add","path":"/list/-1","value":1}]', (400, "no-element")),
        (b'[{"op":"remove","path":"/text/0"}]', (400, "no-element")),
        (b'[{"op":"move","from":"/object","path":"/object/inner"}]', (400, "no-element")),
        (b'[{"op":"remove","path":""}]', (400, "no-element")),
        (b'[{"op":"add","path":"","value":[]}]', (400, "malformed-json")),
        (b'[{"op":"test","path":"/none","value":1}]', (422, "test-failed")),
    ],
)
def test_refused(patch: bytes, expected: tuple[int, str]) -> None:
    assert refused(b'{"list":[1],"object":{"a":1},"text":"abc"}', patch) == expected


def test_copies_cannot_grow_without_end() -> None:
    double = b",".join([b'{"op":"copy","from":"/a","path":"/a/-"}'] * 30)
    assert refused(b'{"a":["0123456789"]}', b"[%b]" % double) == (413, "resource-too-large")
    assert (
        refused(b"{}", b"[%b]" % b",".join([b'{"op":"test","path":"","value":{}}'] * 1001))[1] == "too-many-operations"
    )


def test_the_outcome_cannot_nest_without_end() -> None:
    deeper = (b'{"op":"add","path":"%b","value":{}}' % (b"/a" * depth) for depth in range(1, 100))
    assert refused(b"{}", b"[%b]" % b",".join(deeper)) == (400, "too-deep")
