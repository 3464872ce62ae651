"""Bindings: the extensible bindings of every resource and datatype; required ones stand with the elements.

https://hl7.org/fhir/R4/terminologies.html#extensible

extensible.json.gz: definition path -> element name -> canonical of the value set, without version.
"""

from pathlib import Path

from tools.definitions.elements import base_types
from tools.definitions.package import Package
from tools.definitions.table import packed

PATH = Path("profiles/data/extensible.json.gz")


def generate(package: Package) -> dict[Path, bytes]:
    """The one table; elements that R4 forbids (max 0) are left out."""
    table: dict[str, dict[str, str]] = {}
    for definition in base_types(package):
        for element in definition["snapshot"]["element"]:
            binding = element.get("binding", {})
            if binding.get("strength") == "extensible" and element["max"] != "0":
                parent, _, name = element["path"].rpartition(".")
                table.setdefault(parent, {})[name.removesuffix("[x]")] = binding["valueSet"].partition("|")[0]
    return {PATH: packed(table)}
