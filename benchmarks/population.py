"""A population of invented patients, the same for the same seed."""

import random
from collections.abc import Iterator

from fhir_server.fhir import json

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


def patients(count: int, first: int = 0, seed: int = 7) -> Iterator[bytes]:
    """`count` patients, numbered from `first`; each about 700 bytes."""
    for number in range(first, first + count):
        yield patient(number, seed)


def patient(number: int, seed: int = 7) -> bytes:
    """The patient with this number, compact JSON."""
    chance = random.Random(seed * 1_000_003 + number)  # noqa: S311 - invented people, not secrets
    family, given = chance.choice(FAMILIES), chance.choice(GIVEN)
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
        }
    )
