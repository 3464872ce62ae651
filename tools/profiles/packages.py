"""Packages: the guides that are made into tables, and where their sources are.

https://registry.fhir.org

The packages of HL7 are read from a folder, where whoever runs the generator has put them; our own sources, and those of
guides that publish no package of snapshots, are short differentials beside this file.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.package import Package
from tools.definitions.elements import base_types
from tools.definitions.package import Package as Definitions
from tools.profiles.snapshots import snapshot

SOURCES = Path(__file__).with_name("sources")
OURS = "fhir-server"


@dataclass(frozen=True, slots=True)
class Source:
    """A guide to make: its own resources, by canonical in `find`; `aliases` as in profiles/guides.py."""

    name: str
    version: str
    title: str
    definitions: list[Mapping[str, Any]]
    value_sets: list[Mapping[str, Any]]
    aliases: tuple[tuple[str, str], ...] = ()
    types: tuple[Mapping[str, Any], ...] = ()
    """Definitions of resource types, of which little is kept: profiles/structure.py has read them."""


IMMDS = "http://hl7.org/fhir/uv/immds/"
_HAND_MADE = (
    ("immds", "hl7.fhir.us.immds", "1.0.0", "Immunization Decision Support Forecast",
     (("http://hl7.org/fhir/us/immds/", IMMDS),)),
    ("shc-vaccination", "hl7.fhir.uv.shc-vaccination", "1.0.0", "SMART Health Cards: Vaccination", ()),
    (OURS, OURS, "1", "FHIR server for vaccination", ()),
)  # fmt: skip


class Sources:
    """Everything at hand: R4, the packages in the folder, and the hand-made guides."""

    def __init__(self, r4: Definitions, folder: Path) -> None:
        self.r4 = r4
        self.packages = [Package.read(path) for path in sorted(folder.glob("*.tgz"))]
        self._canonicals: dict[str, Mapping[str, Any]] = {}
        for package in self.packages:
            for resource in package.resources:
                if "url" in resource:
                    # An unversioned base means the oldest version at hand: 6.1.0 of US Core (contract 13).
                    self._canonicals.setdefault(resource["url"], resource)
                    self._canonicals[f"{resource['url']}|{resource.get('version')}"] = resource

    def find(self, canonical: str) -> Mapping[str, Any] | None:
        """The resource with this canonical (`url` or `url|version`) of any guide, or of R4."""
        found = self._canonicals.get(canonical) or self._canonicals.get(canonical.partition("|")[0])
        return found or self.r4.canonical(canonical)

    def all(self) -> Iterator[Source]:
        """Every guide, R4 first; a hand-made one after those it builds on."""
        definitions = [
            d for d in self.r4.of_type("StructureDefinition")
            if d.get("derivation") == "constraint" and "snapshot" in d and d["kind"] != "logical"
        ]  # fmt: skip
        types = tuple(d for d in base_types(self.r4) if d["kind"] == "resource" and not d["abstract"])
        yield Source(self.r4.name, self.r4.version, "FHIR R4", list(definitions), [], types=types)
        for package in self.packages:
            yield Source(
                package.name, package.version, package.title, package.definitions(), package.of_type("ValueSet")
            )
        for folder, name, version, title, aliases in _HAND_MADE:
            yield Source(name, version, title, list(self.hand_made(folder)), self._value_sets(folder), aliases)

    def hand_made(self, folder: str) -> Iterator[dict[str, Any]]:
        """The StructureDefinitions of a folder of sources, with snapshots, in the order of their file names."""
        for path in sorted((SOURCES / folder).glob("StructureDefinition-*.json")):
            definition = json.loads(path.read_text(encoding="utf-8"))
            definition["snapshot"] = {"element": snapshot(definition, self.find)}
            self._canonicals[definition["url"]] = definition
            yield definition

    def _value_sets(self, folder: str) -> list[Mapping[str, Any]]:
        found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((SOURCES / folder).glob("ValueSet-*.json"))]
        for value_set in found:
            self._canonicals[value_set["url"]] = value_set
        return found
