"""What a resource is indexed under.

https://hl7.org/fhir/R4/search.html
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir import edition
from fhir_server.fhir.condition import SEPARATOR
from fhir_server.fhir.escapes import split, unescape
from fhir_server.fhir.index import Entries, entries, referred
from fhir_server.fhir.json import parse
from fhir_server.fhir.keys import key, normalise, token
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.params import parameters
from fhir_server.fhir.references import Local


def test_an_immunization() -> None:
    found = entries(
        {
            "resourceType": "Immunization",
            "id": "i",
            "meta": {"security": [{"system": "http://l", "code": "R"}, {"code": "local"}]},
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
            "patient": {"reference": "http://our/fhir/Patient/1"},
            "occurrenceDateTime": "2021-03-04",
            "lotNumber": "Lot 7",
            "performer": [{"actor": {"reference": "Organization/o"}}],
        },
        "http://our/fhir",
    )
    assert found.document() == {
        "tk": [
            "_security␟http://l|R",
            "_security␟*|R",
            "_security␟|local",
            "_security␟*|local",
            "status␟*|completed",
            "vaccine-code␟http://hl7.org/fhir/sid/cvx|208",
            "vaccine-code␟*|208",
            "patient␟Patient/1",
            "performer␟Organization/o",
            "performer␟*/o",
        ],
        "hs": ["_security", "status", "vaccine-code", "patient", "date", "lot-number", "performer"],
        "st": ["lot-number␟lot 7␟Lot 7"],
        "rk": ["date␟a2021-03-04T00:00:00.000000", "date␟z2021-03-05T00:00:00.000000"],
        "d": [
            {
                "p": "date",
                "lo": "2021-03-04T00:00:00.000000",
                "hi": "2021-03-05T00:00:00.000000",
                "a": "2021-03-04T00:00:00.000000",
                "z": "2021-03-05T00:00:00.000000",
            }
        ],
        "so": {
            "_security": {"a": "R", "z": "local"},
            "status": {"a": "completed", "z": "completed"},
            "vaccine-code": {"a": "208", "z": "208"},
            "patient": {"a": "Patient/1", "z": "Patient/1"},
            "date": {"a": "2021-03-04T00:00:00.000000", "z": "2021-03-05T00:00:00.000000"},
            "lot-number": {"a": "lot 7", "z": "lot 7"},
            "performer": {"a": "Organization/o", "z": "Organization/o"},
        },
        "pt": ["Patient/1"],
        "org": ["Organization/o"],
        "lb": ["http://l|R", "|local"],
        "ix": edition.number(edition.digests("Immunization")),
    }


def test_a_patient_belongs_to_its_own_compartment_under_an_id_it_does_not_have_yet() -> None:
    assert entries({"resourceType": "Patient"}, id="new").pt == ["Patient/new"]
    assert entries({"resourceType": "Patient", "id": "p"}).pt == ["Patient/p"]
    linked = {"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": "Patient/q"}, "type": "seealso"}]}
    assert entries(linked).pt == ["Patient/p", "Patient/q"]
    assert entries({"resourceType": "Organization", "id": "o"}).org == ["Organization/o"]


def test_values_of_the_wrong_type_have_no_entries() -> None:
    broken: dict[str, Any] = {
        "resourceType": "Patient",
        "name": "Smith",
        "identifier": [None, 1, {"value": 7}],
        "birthDate": "tomorrow",
        "gender": ["male"],
        "telecom": [{"system": "phone"}],
        "managingOrganization": 5,
        "meta": [],
        "address": {"line": "x", "city": 5},
        "active": "true",
    }
    found = entries(broken)
    assert found.tk == ["gender␟*|male", "deceased␟*|false"]
    assert found.d == [] and found.org == []


def test_amounts_have_their_units_comparators_and_open_ends() -> None:
    def spans(value: dict[str, Any]) -> list[tuple[str, str, str]]:
        found = entries({"resourceType": "Observation", **value})
        return [(span["p"], span["lo"], span["hi"]) for span in found.d if span["p"].startswith("value-quantity")]

    five, six = "p50005", "p50006"
    quantity = {"value": 5, "unit": "kilogram", "system": "http://u", "code": "kg"}
    labels = ["", "␟http://u|kg", "␟*|kg", "␟*|kilogram"]
    assert spans({"valueQuantity": quantity}) == [(f"value-quantity{label}", five, f"{five} ") for label in labels]
    assert spans({"valueQuantity": {"value": Decimal("5.0"), "comparator": "<"}}) == [("value-quantity", " ", five)]
    assert spans({"valueQuantity": {"value": 5, "comparator": ">="}}) == [("value-quantity", five, "~")]
    assert spans({"valueSampledData": {"origin": {"value": 5}}}) == []
    context = {"useContext": [{"code": {"code": "age"}, "valueRange": {"low": {"value": 5}, "high": {"value": 6}}}]}
    found = entries({"resourceType": "ValueSet", **context})
    assert {(s["p"], s["lo"], s["hi"]) for s in found.d} == {
        ("context-quantity", five, f"{six} "),
        ("context-type-quantity␟|age", five, f"{six} "),
        ("context-type-quantity␟*|age", five, f"{six} "),
    }


def test_codes_that_multiply_beyond_measure_are_refused() -> None:
    codes = {"coding": [{"system": "s", "code": str(number)} for number in range(2000)]}
    with pytest.raises(FhirError) as caught:
        entries({"resourceType": "Observation", "code": codes, "valueCodeableConcept": codes})
    assert (caught.value.status, caught.value.issues[0].detail) == (422, "too-many-keys")


def test_referred_lists_what_a_parameter_names() -> None:
    resource = {
        "resourceType": "Immunization",
        "performer": [{"actor": {"reference": f"Practitioner/{n}"}} for n in (1, 2, 1)] + [{"actor": {"display": "x"}}],
    }
    assert referred(resource, "performer") == [Local("Practitioner", "1"), Local("Practitioner", "2")]


def test_official_examples_are_indexed(shared: Path) -> None:
    for path in sorted((shared / "fhir-r4-examples").glob("*.json")):
        resource = parse(path.read_bytes())
        found = entries(resource)
        assert isinstance(found, Entries)
        known = {parameter.label for parameter in parameters(resource["resourceType"]).values()}
        for text in (*found.tk, *found.st, *found.rk):
            name = text.partition(SEPARATOR)[0].partition(":")[0]
            assert name in known
        assert len(set(found.tk)) == len(found.tk)
        assert len({(s["p"], s["lo"], s["hi"]) for s in found.d}) * 2 >= len(found.rk)


def test_no_broken_value_stops_the_index(shared: Path) -> None:
    """Every value of an example replaced in turn by values of other types: refused by validation, harmless here."""

    def places(value: Any) -> list[tuple[Any, Any]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [place for name, child in list(inner) for place in [(value, name), *places(child)]]

    for name in ("Patient-example", "Observation-656", "Encounter-home", "Immunization-example"):
        resource = parse((shared / "fhir-r4-examples" / f"{name}.json").read_bytes())
        for parent, place in places(resource):
            if place == "resourceType" and parent is resource:
                continue
            kept = parent[place]
            others: list[Any] = [None, 1, True, "x", [], [None], {}, {"coding": 1, "reference": 2, "repeat": 3}, [[]]]
            for other in others:
                parent[place] = other
                entries(resource)
            parent[place] = kept


texts = st.text(st.sampled_from("a|*␟␛0123,$\\ é"), max_size=6)


@given(texts, texts, texts, texts)
def test_no_two_values_share_a_key(a: str, b: str, c: str, d: str) -> None:
    assert (key("n", a) == key("n", b)) == (a == b)
    assert key("n", a).count(SEPARATOR) == 1
    if a and a != "*" and c and c != "*":
        assert (token(key("", a), b) == token(key("", c), d)) == ((a, b) == (c, d))


@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from(",|$"))
def test_escaped_values_come_back(values: list[str], separator: str) -> None:
    def escaped(text: str) -> str:
        for sign in "\\,|$":
            text = text.replace(sign, f"\\{sign}")
        return text

    joined = separator.join(escaped(value) for value in values)
    assert [unescape(part) for part in split(joined, separator)] == values


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(text.upper().lower()) == normalise(text.lower()) or not text.isascii()
