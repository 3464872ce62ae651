"""Compositions: the same answer whether a code is asked for or all are listed.

https://hl7.org/fhir/R4/valueset.html#compositions
"""

from typing import Any

import pytest

from terminology import membership
from terminology.errors import (
    CyclicValueSetError,
    TooCostlyError,
    UnknownSystemError,
    UnknownValueSetError,
    UnsupportedFilterError,
)
from terminology.library import Terminology, shipped

ANIMALS = "https://example.org/CodeSystem/animals"
SETS = "https://example.org/ValueSet/"
CODES = ["animal", "mammal", "bat", "bird", "duck", "phoenix", "unlisted"]

SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": ANIMALS,
    "version": "1",
    "status": "active",
    "content": "complete",
    "caseSensitive": False,
    "property": [{"code": "flies", "type": "boolean"}, {"code": "parent", "type": "code"}],
    "concept": [
        {
            "code": "animal",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "mammal",
                    "concept": [{"code": "bat", "property": [{"code": "flies", "valueBoolean": True}]}],
                },
                {
                    "code": "bird",
                    "display": "Bird",
                    "designation": [{"language": "es", "value": "Ave"}],
                    "property": [{"code": "flies", "valueBoolean": True}],
                },
            ],
        },
        {"code": "duck", "property": [{"code": "parent", "valueCode": "bird"}]},
        {"code": "phoenix", "property": [{"code": "status", "valueCode": "retired"}]},
    ],
}


def held(**sets: Any) -> Terminology:
    resources = [
        {"resourceType": "ValueSet", "url": SETS + name, "status": "active", "compose": compose}
        for name, compose in sets.items()
    ]
    return shipped().adding([SYSTEM, *resources])


def animals(*filters: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    rules = [{"property": name, "op": op, "value": value} for name, op, value in filters]
    return {"system": ANIMALS, **({"filter": rules} if rules else {}), **more}


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        ({"include": [animals()]}, ["animal", "mammal", "bat", "bird", "duck", "phoenix"]),
        ({"inactive": False, "include": [animals()]}, ["animal", "mammal", "bat", "bird", "duck"]),
        ({"include": [animals(("concept", "is-a", "bird"))]}, ["bird", "duck"]),
        ({"include": [animals(("concept", "is-a", "BIRD"))]}, ["bird", "duck"]),
        ({"include": [animals(("concept", "descendent-of", "animal"))]}, ["mammal", "bat", "bird", "duck"]),
        ({"include": [animals(("concept", "is-not-a", "bird"))]}, ["animal", "mammal", "bat", "phoenix"]),
        ({"include": [animals(("concept", "generalizes", "duck"))]}, ["animal", "bird", "duck"]),
        ({"include": [animals(("code", "in", "bat, duck"))]}, ["bat", "duck"]),
        ({"include": [animals(("code", "not-in", "bat,duck,phoenix"))]}, ["animal", "mammal", "bird"]),
        ({"include": [animals(("parent", "=", "animal"))]}, ["mammal", "bird"]),
        ({"include": [animals(("child", "=", "duck"))]}, ["bird"]),
        ({"include": [animals(("flies", "=", "true"))]}, ["bat", "bird"]),
        ({"include": [animals(("flies", "exists", "false"), ("concept", "is-a", "animal"))]},
         ["animal", "mammal", "duck"]),
        ({"include": [animals(("display", "=", "Bird"))]}, ["bird"]),
        ({"include": [animals(("status", "=", "retired"))]}, ["phoenix"]),
        ({"include": [animals(concept=[{"code": "duck"}, {"code": "unlisted"}])]}, ["duck", "unlisted"]),
        ({"include": [animals()], "exclude": [animals(("concept", "is-a", "mammal"))]},
         ["animal", "bird", "duck", "phoenix"]),
        ({"include": [animals(("flies", "=", "true"), valueSet=[SETS + "birds"])]}, ["bird"]),
        ({"include": [{"valueSet": [SETS + "birds", SETS + "fliers"]}]}, ["bird"]),
        ({"include": [{"valueSet": [SETS + "birds"]}, {"valueSet": [SETS + "fliers"]}]}, ["bat", "bird", "duck"]),
        ({"include": [animals()], "exclude": [{"valueSet": [SETS + "birds"]}, {"valueSet": [SETS + "fliers"]}]},
         ["animal", "mammal", "phoenix"]),
    ],
)  # fmt: skip
def test_asked_and_listed(compose: dict[str, Any], expected: list[str]) -> None:
    birds, fliers = animals(("concept", "is-a", "bird")), animals(("flies", "=", "true"))
    known = held(birds={"include": [birds]}, fliers={"include": [fliers]}, asked=compose)
    chosen = known.value_set(SETS + "asked")
    assert chosen is not None
    assert sorted(code for _, code in known.expand(chosen).entries) == sorted(expected)
    assert [code for code in CODES if membership.member(known, chosen, ANIMALS, code).known] == [
        code for code in CODES if code in expected
    ]


