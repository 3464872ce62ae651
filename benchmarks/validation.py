"""Validation on one core: microseconds of CPU for a resource, by R4's structure alone and by profiles.

https://hl7.org/fhir/R4/validation.html
"""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from profiles import structure
from profiles.checker import check
from profiles.guides import Library, shipped
from terminology.library import shipped as terminology

SEEDS = Path(__file__).parents[1] / "tests" / "profiles" / "seeds"
NAMES = ("us-core-immunization", "administered-dose", "us-core-patient", "roster")
RUNS, TIMES = 5, 300


def rows() -> list[tuple[str, float]]:
    """What is measured, and its microseconds: the best of RUNS. Value sets are answered by the terminology."""
    library = Library(shipped(), {"hl7.fhir.us.core": "6.1.0"})
    allowed = terminology().allowed
    found = []
    for name in NAMES:
        seed = json.loads((SEEDS / f"{name}.json").read_text(), parse_float=Decimal)
        resource, url = seed["resource"], seed["profiles"][0]
        found.append((f"structure of the seed {name}", _cost(_structure(resource))))
        found.append(
            (f"structure, invariants, extensions and profile of {name}", _cost(_whole(resource, url, library, allowed)))
        )
    return found


def table() -> str:
    """The rows as Markdown."""
    lines = ["| validation, on one core | µs |", "|---|--:|"]
    return "\n".join([*lines, *(f"| {name} | {cost:,.0f} |" for name, cost in rows())])


def _structure(resource: Any) -> Callable[[], Any]:
    return lambda: structure.check(resource)


def _whole(resource: Any, url: str, library: Library, allowed: Any) -> Callable[[], Any]:
    return lambda: check(resource, url, allowed, library=library)


def _cost(act: Callable[[], Any]) -> float:
    act()
    best = float("inf")
    for _ in range(RUNS):
        begun = time.process_time()
        for _ in range(TIMES):
            act()
        best = min(best, time.process_time() - begun)
    return best / TIMES * 1e6


if __name__ == "__main__":
    print(table())
