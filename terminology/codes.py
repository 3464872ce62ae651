"""What a vaccine code means: look it up, its vaccine groups, and from NDC to CVX and manufacturer.

https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any

from terminology import ndc
from terminology.errors import UnknownCodeError, UnknownSystemError
from terminology.systems import CVX, MVX, NDC, preferred

__all__ = [
    "COVID_19",
    "Concept",
    "Product",
    "UnknownCodeError",
    "UnknownSystemError",
    "cvx_code",
    "is_covid_vaccine",
    "is_unspecified",
    "is_vaccine",
    "lookup",
    "mvx_code",
    "normal_ndc",
    "product",
    "table",
    "vaccine_groups",
]

COVID_19 = "COVID-19"


@dataclass(frozen=True, slots=True)
class Concept:
    """A code, normalised, with its display. `start` and `end` are the days of use, both included, as ISO dates."""

    system: str
    code: str
    display: str
    active: bool
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What an NDC stands for. `cvx` and `mvx` hold several codes where the package was used under each; `units` is
    `use`, `sale` or both."""

    ndc: str
    display: str
    cvx: tuple[str, ...]
    mvx: tuple[str, ...]
    units: tuple[str, ...]


def lookup(system: str, code: str) -> Concept:
    """The concept; the system may be in any of its spellings. UnknownSystemError, UnknownCodeError."""
    system = preferred(system)
    held = _SYSTEMS.get(system)
    if held is None:
        raise UnknownSystemError(f"the code system {system!r} is not held here")
    name, normalise = held
    found = normalise(code)
    entry = table(name).get(found) if found is not None else None
    if found is None or entry is None:
        raise UnknownCodeError(f"{code!r} is not a code of {system}")
    active = "to" not in entry and not entry.get("invalid", False)
    return Concept(system, found, entry["display"], active, entry.get("from"), entry.get("to"))


def vaccine_groups(cvx: str) -> tuple[str, ...]:
    """CDC's vaccine groups of a CVX code, several for a combination; empty for what is no vaccine or unknown."""
    entry = table("cvx").get(cvx_code(cvx))
    return tuple(entry["groups"]) if entry else ()


def is_vaccine(cvx: str) -> bool:
    """Whether a CVX code names a vaccine: not immune globulins, tests, or `no vaccine administered`."""
    entry = table("cvx").get(cvx_code(cvx))
    return entry is not None and entry["kind"] != "non-vaccine"


def is_covid_vaccine(cvx: str) -> bool:
    """Whether a CVX code is a COVID-19 vaccine, unspecified and foreign products included."""
    return COVID_19 in vaccine_groups(cvx)


def is_unspecified(cvx: str) -> bool:
    """Whether a CVX code says the disease but not the product: fit for history, never for an administered dose."""
    entry = table("cvx").get(cvx_code(cvx))
    return entry is not None and (entry["kind"] == "unspecified" or cvx_code(cvx) in _UNKNOWN_PRODUCT)


def product(code: str) -> Product:
    """What an NDC in any spelling stands for. UnknownCodeError."""
    concept = lookup(NDC, code)
    entry = table("ndc")[concept.code]
    return Product(concept.code, concept.display, tuple(entry["cvx"]), tuple(entry["mvx"]), tuple(entry["units"]))


def normal_ndc(code: str) -> str | None:
    """The NDC as it is stored (11 digits, 5-4-2), known here or not; None where the text is no NDC or ambiguous."""
    return ndc.normalise(code, table("ndc"))


def cvx_code(code: str) -> str:
    """A CVX code as it is stored: senders drop the leading zero of 01 to 09."""
    code = code.strip()
    return f"0{code}" if len(code) == 1 else code


def mvx_code(code: str) -> str:
    """An MVX code as it is stored: in capitals."""
    return code.strip().upper()


@cache
def table(name: str) -> Mapping[str, Mapping[str, Any]]:
    """One of CDC's tables, `cvx`, `mvx` or `ndc`: entries by code, as SOURCES.md describes them."""
    table: dict[str, dict[str, Any]] = loads((files("terminology") / "data" / f"{name}.json").read_bytes())
    return table


_SYSTEMS: Mapping[str, tuple[str, Callable[[str], str | None]]] = {
    CVX: ("cvx", cvx_code),
    MVX: ("mvx", mvx_code),
    NDC: ("ndc", normal_ndc),
}

_UNKNOWN_PRODUCT = frozenset({"500"})
"""CVX codes of a foreign product that is not known, which the source files as a product."""
