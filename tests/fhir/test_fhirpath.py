from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from fhir_server.fhir.fhirpath import parse
from fhir_server.fhir.outcome import FhirError

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "birthDate": "1980-02-03",
    "extension": [
        {"url": "http://example.org/a", "valueCode": "x"},
        {"url": "http://example.org/b", "valueInteger": 2},
    ],
    "identifier": [
        {"use": "usual", "system": "urn:a", "value": "1", "type": {"coding": [{"code": "MR"}, {"code": "PI"}]}},
        {"use": "official", "system": "urn:b", "value": "O'Hara", "type": {"coding": [{"code": "MR"}]}},
        {"system": "urn:b", "value": "3", "period": {"end": "2020"}},
    ],
    "name": [
        {"use": "official", "family": "Nowak", "given": ["Ana", "Bea"]},
        {"use": "usual", "given": ["Ani"]},
    ],
    "contact": [{"gender": "female", "name": {"family": "Nowak"}}, {"gender": "male"}],
    "multipleBirthInteger": 2,
}

EXPRESSIONS = """
Patient
Patient.id
birthDate
Patient.name.given
Patient.name[1].given[0]
Patient.name[7]
Patient.name.given.first()
Patient.name.given.last()
Patient.name.tail().given
Patient.identifier.skip(1).take(1).value
Patient.name.where(use = 'official').given
Patient.name.where(use='official').family.single()
Patient.identifier.where(system = 'urn:b' and use = 'official').value
Patient.identifier.where(system = 'urn:b' and use.empty()).value
Patient.identifier.where(use.exists() and period.exists().not()).value
Patient.identifier.where(use = 'usual' or period.exists()).value
Patient.identifier.where((use = 'usual') xor (system = 'urn:a')).value
Patient.identifier.where(use = 'official' implies system = 'urn:z').value
Patient.identifier.where(use != 'usual').value
Patient.identifier.where(type.coding.code = 'MR').value
Patient.identifier.where(type.coding.where(code = 'PI').exists()).value
Patient.identifier.where(type.coding.exists(code = 'PI')).value
Patient.identifier.where(value = 'O\\'Hara').system
Patient.identifier.where(value.startsWith('O')).system
Patient.identifier.where(value.contains('H') and value.endsWith('a')).system
Patient.name.where(family ~ 'NOWAK').use
Patient.name.given.where($this = 'Bea')
Patient.contact.where(gender = 'male').gender
Patient.extension('http://example.org/b').value
Patient.multipleBirth
Patient.multipleBirth.ofType(integer)
Patient.where(active).id
Patient.where(active = true).id
Patient.where(active.not()).id
Patient.where(active = false).id
Patient.where(multipleBirth = 2).id
Patient.where(multipleBirth = 2.0).id
Patient.where('Ani' in name.given).id
"""


@pytest.mark.parametrize("expression", EXPRESSIONS.strip().splitlines())
def test_finds_what_a_whole_fhirpath_engine_finds(expression: str) -> None:
    found = [location.value for location in parse(expression).of(PATIENT)]
    assert found == fhirpathpy.evaluate(PATIENT, expression, {}, models["r4"])


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "Patient.",
        "Patient..name",
        "Patient.name[",
        "Patient.name[x]",
        "Patient.name['0']",
        "Patient.name[12345678901]",
        "Patient.colour",
        "Patient.deceasedBoolean",
        "Patient.name.colour",
        "Observation.status",
        "Patient.name.where(use = 'official'",
        "Patient.name.where()",
        "Patient.name.where(use = )",
        "Patient.name.where(use == 'official')",
        "Patient.name.where(use.matches('(a+)+$'))",
        "Patient.name.given.toInteger()",
        "Patient.name.given.single()",
        "Patient.contact.where(name.family = %resource.name.family)",
        "Patient.name.ofType(Nothing)",
        "Patient.name | Patient.identifier",
        "Patient.name.count() > 1",
        "Patient.name;",
        "Patient.identifier.where(" * 20 + "use.exists()" + ")" * 20,
        "Patient" + ".name" * 400,
    ],
)
def test_refuses_what_it_does_not_know(expression: str) -> None:
    with pytest.raises(FhirError) as caught:
        parse(expression).of(PATIENT)
    assert caught.value.status == 400
    assert caught.value.issues[0].detail == "invalid-path"


def test_an_element_may_have_a_functions_name() -> None:
    value_set = {"resourceType": "ValueSet", "expansion": {"contains": [{"code": "a"}, {"code": "b"}]}}
    assert [each.value for each in parse("ValueSet.expansion.contains[1].code").of(value_set)] == ["b"]


def test_steps_into_contained_resources_by_their_own_type() -> None:
    resource = {"resourceType": "Immunization", "contained": [{"resourceType": "Patient", "name": [{"family": "A"}]}]}
    assert [each.value for each in parse("Immunization.contained[0].name.family").of(resource)] == ["A"]
    assert [each.kind for each in parse("contained.ofType(Patient)").of(resource)] == ["Patient"]
