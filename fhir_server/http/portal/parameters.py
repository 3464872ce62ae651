"""The answer of an operation, by names.

https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Mapping
from typing import Any

Part = dict[str, Any]


def parts(parameters: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`{name: [value, resource or parts, ...]}` of a Parameters resource, or of a parameter with parts."""
    found: dict[str, list[Any]] = {}
    for each in parameters.get("parameter") or parameters.get("part") or ():
        value = next((each[member] for member in each if member.startswith("value") or member == "resource"), None)
        found.setdefault(each["name"], []).append(parts(each) if value is None and "part" in each else value)
    return found


def first(found: Mapping[str, list[Any]], name: str) -> Any:
    """The first value of this name, or None."""
    return next(iter(found.get(name, ())), None)
