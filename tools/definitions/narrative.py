"""Narrative: the XHTML elements and attributes that invariant txt-1 allows.

https://hl7.org/fhir/R4/narrative.html#xhtml
"""

import json
import re
from pathlib import Path

from tools.definitions.package import Package

PATH = Path("profiles/data/narrative.json")


def generate(package: Package) -> dict[Path, bytes]:
    """{"elements": [...], "attributes": [...]}, read from the two lists of names in the constraint's XPath."""
    definition = package.canonical("http://hl7.org/fhir/StructureDefinition/Narrative")
    if definition is None:
        raise ValueError("the package does not define Narrative")
    constraints = (c for e in definition["differential"]["element"] for c in e.get("constraint", ()))
    xpath = next(c["xpath"] for c in constraints if c["key"] == "txt-1")
    elements, attributes = (re.findall(r"'(\w+)'", names) for names in re.findall(r"=\(([^()]*)\)", xpath))
    lists = {"elements": sorted(elements), "attributes": sorted(attributes)}
    return {PATH: (json.dumps(lists, indent=2) + "\n").encode()}
