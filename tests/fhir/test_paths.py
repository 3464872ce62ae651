"""The small path language agrees with a FHIRPath engine on the official examples.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from fhir_server.fhir.json import parse
from fhir_server.fhir.params import parameters
from fhir_server.fhir.paths import compile
from profiles.definitions import RESOURCE_TYPES


@cache
def _fhirpath(expression: str) -> Any:
    # `as` wants a singleton, resolve() wants a server, and an Extension stands for its value in a search parameter.
    expression = re.sub(r"^Resource\.", "", expression)
    expression = re.sub(r"\((\S+) as (\w+)\)", r"\1.ofType(\2)", expression)
    expression = re.sub(r"resolve\(\) is (\w+)", r"reference.matches('(^|.*/)\1/.*')", expression)
    expression = re.sub(r"extension\('[^']+'\)", r"\g<0>.value", expression)
    return fhirpathpy.compile(expression, models["r4"])


def test_values_agree_with_fhirpath(shared: Path) -> None:
    compared = 0
    for path in sorted((shared / "fhir-r4-examples").glob("*.json")):
        resource = parse(path.read_bytes())
        for name, parameter in parameters(resource["resourceType"]).items():
            expected = {str(value) for value in _fhirpath(parameter.expression)(resource)}
            found = {str(v) for branch in parameter.branches for v in branch.of(resource) if v is not None}
            assert found == expected, f"{path.name} {name}: {parameter.expression}"
            compared += len(found)
    assert compared > 2000


def test_every_parameter_of_every_type_compiles() -> None:
    found = [parameter for name in RESOURCE_TYPES for parameter in parameters(name).values()]
    assert len(found) > 2500
    assert all(parameter.branches for parameter in found)


def test_types_targets_and_cardinality_come_from_the_definitions() -> None:
    (branch,) = compile("Immunization.patient", "Immunization")
    assert (branch.member, branch.type, branch.targets, branch.single) == ("patient", "Reference", ("Patient",), True)
    assert [branch.member for branch in compile("Immunization.occurrence", "Immunization")] == [
        "occurrenceDateTime",
        "occurrenceString",
    ]
    (branch,) = compile("Observation.subject.where(resolve() is Patient)", "Observation")
    assert branch.targets == ("Patient",)
    assert parameters("Immunization")["patient"].targets == ("Patient",)
    assert not parameters("Patient")["name"].single


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.nmae",
        "Patient.name.first()",
        "Patient.name[",
        "Patient..name",
        "Patient.name.where(a > 1)",
        "Patient.{}",
    ],
)
def test_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        compile(expression, "Patient")
