"""No false alarm on what HL7 itself publishes, nor on the synthetic population."""

import json
from decimal import Decimal
from typing import Any

import pytest

from profiles.structure import check
from tests.profiles.cases import load, official_files
from tools.definitions.package import Package

BROKEN_EXAMPLES = {
    # display items without the linkId that R4 requires (1..1)
    "Questionnaire-qs1.json": {"missing-element"},
}
BROKEN_DEFINITIONS = {
    # no base, which R4 requires (1..*)
    **{
        f"SearchParameter-{name}.json": {"missing-element"}
        for name in (
            *("codesystem-extensions-CodeSystem-author", "codesystem-extensions-CodeSystem-effective"),
            *("codesystem-extensions-CodeSystem-end", "codesystem-extensions-CodeSystem-keyword"),
            *("codesystem-extensions-CodeSystem-workflow", "valueset-extensions-ValueSet-author"),
            *("valueset-extensions-ValueSet-effective", "valueset-extensions-ValueSet-end"),
            *("valueset-extensions-ValueSet-keyword", "valueset-extensions-ValueSet-workflow"),
        )
    },
    # an id of 70 characters
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": {"invalid-format"},
}


def errors(resource: Any) -> set[str]:
    return {issue.detail for issue in check(resource) if issue.severity == "error"}


def test_examples_and_synthetic_bundles() -> None:
    paths = official_files()
    if not paths:
        pytest.skip("../shared/data is not at hand")
    assert {p.name: found for p in paths if (found := errors(load(p)))} == BROKEN_EXAMPLES


def test_the_definitions_package_itself(package: Package) -> None:
    files = package.files()
    assert len(files) > 4500
    parsed = {name: json.loads(data, parse_float=Decimal) for name, data in files.items()}
    assert {name: found for name, r in parsed.items() if (found := errors(r))} == BROKEN_DEFINITIONS
