"""https://hl7.org/fhir/R4/searchparameter-registry.html

Entries that change without a new edition would never be made again for what is stored.
"""

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from fhir_server.fhir import edition
from fhir_server.fhir.index import entries
from profiles.definitions import RESOURCE_TYPES

RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p",
        "meta": {"tag": [{"system": "http://t", "code": "x"}], "profile": ["http://p|1"], "security": [{"code": "R"}]},
        "identifier": [
            {"type": {"coding": [{"system": "http://y", "code": "MR"}]}, "system": "http://i", "value": "A|1"},
        ],
        "name": [{"family": "Núñez  Ørsted", "given": ["Ana", "María"], "text": "Ana"}],
        "telecom": [{"system": "phone", "value": "+1 (919) 555-0100"}, {"system": "email", "value": "A@B.org"}],
        "gender": "female",
        "birthDate": "1980-02",
        "deceasedDateTime": "2021-03-04T05:06:07.8+02:00",
        "address": [{"line": ["1 Main St"], "city": "Raleigh", "state": "NC", "use": "home"}],
        "managingOrganization": {"reference": "Organization/o", "identifier": {"value": "9"}},
        "generalPractitioner": [{"reference": "http://own/fhir/Practitioner/d/_history/2"}],
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Weight", "coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/p"},
        "effectivePeriod": {"start": "2021-01-01"},
        "valueQuantity": {"value": Decimal("-1.50e2"), "unit": "kg", "system": "http://u", "code": "kg"},
        "component": [{"code": {"coding": [{"code": "c"}]}, "valueQuantity": {"value": 7}}],
    },
    {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": Decimal("0.10")}]},
    {"resourceType": "ValueSet", "url": "http://v/s|2", "status": "active", "version": "1", "date": "2020"},
    {"resourceType": "Group", "member": [{"entity": {"reference": "Patient/p"}}], "characteristic": [
        {"code": {"coding": [{"code": "k"}]}, "valueCodeableConcept": {"coding": [{"code": "v"}]}}]},
]  # fmt: skip

KNOWN = {(2, 2): "b690803c501690d0", (3, 2): "dc92eca3eeeeede1", (4, 2): "dc92eca3eeeeede1"}
"""What the entries of RESOURCES come to, by VERSION and ACCESS_VERSION."""


def test_other_entries_mean_another_version() -> None:
    found = [entries(resource, "http://own/fhir", "id").document() for resource in RESOURCES]
    for each in found:
        del each["ix"]
    come_to = sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    assert KNOWN.get((edition.VERSION, edition.ACCESS_VERSION)) == come_to, (
        "These resources are indexed differently now. Raise VERSION (or ACCESS_VERSION) in fhir/edition.py, so that "
        "what is stored is indexed again, and record the new figure here."
    )


def test_every_type_has_an_edition() -> None:
    assert all(edition.digests(each).keys() >= {"_tag", ":pt", ":org", ":lb"} for each in RESOURCE_TYPES)
    with pytest.raises(KeyError):
        edition.digests("Nothing")


def test_entries_carry_the_edition_of_their_rules() -> None:
    assert entries({"resourceType": "Patient"}).ix == edition.number(edition.digests("Patient")) < 2**48
