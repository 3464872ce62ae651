"""Expansions: what a value set of a package holds, as far as the package can tell."""

from typing import Any

import pytest

from profiles.expansions import ExpansionError, expand, holds

A, B, C = "http://a.org", "http://b.org", "http://c.org"
SYSTEM = {
    "resourceType": "CodeSystem",
    "url": A,
    "content": "complete",
    "concept": [{"code": "1", "concept": [{"code": "11", "concept": [{"code": "111"}]}]}, {"code": "2"}],
}
PARENTS = {
    "resourceType": "CodeSystem",
    "url": C,
    "content": "complete",
    "property": [{"code": "subsumedBy", "type": "code"}],
    "concept": [
        {"code": "_x"},
        {"code": "y", "property": [{"code": "subsumedBy", "valueCode": "_x"}]},
        {"code": "z", "property": [{"code": "subsumedBy", "valueCode": "y"}]},
        {"code": "other"},
    ],
}


def told(compose: dict[str, Any], system: str | None, code: str, **others: Any) -> bool | None:
    resources = {A: SYSTEM, C: PARENTS, "v": {"resourceType": "ValueSet", "url": "v", "compose": compose}, **others}
    expansion = expand("v|1", resources.get)
    assert expansion is not None
    return holds(expansion, system, code)


def concept(operator: str, code: str) -> list[dict[str, str]]:
    return [{"property": "concept", "op": operator, "value": code}]


@pytest.mark.parametrize(
    ("compose", "system", "code", "expected"),
    [
        ({"include": [{"system": A}]}, A, "111", True),
        ({"include": [{"system": A}]}, A, "3", False),
        ({"include": [{"system": A}]}, B, "1", False),
        ({"include": [{"system": A}]}, None, "11", True),
        ({"include": [{"system": A}]}, None, "3", False),
        ({"include": [{"system": B}]}, B, "1", None),
        ({"include": [{"system": B}]}, A, "1", False),
        ({"include": [{"system": B}]}, None, "1", None),
        ({"include": [{"system": B, "concept": [{"code": "x"}]}]}, B, "y", False),
        ({"include": [{"system": A, "filter": concept("is-a", "1")}]}, A, "1", True),
        ({"include": [{"system": A, "filter": concept("descendent-of", "1")}]}, A, "1", False),
        ({"include": [{"system": A, "filter": concept("descendent-of", "1")}]}, A, "111", True),
        ({"include": [{"system": A, "filter": concept("is-a", "1")}]}, A, "2", False),
        ({"include": [{"system": C, "filter": concept("is-a", "_x")}]}, C, "z", True),
        ({"include": [{"system": C, "filter": concept("is-a", "_x")}]}, C, "other", False),
        ({"include": [{"system": A, "filter": [{"property": "x", "op": "regex", "value": "."}]}]}, A, "1", None),
        ({"include": [{"system": A}], "exclude": [{"system": A, "concept": [{"code": "2"}]}]}, A, "2", False),
        ({"include": [{"system": A}], "exclude": [{"system": A, "filter": [{"op": "="}]}]}, A, "1", None),
        ({"include": [{"valueSet": ["nowhere"]}]}, A, "1", None),
        ({"include": [{"system": A, "valueSet": ["w"]}]}, A, "1", True),
        ({"include": [{"system": A, "valueSet": ["w"]}]}, A, "2", False),
        ({"include": [{"system": A, "valueSet": ["nowhere"]}]}, A, "3", None),
        ({"include": [{"valueSet": ["w"]}, {"system": B, "concept": [{"code": "x"}]}]}, B, "x", True),
    ],
)
def test_membership(compose: dict[str, Any], system: str | None, code: str, expected: bool | None) -> None:
    narrower = {
        "resourceType": "ValueSet",
        "url": "w",
        "compose": {"include": [{"system": A, "concept": [{"code": "1"}]}]},
    }
    assert told(compose, system, code, w=narrower) is expected


def test_an_expansion_it_brings_along() -> None:
    listed = {"contains": [{"system": A, "code": "1", "contains": [{"system": A, "code": "2"}]}, {"abstract": True}]}
    found = expand("e", {"e": {"resourceType": "ValueSet", "url": "e", "expansion": listed}}.get)
    assert found is not None and holds(found, A, "2") and holds(found, A, "3") is False


def test_one_that_is_not_at_hand() -> None:
    assert expand("v", lambda canonical: None) is None


def test_circles_are_named() -> None:
    sets = {
        n: {"resourceType": "ValueSet", "url": n, "compose": {"include": [{"valueSet": [o]}]}} for n, o in ("ab", "ba")
    }
    with pytest.raises(ExpansionError, match="includes itself: a > b > a"):
        expand("a", sets.get)


def test_a_very_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiles.expansions.LARGEST", 3)
    with pytest.raises(ExpansionError, match="more than 3 codes"):
        told({"include": [{"system": A}]}, A, "1")
