import subprocess
import sys

import pytest

from profiles import definitions
from profiles.definitions import RESOURCE_TYPES, TYPES, child, children, elements, summary, value_set
from profiles.primitives import CHECKERS


def test_types() -> None:
    assert len(RESOURCE_TYPES) == 146
    assert {"Patient", "Immunization", "Group", "Bundle"} <= RESOURCE_TYPES
    assert not {"Resource", "DomainResource", "HumanName"} & RESOURCE_TYPES
    assert TYPES["Age"] == ("complex-type", "Quantity", False)


def test_elements_keep_the_order_of_the_specification() -> None:
    names = list(elements("Patient"))
    assert names[:9] == [
        *("id", "meta", "implicitRules", "language", "text", "contained", "extension"),
        *("modifierExtension", "identifier"),
    ]
    assert names[-4:] == ["communication", "generalPractitioner", "managingOrganization", "link"]


def test_an_element() -> None:
    deceased = elements("Patient")["deceased"]
    assert (deceased.types, deceased.min, deceased.max) == (("boolean", "dateTime"), 0, 1)
    assert (deceased.choice, deceased.summary, deceased.modifier, deceased.many) == (True, True, True, False)
    assert elements("Patient")["id"].types == ("id",)
    assert elements("Patient.contact")["id"].attribute
    assert elements("Patient")["contact"].types == ("Patient.contact",)
    assert elements("Immunization")["patient"].targets == ("Patient",)
    assert elements("Immunization")["status"].value_set == "http://hl7.org/fhir/ValueSet/immunization-status"
    item = elements("Questionnaire.item")["item"]
    assert (item.types, item.reference, item.max) == (("Questionnaire.item",), True, None)


def test_children_by_json_name() -> None:
    assert child("Patient", "deceased") is None
    assert child("Patient", "_birthDate") is None
    found = child("Patient", "deceasedDateTime")
    assert found is not None and (found[0].name, found[1]) == ("deceased", "dateTime")
    assert children("Observation")["valueQuantity"][1] == "Quantity"
    with pytest.raises(KeyError):
        elements("Patient.nothing")


def test_summary() -> None:
    assert {"id", "meta", "identifier", "deceasedBoolean"} <= summary("Patient")
    assert not {"text", "photo", "contact"} & summary("Patient")


def test_value_sets() -> None:
    genders = value_set("http://hl7.org/fhir/ValueSet/administrative-gender")
    assert genders is not None and genders.all_codes() == {"male", "female", "other", "unknown"}
    assert genders.holds("male", "http://hl7.org/fhir/administrative-gender")
    assert not genders.holds("male", "http://example.org")
    intents = value_set("http://hl7.org/fhir/ValueSet/task-intent")
    assert intents is not None and {"unknown", "order", "filler-order"} <= intents.all_codes()
    languages = value_set("http://hl7.org/fhir/ValueSet/all-languages")
    assert languages is not None and languages.holds("en-US", "urn:ietf:bcp:47") and not languages.holds("?")
    assert value_set("http://example.org/ValueSet/none") is None


def test_every_path_and_type_named_is_defined() -> None:
    paths = [p for t in TYPES for p in _paths(t)]
    assert len(paths) > 600
    for path in paths:
        for _, type_name in children(path).values():
            assert type_name in CHECKERS or type_name in {"xhtml", "Resource"} or elements(type_name)


def _paths(path: str) -> list[str]:
    inner = {t for _, t in children(path).values() if t.startswith(f"{path}.")}
    return [path, *(p for t in sorted(inner) for p in _paths(t))]


def test_invariants_hold_their_expression() -> None:
    contact = definitions.invariants()["pat-1", "Patient.contact"]
    assert contact.expression == "name.exists() or telecom.exists() or address.exists() or organization.exists()"
    assert contact.severity == "error"


def test_import_is_cheap_and_needs_nothing_of_the_server() -> None:
    code = (
        "import sys, profiles.structure as s; s.check({'resourceType': 'Patient'});"
        "print([m for m in sys.modules if m.split('.')[0] in ('fhir_server', 'fastapi', 'pymongo', 'pydantic')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
