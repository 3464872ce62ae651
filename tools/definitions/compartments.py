"""Compartments: by which search parameters a resource belongs to a Patient, Encounter, Practitioner ...

https://hl7.org/fhir/R4/compartmentdefinition.html

compartments.json.gz: compartment (`Patient`) -> resource type -> codes of its search parameters.
"""

from pathlib import Path

from tools.definitions.package import Package
from tools.definitions.table import packed

PATH = Path("fhir_server/fhir/data/compartments.json.gz")


def generate(package: Package) -> dict[Path, bytes]:
    """The five compartments of the specification; types outside a compartment are left out."""
    table = {
        compartment["code"]: {entry["code"]: entry["param"] for entry in compartment["resource"] if "param" in entry}
        for compartment in package.of_type("CompartmentDefinition")
        if not compartment["id"].startswith("example")
    }
    return {PATH: packed(table)}
