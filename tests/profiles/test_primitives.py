import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.definitions import PRIMITIVE_TYPES, patterns
from profiles.primitives import CHECKERS, MAX_STRING, shown
from tests.profiles.cases import FOLDER, load

CASES: dict[str, dict[str, Any]] = load(FOLDER / "primitives.json")
DATED = ("date", "dateTime", "instant")
LOOSER_ON_PURPOSE = {"base64Binary"}


def test_every_primitive_type_has_a_checker_and_cases() -> None:
    assert set(CHECKERS) | {"xhtml"} == PRIMITIVE_TYPES
    assert set(CASES) == set(CHECKERS)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, c in CASES.items() for v in c["valid"]])
def test_valid(name: str, value: Any) -> None:
    assert CHECKERS[name](value) is None


@pytest.mark.parametrize(("name", "value", "detail"), [(n, v, d) for n, c in CASES.items() for v, d in c["invalid"]])
def test_invalid(name: str, value: Any, detail: str) -> None:
    fault = CHECKERS[name](value)
    assert fault is not None
    assert (fault.detail, fault.severity) == (detail, "error")


def test_limits_of_size() -> None:
    assert CHECKERS["string"]("a" * MAX_STRING) is None
    fault = CHECKERS["markdown"]("a" * (MAX_STRING + 1))
    assert fault is not None and fault.code == "too-long"
    huge = CHECKERS["integer"](10**5000)
    assert huge is not None and "a very large number" in huge.text


def test_numbers_that_json_cannot_write() -> None:
    for value in (Decimal("NaN"), Decimal("Infinity"), float("nan"), 1.5):
        assert CHECKERS["decimal"](value) is not None


def test_shown_is_short() -> None:
    values: list[Any] = [True, None, {}, [], 3, Decimal("1.50")]
    assert shown("x" * 100) == '"' + "x" * 57 + '..."'
    assert [shown(v) for v in values] == [
        *("true", "null", "an object", "an array"),
        *("the number 3", "the number 1.50"),
    ]


@given(st.data())
def test_nothing_passes_that_the_published_expression_refuses(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(n for n in CASES if type(CASES[n]["valid"][0]) is str)))
    text = data.draw(st.text(max_size=40) | st.from_regex(str(patterns()[name]), fullmatch=True))
    published = re.compile(str(patterns()[name]), re.ASCII).fullmatch(text)
    fault = CHECKERS[name](text)
    if fault is None and name not in LOOSER_ON_PURPOSE:
        assert published or (name == "code" and "\xa0" in text)
    if published and name in DATED:
        assert fault is None or fault.detail == "invalid-date"


def test_base64_of_hostile_length_is_quick() -> None:
    assert CHECKERS["base64Binary"]("AAAA" + " " * 200_000 + "!") is not None
