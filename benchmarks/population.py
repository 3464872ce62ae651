"""A population of invented patients, the same for the same seed."""

import random

from fhir_server.fhir import json

CVX = "http://hl7.org/fhir/sid/cvx"
MRN = "https://bench.example/mrn"
_BEGINNINGS = (
    "Ander",
    "Black",
    "Carter",
    "Dough",
    "Ell",
    "Fern",
    "Green",
    "Hart",
    "Ives",
    "John",
    "Kirk",
    "Lang",
    "Mont",
)
_ENDINGS = ("son", "wood", "ley", "ton", "field", "man", "worth", "by", "ster", "ham", "stone", "burn", "well", "gate")
FAMILIES = [beginning + ending for beginning in _BEGINNINGS for ending in _ENDINGS]
GIVEN = ("Ana", "Ben", "Chloe", "David", "Elena", "Femi", "Grace", "Hugo", "Ines", "José", "Kim", "Luis", "Maya")


def patient(number: int, seed: int = 7, organization: str = "") -> bytes:
    """The patient with this number, compact JSON; managed by the Organization with this id, if one is named."""
    chance = random.Random(seed * 1_000_003 + number)  # noqa: S311 - invented people, not secrets
    family, given = chance.choice(FAMILIES), chance.choice(GIVEN)
    managed = {"managingOrganization": {"reference": f"Organization/{organization}"}} if organization else {}
    born = f"{chance.randint(1930, 2015)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
    return json.dump(
        {
            "resourceType": "Patient",
            "id": f"bench-{number}",
            "identifier": [{"use": "usual", "system": MRN, "value": f"MRN{number:08d}"}],
            "active": True,
            "name": [{"use": "official", "family": family, "given": [given, chance.choice(GIVEN)]}],
            "telecom": [
                {"system": "phone", "value": f"919-555-{number % 10_000:04d}", "use": "mobile"},
                {"system": "email", "value": f"{given}.{family}.{number}@mail.example".lower()},
            ],
            "gender": chance.choice(("female", "male")),
            "birthDate": born,
            "address": [
                {
                    "use": "home",
                    "line": [f"{chance.randint(1, 9999)} Oak Street"],
                    "city": "Raleigh",
                    "state": "NC",
                    "postalCode": f"{27500 + number % 120}",
                    "country": "US",
                }
            ],
            **managed,
        }
    )


def dose(number: int, seed: int = 7) -> bytes:
    """The one dose of the patient with this number, compact JSON."""
    chance = random.Random(seed * 999_983 + number)  # noqa: S311 - invented people, not secrets
    return json.dump(
        {
            "resourceType": "Immunization",
            "id": f"bench-{number}",
            "status": "completed",
            "vaccineCode": {
                "coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": chance.choice(("207", "208"))}]
            },
            "patient": {"reference": f"Patient/bench-{number}"},
            "occurrenceDateTime": f"2021-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}",
            "primarySource": True,
            "lotNumber": f"EL{chance.randint(1_000, 9_999)}",
        }
    )


def entry(resource: bytes, method: str, url: str) -> bytes:
    """An entry of a transaction."""
    return b'{"resource":' + resource + b',"request":' + json.dump({"method": method, "url": url}) + b"}"
