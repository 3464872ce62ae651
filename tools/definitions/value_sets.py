"""Value sets of required bindings, expanded from the package's code systems.

https://hl7.org/fhir/R4/valueset.html#expansion

value_sets.json.gz: canonical -> {"codes": {system: [code, ...]}, "patterns": {system: regular expression}}, or null for
a set the package does not hold. Systems kept elsewhere cannot be listed; their codes' form is known.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.definitions.elements import base_types, value_set_of
from tools.definitions.package import Package
from tools.definitions.table import packed

PATH = Path("profiles/data/value_sets.json.gz")

EXTERNAL = {
    "urn:ietf:bcp:13": r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*(/[A-Za-z0-9*][A-Za-z0-9!#$&^_.+-]*(\s*;.*)?)?",
    "urn:ietf:bcp:47": r"([A-Za-z]{2,8}|[iIxX])(-[A-Za-z0-9]{1,8})*",
    "urn:iso:std:iso:4217": r"[A-Z]{3}",
    "http://unitsofmeasure.org": r"[\x21-\x7e]+",
}
"""System -> what its codes look like: media types (R4 also writes `json`), language tags, currencies, units."""

ALIASES = {"http://www.rfc-editor.org/bcp/bcp13.txt": "http://hl7.org/fhir/ValueSet/mimetypes"}
"""Bindings that name the document a value set is made of."""

Codes = dict[str, dict[str, None]]


def generate(package: Package) -> dict[Path, bytes]:
    """The value set of every required binding. Raises ValueError for a composition that is not understood."""
    return {PATH: packed({url: expansion(package, url) for url in sorted(_bound(package))})}


def expansion(package: Package, url: str) -> dict[str, Any] | None:
    """The codes of a value set by system, nested value sets and excludes worked in; None if it is not at hand."""
    value_set = package.canonical(ALIASES.get(url, url))
    if value_set is None:
        return None
    codes: Codes = defaultdict(dict)
    patterns: dict[str, str] = {}
    for part in value_set["compose"]["include"]:
        if not part.get("concept") and part.get("system") in EXTERNAL:
            patterns[part["system"]] = EXTERNAL[part["system"]]
        else:
            _merge(codes, _part(package, url, part))
    for part in value_set["compose"].get("exclude", ()):
        for system, excluded in _part(package, url, part).items():
            codes[system] = {code: None for code in codes[system] if code not in excluded}
    return {"codes": {system: list(found) for system, found in codes.items()}, "patterns": patterns}


def _bound(package: Package) -> set[str]:
    return {
        url
        for definition in base_types(package)
        for element in definition["snapshot"]["element"]
        if (url := value_set_of(element))
    }


def _part(package: Package, url: str, part: dict[str, Any]) -> Codes:
    """The codes of one include or exclude: those its system and every value set it names have in common."""
    if part.get("filter"):
        raise ValueError(f"{url}: filters are not expanded")
    sets: list[Codes] = []
    if "system" in part:
        listed = [c["code"] for c in part.get("concept", ())]
        sets.append({part["system"]: dict.fromkeys(listed or _all_codes(package, url, part["system"]))})
    for nested in part.get("valueSet", ()):
        found = expansion(package, nested)
        if found is None or found["patterns"]:
            raise ValueError(f"{url}: {nested} cannot be expanded")
        sets.append({system: dict.fromkeys(values) for system, values in found["codes"].items()})
    first, *others = sets
    return {
        system: {code: None for code in found if all(code in other.get(system, ()) for other in others)}
        for system, found in first.items()
    }


def _all_codes(package: Package, url: str, system: str) -> list[str]:
    code_system = package.canonical(system)
    if code_system is None or code_system["content"] != "complete":
        raise ValueError(f"{url}: the package does not hold all codes of {system}")
    return list(_walk(code_system.get("concept", [])))


def _walk(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _walk(concept.get("concept", []))


def _merge(into: Codes, other: Codes) -> None:
    for system, found in other.items():
        into.setdefault(system, {}).update(found)
