"""Constraints compiled by hand say what the library says of the same expression, or we say why not."""

from typing import Any

import pytest

from profiles.checker import check
from profiles.constraints import HAND, constraint, reference_type

CVX, NDC = "http://hl7.org/fhir/sid/cvx", "http://hl7.org/fhir/sid/ndc"
ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


class World:
    """Nothing is around the value."""

    resource: dict[str, Any] = {}  # noqa: RUF012  # never written to

    def resolve(self, reference: str) -> dict[str, Any] | None:
        return {"resourceType": "Device"} if reference == "#device" else None

    def affords(self) -> bool:
        return True

    def member_of(self, value_set: str, value: Any) -> bool | None:
        return {"in": True, "out": False}.get(value_set)


def role(**members: Any) -> dict[str, Any]:
    return {"resourceType": "PractitionerRole", **members}


def vaccine(*systems: str) -> dict[str, Any]:
    return {"resourceType": "Immunization", "vaccineCode": {"coding": [{"system": each} for each in systems]}}


def races(*codes: str) -> dict[str, Any]:
    return {"url": "r", "extension": [{"url": "ombCategory", "valueCoding": {"code": code}} for code in codes]}


def concept(*codes: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codes]}


VALUES: dict[str, list[Any]] = {
    "HumanName": [
        {"family": "a"},
        {"given": ["b"]},
        {"text": "c"},
        {"extension": [ABSENT]},
        {"family": "a", "extension": [ABSENT]},
    ],
    "CodeableConcept": [
        concept((CVX, "213")),
        concept((CVX, "208")),
        concept((NDC, "213")),
        {"text": "x"},
        {"id": "x"},
        concept((CVX, "208"), (CVX, "999")),
    ],
    "Identifier": [
        {"value": each} for each in ("1407071210", "1407071211", "1234567893", "12D4567890", "12345", "123")
    ],
    "dateTime": ["2021", "2021-01", "2021-01-01", "2021-01-01T10:00:00Z"],
    "PractitionerRole": [
        role(),
        role(telecom=[{"value": "1"}]),
        role(endpoint=[{"reference": "Endpoint/1"}]),
        role(location=[{"display": "x"}]),
    ],
    "RelatedPerson": [{"resourceType": "RelatedPerson"}, {"resourceType": "RelatedPerson", "name": [{"family": "x"}]}],
    "Immunization": [vaccine(), vaccine(CVX), vaccine(NDC), vaccine(CVX, NDC)],
    "Provenance.agent": [
        {"who": {"reference": "Practitioner/1"}},
        {"who": {"reference": "Practitioner/1"}, "onBehalfOf": {"display": "x"}},
        {"who": {"reference": "Organization/1"}},
        {"who": {"reference": "#device"}},
        {"who": {"display": "x"}},
    ],
    "Extension": [races(), races("UNK"), races("UNK", "2106-3"), races("2106-3", "1002-5"), races("ASKU")],
    "Questionnaire.item.enableWhen": [
        {"operator": "exists", "answerBoolean": True},
        {"operator": "exists", "answerString": "x"},
        {"operator": "=", "answerString": "x"},
    ],
}

BEGINNINGS = {
    "(((select(value": "Identifier", "value.matches": "Identifier", "$this": "dateTime", "telecom": "PractitionerRole",
    "practitioner": "PractitionerRole", "name.exists": "RelatedPerson", "vaccineCode": "Immunization",
    "who.exists": "Provenance.agent", "extension.where": "Extension", "operator": "Questionnaire.item.enableWhen",
    "coding": "CodeableConcept", "(family": "HumanName", "family": "HumanName",
}  # fmt: skip

OTHERWISE = (
    # A collection stands where a boolean is meant: the library gives up.
    "telecom or endpoint",
    "practitioner or organization or healthcareService or location",
    # An NPI of another form is the other constraint's matter.
    "(((select(value",
    # The library does not know the types under these names.
    "operator = 'exists' implies (answer is Boolean)",
    "$this is DateTime implies",
)


@pytest.mark.parametrize("expression", HAND, ids=lambda text: text[:50])
def test_by_hand_as_by_the_library(expression: str) -> None:
    kind = next(kind for beginning, kind in BEGINNINGS.items() if expression.startswith(beginning))
    asked = constraint("t-1", "error", expression, "")
    # With the parentheses it is no longer known by hand.
    by_library = constraint("t-1", "error", f"({expression})", "")
    verdicts = [asked.holds(value, kind, World()) for value in VALUES[kind]]
    assert set(verdicts) == {True, False}
    if not expression.startswith(OTHERWISE):
        assert verdicts == [by_library.holds(value, kind, World()) for value in VALUES[kind]]


@pytest.mark.parametrize(
    ("expression", "value", "kind", "expected"),
    [
        ("$this.matches('^a')", "ab", "string", True),
        ("$this.length() < 2", "ab", "string", False),
        ("given.count() > 1", {"given": ["a", "b"]}, "HumanName", True),
        ("given", {"given": ["a"]}, "HumanName", True),
        ("given", {"family": "a"}, "HumanName", False),
        (
            "value.ofType(Quantity).exists()",
            {"resourceType": "Observation", "valueQuantity": {"value": 1}},
            "Observation",
            True,
        ),
        ("resolve() is Patient", {"reference": "Patient/1"}, "Reference", True),
        ("resolve() is Patient", {"reference": "https://e.org/fhir/Group/1/_history/2"}, "Reference", False),
        ("resolve() is Device", {"reference": "#device"}, "Reference", True),
        ("$this.memberOf('in')", {"text": "x"}, "CodeableConcept", True),
        ("$this.memberOf('out')", {"text": "x"}, "CodeableConcept", False),
        ("$this.conformsTo('x')", {"text": "x"}, "CodeableConcept", None),
        ("1 / 0 > 1", {"text": "x"}, "CodeableConcept", False),
        ("trace('x').exists()", {"text": "x"}, "CodeableConcept", True),
    ],
)
def test_by_the_library(
    expression: str, value: Any, kind: str, expected: bool | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert constraint("t-2", "error", expression, "").holds(value, kind, World()) is expected
    assert capsys.readouterr().out == ""


def test_keys_make_codes() -> None:
    assert constraint("US_Core 6!", "warning", "true", "").detail == "constraint-us-core-6-"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Patient/1", "Patient"),
        ({"reference": "http://e.org/Patient/1"}, "Patient"),
        ({"reference": "urn:uuid:x", "type": "Group"}, "Group"),
        ({"reference": "Nothing/1"}, None),
        ({"display": "x"}, None),
        (None, None),
    ],
)
def test_what_a_reference_names(value: Any, expected: str | None) -> None:
    assert reference_type(value) == expected


def test_a_large_resource_costs_no_more() -> None:
    items = [{"linkId": str(number), "type": "string"} for number in range(200)]
    questionnaire = {"resourceType": "Questionnaire", "status": "active", "item": items}
    url = "http://hl7.org/fhir/StructureDefinition/Questionnaire"
    told = [issue for issue in check(questionnaire, url) if issue.severity == "information"]
    assert [(issue.code, issue.detail) for issue in told] == [("too-costly", "constraint-not-evaluated")]
