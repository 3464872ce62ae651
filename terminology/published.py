"""Published: what the library holds, as FHIR resources.

https://hl7.org/fhir/R4/terminology-module.html
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from terminology import tables, vaccines
from terminology.code_system import CodeSystem
from terminology.concept import Concept, Designation
from terminology.concept_map import ConceptMap, Group
from terminology.library import Terminology
from terminology.systems import CVX, MVX, NDC, OWN, RACE_ETHNICITY
from terminology.value_set import Part, ValueSet

_LARGE = frozenset({NDC, vaccines.NDC_TO_CVX, vaccines.NDC_TO_MVX})
"""Too long to be read as a whole: published without their codes, which the operations know."""


def resources(held: Terminology) -> Iterator[dict[str, Any]]:
    """The vaccination part of `held` with ids. HL7's own terminology is HL7's to publish."""
    ids = {CVX: "cvx", MVX: "mvx", NDC: "ndc", RACE_ETHNICITY: "cdcrec"}
    ids |= {
        vaccines.NDC_TO_CVX: "ndc-to-cvx",
        vaccines.NDC_TO_MVX: "ndc-to-mvx",
        vaccines.CVX_TO_GROUP: "cvx-to-vaccine-group",
    }
    ids |= {url: name for url, name in tables.published_ids().items() if url.startswith((OWN, "urn:oid:"))}
    for url, name in ids.items():
        if (system := held.code_systems.find(url)) is not None:
            yield _named(code_system(system), name)
        elif (chosen := held.value_sets.find(url)) is not None:
            yield _named(value_set(chosen), name)
        elif (mapping := held.concept_maps.find(url)) is not None:
            yield _named(concept_map(mapping), name)


def code_system(system: CodeSystem) -> dict[str, Any]:
    """A CodeSystem resource without id."""
    large = system.url in _LARGE
    found: dict[str, Any] = {"resourceType": "CodeSystem", "url": system.url, "version": system.version}
    if system.oid and system.oid != system.url:
        found["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": system.oid}]
    found |= {"name": system.name, "title": system.title or system.name, "status": "active", "experimental": False}
    found |= {"caseSensitive": system.case_sensitive, "content": "not-present" if large else system.content}
    found["count"] = len(system.concepts)
    nested = any(concept.parents for concept in system.concepts.values())
    properties = [{"code": code, "type": kind} for code, kind in system.properties]
    if any(concept.inactive for concept in system.concepts.values()):
        properties.append({"code": "inactive", "type": "boolean"})
    if nested:
        found["hierarchyMeaning"] = "is-a"
    if any(len(concept.parents) > 1 for concept in system.concepts.values()):
        properties.append({"code": "parent", "type": "code"})
    if properties:
        found["property"] = properties
    if not large:
        roots = [concept for concept in system.concepts.values() if not concept.parents]
        found["concept"] = [_concept(system, concept) for concept in roots]
    return found


def about(chosen: ValueSet) -> dict[str, Any]:
    """A ValueSet resource without id and without what it is made of."""
    found = {"resourceType": "ValueSet", "url": chosen.url, "version": chosen.version, "name": chosen.name}
    found |= {"title": chosen.title or chosen.name, "status": "active"}
    return {name: value for name, value in found.items() if value}


def value_set(chosen: ValueSet) -> dict[str, Any]:
    """A ValueSet resource without id."""
    found = {**about(chosen), "experimental": False}
    compose: dict[str, Any] = {} if chosen.inactive else {"inactive": False}
    compose["include"] = [_part(part) for part in chosen.include]
    if chosen.exclude:
        compose["exclude"] = [_part(part) for part in chosen.exclude]
    return {**found, "compose": compose}


def concept_map(mapping: ConceptMap) -> dict[str, Any]:
    """A ConceptMap resource without id."""
    found: dict[str, Any] = {"resourceType": "ConceptMap", "url": mapping.url, "version": mapping.version}
    found |= {"name": mapping.name, "title": mapping.title or mapping.name, "status": "active", "experimental": False}
    if mapping.source:
        found["sourceCanonical"] = mapping.source
    if mapping.target:
        found["targetCanonical"] = mapping.target
    if mapping.url not in _LARGE:
        found["group"] = [_group(group) for group in mapping.groups]
    return found


def designations(given: Iterable[Designation]) -> list[dict[str, Any]]:
    """Designations as FHIR has them."""
    return [
        {
            **({"language": each.language} if each.language else {}),
            **({"use": each.use} if each.use is not None else {}),
            "value": each.value,
        }
        for each in given
    ]


def _named(resource: dict[str, Any], name: str) -> dict[str, Any]:
    kind = resource.pop("resourceType")
    return {"resourceType": kind, "id": name, **resource}


def _concept(system: CodeSystem, concept: Concept) -> dict[str, Any]:
    found: dict[str, Any] = {"code": concept.code, "display": concept.display}
    if concept.definition:
        found["definition"] = concept.definition
    if concept.designations:
        found["designation"] = designations(concept.designations)
    said = [
        {"code": each.code, f"value{each.kind[0].upper()}{each.kind[1:]}": each.value} for each in concept.properties
    ]
    if concept.inactive:
        said.append({"code": "inactive", "valueBoolean": True})
    said += [{"code": "parent", "valueCode": parent} for parent in concept.parents[1:]]
    if said:
        found["property"] = said
    below = [
        system.concepts[code]
        for code in system.children.get(concept.code, ())
        if system.concepts[code].parents[0] == concept.code
    ]
    if below:
        found["concept"] = [_concept(system, each) for each in below]
    return found


def _part(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if part.system:
        found["system"] = part.system
    if part.version:
        found["version"] = part.version
    if part.concepts is not None:
        found["concept"] = [
            {
                "code": each.code,
                **({"display": each.display} if each.display else {}),
                **({"designation": designations(each.designations)} if each.designations else {}),
            }
            for each in part.concepts
        ]
    if part.filters:
        found["filter"] = [{"property": each.property, "op": each.op, "value": each.value} for each in part.filters]
    if part.value_sets:
        found["valueSet"] = list(part.value_sets)
    return found


def _group(group: Group) -> dict[str, Any]:
    elements: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for code, targets in group.elements.items():
        for each in targets:
            told: dict[str, Any] = {"code": each.code} if each.code else {}
            if each.display:
                told["display"] = each.display
            elements[code].append({**told, "equivalence": each.equivalence})
    return {
        "source": group.source,
        "target": group.target,
        "element": [{"code": code, "target": targets} for code, targets in elements.items()],
    }