def test_a_value_set_made_of_itself() -> None:
    known = held(a={"include": [{"valueSet": [SETS + "b"]}]}, b={"include": [{"valueSet": [SETS + "a"]}]})
    chosen = known.value_set(SETS + "a")
    assert chosen is not None
    with pytest.raises(CyclicValueSetError, match=f"{SETS}a -> {SETS}b -> {SETS}a"):
        known.expand(chosen)
    with pytest.raises(CyclicValueSetError):
        known.allowed(SETS + "a", ANIMALS, "bat")


def test_imports_that_meet_again_are_looked_at_once() -> None:
    layers = {f"l{n}": {"include": [{"valueSet": [f"{SETS}l{n - 1}"]}] * 3} for n in range(1, 40)}
    known = held(l0={"include": [animals()]}, **layers)
    chosen = known.value_set(SETS + "l39")
    assert chosen is not None
    assert len(known.expand(chosen).entries) == 6
    assert membership.member(known, chosen, ANIMALS, "unlisted").known is False


def test_too_many_codes() -> None:
    large = {**SYSTEM, "url": "urn:large", "concept": [{"code": str(number)} for number in range(10_001)]}
    known = shipped().adding([large])
    chosen = known.adding(
        [{"resourceType": "ValueSet", "url": "urn:all", "compose": {"include": [{"system": "urn:large"}]}}]
    )
    with pytest.raises(TooCostlyError):
        found = chosen.value_set("urn:all")
        assert found is not None
        chosen.expand(found)


def test_regular_expressions_are_not_run() -> None:
    known = held(asked={"include": [animals(("code", "regex", "(a+)+b"))]})
    with pytest.raises(UnsupportedFilterError):
        known.allowed(SETS + "asked", ANIMALS, "bat")


@pytest.mark.parametrize(
    ("compose", "error"),
    [
        ({"include": [{"system": "urn:nobody-has-it"}]}, UnknownSystemError),
        ({"include": [{"valueSet": ["urn:nobody-has-it"]}]}, UnknownValueSetError),
        ({"include": [animals()], "exclude": [{"system": "urn:nobody-has-it"}]}, UnknownSystemError),
        ({"include": [{"system": ANIMALS, "valueSet": ["urn:nobody-has-it"]}]}, UnknownValueSetError),
    ],
)
def test_what_is_not_held_cannot_be_listed(compose: dict[str, Any], error: type[Exception]) -> None:
    known = held(asked=compose)
    chosen = known.value_set(SETS + "asked")
    assert chosen is not None
    with pytest.raises(error):
        known.expand(chosen)


def test_what_is_held_beside_what_is_not() -> None:
    known = held(asked={"include": [animals(), {"system": "urn:nobody-has-it"}]})
    chosen = known.value_set(SETS + "asked")
    assert chosen is not None
    assert (len(known.expand(chosen).entries), known.expand(chosen).missing) == (6, ("urn:nobody-has-it",))
    told = [known.allowed(SETS + "asked", system, "bat") for system in (ANIMALS, "urn:nobody-has-it", "urn:other")]
    assert told == [True, None, False]


def test_an_expansion_in_place_of_a_composition() -> None:
    resource = {
        "resourceType": "ValueSet",
        "url": "urn:expanded",
        "expansion": {"contains": [{"abstract": True, "contains": [{"system": ANIMALS, "code": "bat"}]}]},
    }
    known = shipped().adding([SYSTEM, resource])
    assert [known.allowed("urn:expanded", ANIMALS, code) for code in ("bat", "bird")] == [True, False]
    assert known.allowed("urn:expanded", None, "bat") is True


def test_what_ships_is_not_replaced() -> None:
    url = "http://hl7.org/fhir/ValueSet/administrative-gender"
    other = {"resourceType": "ValueSet", "url": url, "compose": {"include": [animals()]}}
    known = shipped().adding([other, {**other, "version": "9"}, SYSTEM])
    assert known.allowed(url, None, "female") is True
    assert known.allowed(url, None, "bat") is False
    assert known.allowed(f"{url}|9", None, "bat") is True


def test_a_composition_that_is_all_work() -> None:
    race = "urn:oid:2.16.840.1.113883.6.238"
    part = {"system": race, "filter": [{"property": "concept", "op": "is-not-a", "value": "2106-3"}] * 3}
    known = held(asked={"include": [{"system": race}], "exclude": [part] * 1_000})
    chosen = known.value_set(SETS + "asked")
    assert chosen is not None
    with pytest.raises(TooCostlyError):
        known.expand(chosen)
    with pytest.raises(TooCostlyError):
        known.allowed(SETS + "asked", race, "2106-3")


def test_elements_that_only_have_an_extension_choose_nothing() -> None:
    nothing = {"extension": [{"url": "urn:why", "valueCode": "masked"}]}
    rules = [{"_property": nothing, "_op": nothing, "_value": nothing}]
    known = held(
        filtered={"include": [{"system": ANIMALS, "filter": rules}]},
        imported={"include": [{"valueSet": [None, f"{SETS}birds"], "_valueSet": [nothing, None]}]},
        birds={"include": [animals(("concept", "is-a", "bird"))]},
    )
    with pytest.raises(UnsupportedFilterError):
        known.allowed(SETS + "filtered", ANIMALS, "bat")
    assert [known.allowed(SETS + "imported", ANIMALS, code) for code in ("duck", "bat")] == [True, False]
