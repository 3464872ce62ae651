"""Invariants: the constraints each type's own definition states, as FHIRPath.

https://hl7.org/fhir/R4/conformance-rules.html#constraints

invariants.json.gz: rows `[key, path, severity, expression, human]`, sorted; best practices have severity "warning".
"""

from pathlib import Path

from tools.definitions.elements import base_types
from tools.definitions.package import Package
from tools.definitions.table import packed

PATH = Path("profiles/data/invariants.json.gz")


def generate(package: Package) -> dict[Path, bytes]:
    """One row for each path and key. Inherited copies are left out: they stand at the type that states them."""
    rows = {
        (c["key"], element["path"]): [c["key"], element["path"], c["severity"], c.get("expression"), c["human"]]
        for definition in base_types(package)
        for element in definition["differential"]["element"]
        for c in element.get("constraint", ())
    }
    return {PATH: packed([rows[key] for key in sorted(rows)])}
