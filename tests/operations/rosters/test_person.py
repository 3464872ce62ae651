"""A row as a Patient, and what it says anew about one who is there."""

from datetime import date
from typing import Any

import pytest
from fhir.resources.R4B.patient import Patient

from fhir_server.domain.roster import Row
from fhir_server.operations.rosters.person import is_somebody_else, merged, patient, with_identifier
from profiles import structure

ROW = Row(
    2, "7", "Li", ("Ana", "Luz"), date(1980, 1, 2), "Jr.", "female", "ana@example.org", "+19195550100", "1 Main St",
    "Raleigh", "NC", "27601", "Wake", ("2106-3", "2028-9"), "2135-2", "Nurse",
)  # fmt: skip
BARE = Row(2, None, "Li", ("Ana",), date(1980, 1, 2))


@pytest.mark.parametrize("row", [ROW, BARE])
def test_the_patient_of_a_row_is_valid(row: Row) -> None:
    made = with_identifier(patient(row), {"system": "urn:x", "value": "7"})
    assert structure.check(made) == []
    Patient.model_validate(made)


def test_a_bare_row_says_no_more_than_it_knows() -> None:
    assert patient(BARE) == {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "family": "Li", "given": ["Ana"]}],
        "birthDate": "1980-01-02",
    }


def test_saying_the_same_again_changes_nothing() -> None:
    known = with_identifier(patient(ROW), {"system": "urn:x", "value": "7"})
    assert merged(known, patient(ROW)) is known
    assert merged(known, patient(BARE)) != known  # another middle name
    assert with_identifier(known, {"system": "urn:x", "value": "7"}) is known


@pytest.mark.parametrize(
    ("known", "said", "expected"),
    [
        (
            {"name": [{"family": "Lee", "given": ["Ana"], "text": "Ana Lee"}]},
            {},
            {"name": [{"family": "Li", "given": ["Ana"]}]},
        ),
        (
            {"name": [{"use": "nickname", "given": ["A"]}, {"use": "official", "family": "Lee", "given": ["Ana"]}]},
            {},
            {"name": [{"use": "nickname", "given": ["A"]}, {"use": "official", "family": "Li", "given": ["Ana"]}]},
        ),
        ({"birthDate": "1980-01-03"}, {}, {"birthDate": "1980-01-02"}),
        ({"gender": "unknown"}, {"gender": "female"}, {"gender": "female"}),
        ({"gender": "female"}, {}, {"gender": "female"}),
        (
            {"telecom": [{"system": "email", "value": "own@example.org"}]},
            {
                "telecom": [
                    {"system": "email", "value": "Own@example.org"},
                    {"system": "phone", "value": "+19195550100"},
                ]
            },
            {
                "telecom": [
                    {"system": "email", "value": "own@example.org"},
                    {"system": "phone", "value": "+19195550100"},
                ]
            },
        ),
        (
            {"address": [{"use": "work", "city": "Cary"}, {"use": "home", "city": "Durham"}]},
            {"address": [{"use": "home", "city": "Raleigh"}]},
            {"address": [{"use": "work", "city": "Cary"}, {"use": "home", "city": "Raleigh"}]},
        ),
        (
            {"extension": [{"url": "a", "valueCode": "own"}]},
            {"extension": [{"url": "a", "valueCode": "x"}]},
            {"extension": [{"url": "a", "valueCode": "own"}]},
        ),
        (
            {"communication": [{"language": {"text": "es"}}]},
            {"communication": [{"language": {"text": "en"}}]},
            {"communication": [{"language": {"text": "es"}}]},
        ),
        ({}, {"maritalStatus": {"text": "M"}}, {"maritalStatus": {"text": "M"}}),
    ],
)
def test_what_is_merged(known: dict[str, Any], said: dict[str, Any], expected: dict[str, Any]) -> None:
    base = {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"family": "Li", "given": ["Ana"]}],
        "birthDate": "1980-01-02",
    }
    word = {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": "Li", "given": ["Ana"]}],
        "birthDate": "1980-01-02",
    }
    result = merged(base | known, word | said)
    assert {name: result[name] for name in expected} == expected
    assert result["id"] == "p"


@pytest.mark.parametrize(
    ("born", "family", "somebody_else"),
    [
        ("1980-01-02", "Li", False),
        ("1980-01-02", "Gómez", False),
        ("1980-02-01", "LI", False),
        ("1980-02-01", "Gómez", True),
    ],
)
def test_somebody_else(born: str, family: str, somebody_else: bool) -> None:
    known = {"resourceType": "Patient", "name": [{"family": family, "given": ["Ana"]}], "birthDate": born}
    assert is_somebody_else(known, patient(ROW)) is somebody_else
