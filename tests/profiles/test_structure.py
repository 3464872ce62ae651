from typing import Any

import pytest

from profiles.structure import check
from tests.profiles.cases import structure_cases

CASES = structure_cases()


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_issues_are_exactly_these(case: dict[str, Any]) -> None:
    issues = check(case["resource"])
    found = [[i.code, i.detail, i.expression[0] if i.expression else ""] for i in issues]
    assert sorted(found) == sorted(case["issues"]), [i.text for i in issues]


def test_texts_name_what_was_found_and_what_is_allowed() -> None:
    issues = check({"resourceType": "Patient", "gender": "Female", "birthdate": "1980", "deceased": True})
    assert [issue.text for issue in issues] == [
        '"Female" is not in the value set http://hl7.org/fhir/ValueSet/administrative-gender: '
        "female | male | other | unknown.",
        'Patient has no element "birthdate"; did you mean "birthDate"?',
        '"deceased" is written with its type: deceasedBoolean, deceasedDateTime.',
    ]


def test_only_errors_make_a_resource_invalid() -> None:
    wrong_target = {"resourceType": "Patient", "managingOrganization": {"reference": "Practitioner/1"}}
    assert [issue.severity for issue in check(wrong_target)] == ["warning"]
    assert [issue.severity for issue in check({"resourceType": "Patient", "x": 1})] == ["error"]


def test_a_warning_hides_no_error() -> None:
    """An extension that points at an odd type must not keep bindings and invariants from being checked."""
    odd = {"reference": "Patient/1", "identifier": {"assigner": {"reference": "Patient/1"}}}
    issues = check(
        {
            "resourceType": "AllergyIntolerance",
            "patient": {"reference": "Patient/1"},
            "clinicalStatus": {
                "coding": [{"code": "x"}],
                "extension": [{"url": "http://e.org", "valueIdentifier": {"assigner": odd}}],
            },
        }
    )
    assert {issue.detail for issue in issues} == {"wrong-reference-target", "code-not-in-value-set"}


def test_bottomless_nesting_is_refused_not_raised() -> None:
    extension: dict[str, Any] = {"url": "http://e.org", "valueString": "v"}
    for _ in range(5000):
        extension = {"url": "http://e.org", "extension": [extension]}
    assert [issue.detail for issue in check({"resourceType": "Patient", "extension": [extension]})] == ["too-deep"]


def test_the_list_of_problems_is_bounded() -> None:
    names = {f"x{n}": 1 for n in range(5000)}
    resources: list[dict[str, Any]] = [
        names,
        {"name": [names] * 3},
        {"name": [{"given": [1] * 5000}]},
        {"contact": [{}] * 5000},
    ]
    for resource in resources:
        issues = check({"resourceType": "Patient", **resource})
        assert len(issues) == 1001
        assert (issues[-1].detail, issues[-1].severity) == ("more-problems", "information")
