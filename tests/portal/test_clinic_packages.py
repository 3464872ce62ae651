"""https://www.gs1.org/standards/barcodes/application-identifiers

Codes of packages, as scanners type them and as they are printed; and people who are alike.
"""

from datetime import date

import pytest

from fhir_server.http.portal.clinic.packages import Package, read
from fhir_server.http.portal.clinic.people import likeness

GTIN, NDC = "00300692528012", "00069-2528-01"
WHOLE = Package(NDC, "LN7704", date(2026, 12, 31))


@pytest.mark.parametrize(
    ("text", "package"),
    [
        (NDC, Package(NDC)),
        ("0069-2528-01", Package(NDC)),
        (f"01{GTIN}1726123110LN7704", WHOLE),
        (f"]d201{GTIN}10LN7704\x1d1726120021ABC", WHOLE),
        (f"\x1d01{GTIN}21ABC\x1d1726123110LN7704", WHOLE),
        (f"(01){GTIN}(17)261231(10) LN7704 ", WHOLE),
        (f"01{GTIN}", Package(NDC)),
        (f"01{GTIN}17269931", Package(NDC)),
        (GTIN, Package(NDC)),
        (GTIN[2:], Package(NDC)),
        (f"{GTIN[2:-1]}3", None),
        ("5012345678900", None),
        (f"01{GTIN[:-1]}3", None),
        ("0105012345678900", None),
        (f"(01){GTIN[:-1]}(10)A", None),
        (f"01{GTIN}17", None),
        (f"01{GTIN}10{'A' * 21}", None),
        (f"01{GTIN}99X", None),
        ("1726123110LN7704", None),
        ("(10)LN7704", None),
        ("EL9261", None),
        ("", None),
        ("²", None),
    ],
)
def test_codes_of_packages(text: str, package: Package | None) -> None:
    assert read(text) == package


RUTH = {
    "id": "1",
    "name": [{"family": "Whitfield-Núñez", "given": ["Ruth", "Ann"]}],
    "birthDate": "1950-06-02",
    "telecom": [{"system": "phone", "value": "(919) 555-0101"}, {"system": "email", "value": "Ruth@mail.example"}],
}


@pytest.mark.parametrize(
    ("typed", "points"),
    [
        ({"given": "ruth ann", "family": "WHITFIELD NUNEZ", "birth": "1950-06-02", "phone": "919-555-0101"}, 5),
        ({"given": "Whitfield Nunez", "family": "Ruth Ann", "birth": "1950-02-06", "email": "ruth@mail.example"}, 4),
        ({"given": "Ruth", "family": "Whitfield-Nuñes", "birth": "1950-06-03"}, 2),
        ({"given": "Ruth", "family": "Whitfield", "birth": "1950-06-02"}, 3),
        ({"given": "Ann", "family": "Larsen", "birth": "1999-04-25", "phone": "919-555-0199"}, 0),
        ({"given": "Ann", "family": "Larsen", "birth": "", "phone": "", "email": ""}, 0),
        ({}, 0),
    ],
)
def test_likeness(typed: dict[str, str], points: int) -> None:
    found = likeness(typed, RUTH)
    assert found.points == points
    assert bool(found.common) == bool(points)
