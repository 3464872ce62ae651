"""`:in`, `:not-in`, `:above`, `:below`: what they come to once the codes are known, by entries and by plain reading.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from typing import Any

import pytest

from fhir_server.fhir.coded import Coded
from fhir_server.fhir.index import entries, satisfies
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.query import criteria, parse

CODES: list[tuple[str, str | None]] = [("urn:a", "1"), ("urn:a", "2"), ("urn:b", None)]
GENDER = "http://hl7.org/fhir/administrative-gender"


def link(type: str, name: str, value: str) -> Coded:
    [found] = parse(type, [(name, value)]).links
    assert isinstance(found, Coded)
    return found


def observation(*codings: tuple[str | None, str]) -> dict[str, Any]:
    coding = [{"code": code, **({"system": system} if system else {})} for system, code in codings]
    return {"resourceType": "Observation", "status": "final", "code": {"coding": coding} if coding else {"text": "x"}}


@pytest.mark.parametrize(
    ("codings", "is_in"),
    [
        ([("urn:a", "1")], True),
        ([("urn:a", "3")], False),
        ([("urn:a", "3"), ("urn:a", "2")], True),
        ([("urn:b", "whatever")], True),
        ([("urn:bb", "1")], False),
        ([(None, "1")], False),
        ([], False),
    ],
)
def test_a_coding_in_and_not_in(codings: list[tuple[str | None, str]], is_in: bool) -> None:
    made = entries(observation(*codings))
    assert satisfies(made, "1", 0, link("Observation", "code:in", "urn:set").condition(CODES)) is is_in
    assert satisfies(made, "1", 0, link("Observation", "code:not-in", "urn:set").condition(CODES)) is not is_in


def test_no_codes_are_in_nothing() -> None:
    made = entries(observation(("urn:a", "1")))
    assert not satisfies(made, "1", 0, link("Observation", "code:in", "urn:set").condition([]))
    assert satisfies(made, "1", 0, link("Observation", "code:not-in", "urn:set").condition([]))


@pytest.mark.parametrize(
    ("codes", "is_in"),
    [([(GENDER, "male")], True), ([(GENDER, "female")], False), ([("urn:a", "male")], False), ([(GENDER, None)], True)],
)
def test_a_code_has_the_system_of_its_binding(codes: list[tuple[str, str | None]], is_in: bool) -> None:
    made = entries({"resourceType": "Patient", "gender": "male"})
    assert satisfies(made, "1", 0, link("Patient", "gender:in", "urn:set").condition(codes)) is is_in


@pytest.mark.parametrize(
    ("type", "name", "value", "tokens"),
    [
        ("Observation", "code:below", "urn:a|1,urn:b|2", [("urn:a", "1"), ("urn:b", "2")]),
        ("Observation", "code:above", r"urn:a\|b|1\,2", [("urn:a|b", "1,2")]),
        ("Patient", "gender:below", "male", [(GENDER, "male")]),
    ],
)
def test_codes_asked_for(type: str, name: str, value: str, tokens: list[tuple[str, str]]) -> None:
    assert link(type, name, value).tokens() == tokens


@pytest.mark.parametrize("value", ["1", "urn:a|", "|1", "urn:a|1|2"])
def test_codes_that_do_not_say_their_system(value: str) -> None:
    with pytest.raises(FhirError) as caught:
        link("Observation", "code:below", value).tokens()
    assert (caught.value.status, caught.value.issues[0].detail) == (400, "invalid-value")


@pytest.mark.parametrize(
    ("type", "name", "detail"),
    [
        ("Patient", "identifier:in", "invalid-modifier"),
        ("Patient", "active:below", "invalid-modifier"),
        ("Patient", "family:in", "invalid-modifier"),
        ("Patient", "organization:in", "not-supported"),
        ("Observation", "code:inn", "invalid-modifier"),
    ],
)
def test_parameters_without_codes(type: str, name: str, detail: str) -> None:
    with pytest.raises(FhirError) as caught:
        parse(type, [(name, "urn:set")])
    assert (caught.value.status, caught.value.issues[0].detail) == (400, detail)


def test_a_condition_that_only_says_what_is_not_may_mean_everybody() -> None:
    assert criteria("Observation", "code:in=urn:set").links
    with pytest.raises(FhirError) as caught:
        criteria("Observation", "code:not-in=urn:set")
    assert caught.value.issues[0].detail == "unselective-criteria"
