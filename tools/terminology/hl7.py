"""HL7's code systems, value sets and concept maps: R4's own and those of US Core, cut to what is looked up.

https://hl7.org/fhir/R4/terminologies-systems.html

hl7.json.gz: resource type -> `url|version` -> the resource without narrative, contacts and history. Designations are
kept in English and Spanish; definitions only of FHIR's own systems, those of the v2 tables, v3 and DICOM being long.
"""

from collections.abc import Iterable
from typing import Any

from tools.definitions.package import Package
from tools.definitions.table import packed
from tools.terminology.packages import TYPES

_KEPT = (
    *("resourceType", "id", "url", "version", "name", "title", "status", "caseSensitive", "valueSet"),
    *("hierarchyMeaning", "content", "count", "supplements", "compose", "sourceUri", "sourceCanonical"),
    *("targetUri", "targetCanonical", "group"),
)
_LANGUAGES = ("en", "es")
_PROPERTIES = ("status", "inactive", "notSelectable", "abstract", "child", "parent", "deprecationDate", "partOf")
_TERSE = ("http://terminology.hl7.org/CodeSystem/v2-", "http://terminology.hl7.org/CodeSystem/v3-", "http://dicom")
_UNWANTED = ("extension", "_display", "_code", "modifierExtension", "documentation", "id")


def tables(package: Package, guides: Iterable[Iterable[dict[str, Any]]]) -> dict[str, bytes]:
    """The one table of HL7's terminology."""
    table: dict[str, dict[str, Any]] = {kind: {} for kind in TYPES}
    sources = [[resource for kind in TYPES for resource in package.of_type(kind)], *guides]
    for source in sources:
        for resource in source:
            if _is_wanted(resource):
                table[resource["resourceType"]][f"{resource['url']}|{resource.get('version', '')}"] = _cut(resource)
    return {"hl7.json.gz": packed(table)}


def _is_wanted(resource: dict[str, Any]) -> bool:
    """Not the specification's examples, nor the frozen states of single v2 tables."""
    url = resource.get("url", "")
    official = url.startswith(("http://hl7.org/", "http://terminology.hl7.org/", "http://dicom.nema.org/"))
    return official and "|" not in url and "example" not in resource["id"] and not url.endswith("-snapshot")


def _cut(resource: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: _plain(resource[name]) for name in _KEPT if name in resource}
    if resource["resourceType"] == "CodeSystem":
        named = (each.get("value", "") for each in resource.get("identifier", ()))
        oids = [value for value in named if value.startswith("urn:oid:")]
        if oids:
            found["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": oids[0]}]
    if "concept" in resource:
        terse = resource["url"].startswith(_TERSE)
        found["concept"] = [_concept(each, terse) for each in resource["concept"]]
    return found


def _concept(concept: dict[str, Any], terse: bool) -> dict[str, Any]:
    found: dict[str, Any] = {name: concept[name] for name in ("code", "display") if name in concept}
    if not terse and concept.get("definition", found.get("display")) != found.get("display"):
        found["definition"] = concept["definition"]
    designations = _designations(concept.get("designation", ()), found.get("display"))
    if designations:
        found["designation"] = designations
    properties = [_plain(each) for each in concept.get("property", ()) if each["code"] in _PROPERTIES]
    if properties:
        found["property"] = properties
    if "concept" in concept:
        found["concept"] = [_concept(each, terse) for each in concept["concept"]]
    return found


def _designations(designations: Iterable[dict[str, Any]], display: str | None) -> list[dict[str, Any]]:
    return [
        {"language": each["language"], "value": each["value"]}
        for each in designations
        if each.get("language") in _LANGUAGES and each["value"] != display
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        found = {name: _plain(inner) for name, inner in value.items() if name not in _UNWANTED}
        if "designation" in value:
            found["designation"] = _designations(value["designation"], value.get("display"))
            if not found["designation"]:
                del found["designation"]
        return found
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
