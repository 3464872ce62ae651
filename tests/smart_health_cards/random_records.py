"""Random people and their doses, at the edges of what a card holds: any letters, long names, up to 14 doses.

https://hl7.org/fhir/uv/shc-vaccination/profiles.html
"""

import random
from typing import Any

from tests.smart_health_cards.conftest import immunization

_LETTERS = "abcdefghijklmnñopqrstuvwxyzáéíóúüÅøßžŁẽ'- "


def record(chance: random.Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A Patient and 1 to 14 Immunizations; the same for the same state of `chance`."""
    person = {
        "resourceType": "Patient",
        "name": [{"family": _word(chance, 30), "given": [_word(chance, 20) for _ in range(chance.randint(1, 3))]}],
        "birthDate": _day(chance, 1920, 2020),
    }
    doses = [
        immunization(
            _day(chance, 2000, 2023),
            lot=f"{chance.getrandbits(40):x}",
            code=str(chance.choice((207, 208, 212, 213, 302))),
            performer=[{"actor": {"display": _word(chance, 40)}}],
        )
        for _ in range(chance.randint(1, 14))
    ]
    return person, doses


def _word(chance: random.Random, most: int) -> str:
    return "".join(chance.choice(_LETTERS) for _ in range(chance.randint(1, most))).strip() or "x"


def _day(chance: random.Random, first: int, last: int) -> str:
    return f"{chance.randint(first, last)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
