"""Search parameters: every R4 search parameter of every resource type, its expression cut to that type.

https://hl7.org/fhir/R4/searchparameter.html

search_parameters.json.gz: resource type (`Resource` for those of every type) -> code -> row
`[type, expression, targets, components]`, each component `[type, expression]` relative to the row's expression.
Trailing empty members are left out; fhir_server/fhir/params.py reads and documents them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.definitions.package import Package
from tools.definitions.table import packed

PATH = Path("fhir_server/fhir/data/search_parameters.json.gz")

_LEADING = re.compile(r"\(?(?P<type>[A-Z][A-Za-z]+)(?=[.\s)]|$)")
_EXTENSION = re.compile(r"(?:extension|hasExtension)\('(?P<url>[^']+)'\)")

# Elements whose type the package's component expressions spell in a way FHIRPath does not know.
_SPELLING = {".as(DateTime)": ".as(dateTime)"}


def generate(package: Package) -> dict[Path, bytes]:
    """The one table of search parameters."""
    table: dict[str, dict[str, list[Any]]] = {}
    for parameter in package.of_type("SearchParameter"):
        if not _is_served(parameter, package):
            continue
        for base in parameter["base"]:
            expression = _cut(parameter["expression"], base)
            if expression:
                table.setdefault(base, {})[parameter["code"]] = _row(parameter, expression, package)
    return {PATH: packed(table)}


def _is_served(parameter: dict[str, Any], package: Package) -> bool:
    """Not the specification's examples, parameters without an expression, or on extensions nobody defines."""
    if "base" not in parameter or "expression" not in parameter or parameter["id"].startswith("example"):
        return False
    extensions = [match["url"] for match in _EXTENSION.finditer(parameter["expression"])]
    if "hasExtension" in parameter["expression"]:
        return False
    return all(_defines_extension(package, url) for url in extensions)


def _defines_extension(package: Package, url: str) -> bool:
    definition = package.canonical(url)
    return definition is not None and definition["resourceType"] == "StructureDefinition"


def _cut(expression: str, base: str) -> str:
    """The alternatives of `expression` that start from `base`."""
    alternatives = [part.strip() for part in expression.split("|")]
    return " | ".join(part for part in alternatives if (match := _LEADING.match(part)) and match["type"] == base)


def _row(parameter: dict[str, Any], expression: str, package: Package) -> list[Any]:
    components = _components(parameter.get("component", ()), package)
    row: list[Any] = [parameter["type"], expression, sorted(parameter.get("target", ())), components]
    while not row[-1]:
        row.pop()
    return row


def _components(components: Sequence[dict[str, Any]], package: Package) -> list[list[str]]:
    """Type and expression of each. The package has the expressions of DocumentReference's `relationship` the wrong way
    round: where each of two is the end of what the other's parameter selects, they change places."""
    definitions = [_definition(component, package) for component in components]
    expressions = [component["expression"] for component in components]
    crossed = len(components) == 2 and all(map(_is_end, expressions, reversed(definitions)))
    if crossed and not any(map(_is_end, expressions, definitions)):
        expressions.reverse()
    for wrong, right in _SPELLING.items():
        expressions = [expression.replace(wrong, right) for expression in expressions]
    return [[found["type"], expression] for found, expression in zip(definitions, expressions, strict=True)]


def _is_end(expression: str, definition: dict[str, Any]) -> bool:
    return any(part.strip().endswith(f".{expression}") for part in definition["expression"].split("|"))


def _definition(component: dict[str, Any], package: Package) -> dict[str, Any]:
    definition = package.canonical(component["definition"])
    if definition is None:
        raise ValueError(f"no SearchParameter {component['definition']}")
    return definition
