"""Tables: the code systems, value sets and maps written down for this project, and Spanish names of others' codes.

https://repository.immregistries.org/resource/hl7-version-2-5-1-implementation-guide-for-immunization-messaging-release-1-5-1/

What each file in data/ was written from stands in SOURCES.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any

from terminology import value_set
from terminology.code_system import CodeSystem
from terminology.concept import Concept, Designation
from terminology.concept_map import ConceptMap, Group, Target
from terminology.systems import RACE_ETHNICITY
from terminology.value_set import ValueSet

VERSION = "2026-11"


@cache
def spanish() -> Mapping[str, Mapping[str, str]]:
    """Spanish names: code system -> code -> name."""
    return _read("spanish")


def code_systems() -> dict[str, CodeSystem]:
    """CDC's local tables and our own code systems, by URL."""
    return {url: _code_system(url, entry) for url, entry in _read("code_systems").items()}


def value_sets() -> dict[str, ValueSet]:
    """Our own value sets, and others' that are too small or too widely bound to be without, by URL."""
    return {
        url: replace(value_set.of_resource({**entry, "url": url, "version": VERSION, "compose": entry}), resource=None)
        for url, entry in _read("value_sets").items()
    }


def concept_maps() -> dict[str, ConceptMap]:
    """From HL7 v2's tables to FHIR's codes, by URL."""
    return {url: _concept_map(url, entry) for url, entry in _read("concept_maps").items()}


def published_ids() -> Mapping[str, str]:
    """The id each of these resources is published under, by URL."""
    names = ("code_systems", "value_sets", "concept_maps")
    return {url: entry["id"] for name in names for url, entry in _read(name).items()}


def race_and_ethnicity(race: CodeSystem, ethnicity: CodeSystem) -> CodeSystem:
    """CDC's one code system of both, which HL7 v3 has as two with the same codes."""
    names = spanish().get(RACE_ETHNICITY, {})
    concepts = {
        code: concept._replace(designations=(Designation("es", names[code]),)) if code in names else concept
        for code, concept in {**race.concepts, **ethnicity.concepts}.items()
    }
    return CodeSystem(RACE_ETHNICITY, "1.2", "CDCREC", concepts, title="CDC race and ethnicity", oid=RACE_ETHNICITY)


def _code_system(url: str, entry: Mapping[str, Any]) -> CodeSystem:
    concepts = {
        code: Concept(
            code,
            display,
            designations=(Designation("es", more[0]),) if more else (),
            inactive="inactive" in more[1:],
        )
        for code, display, *more in entry["concept"]
    }
    return CodeSystem(
        url,
        VERSION,
        entry["name"],
        concepts,
        title=entry["title"],
        content=entry["content"],
        oid=url if url.startswith("urn:oid:") else "",
    )


def _concept_map(url: str, entry: Mapping[str, Any]) -> ConceptMap:
    elements: dict[str, list[Target]] = {}
    for source, target, equivalence in entry["element"]:
        elements.setdefault(source, []).append(Target(equivalence, entry["target"] if target else "", target))
    group = Group(entry["source"], entry["target"], {code: tuple(found) for code, found in elements.items()})
    return ConceptMap(
        url, VERSION, entry["name"], (group,), target=entry.get("targetValueSet", ""), title=entry["title"]
    )


@cache
def _read(name: str) -> Mapping[str, Any]:
    found: dict[str, Any] = loads((files("terminology") / "data" / f"{name}.json").read_bytes())
    return found
