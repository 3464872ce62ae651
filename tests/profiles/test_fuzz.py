"""`check` answers any JSON value with issues, never with an exception."""

import copy
import resource
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.definitions import RESOURCE_TYPES, children
from profiles.structure import check
from tests.profiles.cases import structure_cases

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=12)
    | st.sampled_from(["#", "#x", "2021-02-30", "Patient/1", "0001-01-01T00:00:00+14:00", "<div/>", "transaction"])
)
NAMES = st.text(max_size=8) | st.sampled_from(
    ["resourceType", "id", "extension", "url", "contained", "entry", "resource", "reference", "_value", "coding"]
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))
VALID = [case["resource"] for _, case in structure_cases() if type(case["resource"]) is dict]


@given(VALUES)
def test_any_value(value: Any) -> None:
    _well_formed(value)


@given(st.data())
@settings(max_examples=150)
def test_any_value_under_a_known_name(data: st.DataObject) -> None:
    resource_type = data.draw(st.sampled_from(sorted(RESOURCE_TYPES)))
    known = [*children(resource_type), *(f"_{name}" for name in children(resource_type))]
    members = data.draw(st.dictionaries(st.sampled_from(known), VALUES, max_size=6))
    _well_formed({"resourceType": resource_type, **members})


@given(st.data())
@settings(max_examples=300)
def test_a_case_with_any_value_somewhere(data: st.DataObject) -> None:
    resource = copy.deepcopy(data.draw(st.sampled_from(VALID)))
    places = list(_places(resource))
    holder, key = data.draw(st.sampled_from(places)) if places else (resource, "id")
    holder[key] = data.draw(VALUES)
    _well_formed(resource)


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_every_type_compiles_every_member(resource_type: str) -> None:
    values: list[Any] = [[], {}, None, "x", [{}], [None], 1]
    for value in values:
        _well_formed({"resourceType": resource_type, **dict.fromkeys(children(resource_type), value)})


def _places(value: Any) -> Any:
    for key, inner in value.items() if type(value) is dict else enumerate(value) if type(value) is list else ():
        yield value, key
        yield from _places(inner)


def _well_formed(resource: Any) -> None:
    for issue in check(resource):
        assert issue.code and issue.detail and issue.text
        assert len(issue.expression) <= 1
        assert not issue.expression or not issue.expression[0].startswith(".")


def test_a_long_namespace_is_not_copied_into_every_name() -> None:
    names = " ".join(f'a:x{number}=""' for number in range(5_000))
    div = f'<div xmlns="http://www.w3.org/1999/xhtml" xmlns:a="{"u" * 100_000}" {names}>x</div>'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [issue] = check({"resourceType": "Basic", "text": {"status": "generated", "div": div}, "code": {"text": "a"}})
    assert issue.detail == "unsafe-narrative"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
