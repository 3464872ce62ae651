"""Elements: the children of every resource and datatype, and which types there are.

https://hl7.org/fhir/R4/elementdefinition.html

types.json.gz: type name -> [kind, base, abstract]. elements.json.gz: definition path (`Patient`, `Patient.contact`) ->
rows `[name, types, min, max, flags, value set, targets]` in the specification's order; profiles/definitions.py reads
and documents them. primitives.json.gz: primitive type -> the specification's regular expression for its text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.definitions.package import Package
from tools.definitions.table import packed

DATA = Path("profiles/data")
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
EXTENSION_TYPE = f"{CANONICAL}structuredefinition-fhir-type"
EXTENSION_REGEX = f"{CANONICAL}regex"
EXTENSION_MAX_VALUE_SET = f"{CANONICAL}elementdefinition-maxValueSet"
RESOURCE_ANY = f"{CANONICAL}Resource"

Row = list[Any]


def generate(package: Package) -> dict[Path, bytes]:
    """The three tables of element definitions."""
    types: dict[str, Row] = {}
    elements: dict[str, list[Row]] = {}
    primitives: dict[str, str | None] = {}
    for definition in base_types(package):
        name = definition["type"]
        base = definition.get("baseDefinition", "").removeprefix(CANONICAL)
        types[name] = [definition["kind"], base, definition["abstract"]]
        rows = _rows(definition)
        elements.update(rows)
        if definition["kind"] == "primitive-type":
            primitives[name] = _regex(definition)
            # the text itself is the JSON value, not a child
            elements[name] = [row for row in rows[name] if row[0] != "value"]
    return {
        DATA / "types.json.gz": packed(types),
        DATA / "elements.json.gz": packed(elements),
        DATA / "primitives.json.gz": packed(primitives),
    }


def base_types(package: Package) -> Iterator[dict[str, Any]]:
    """The StructureDefinitions that define types: no profiles, no logical models."""
    for definition in package.of_type("StructureDefinition"):
        if definition["kind"] != "logical" and definition.get("derivation") != "constraint":
            yield definition


def value_set_of(element: dict[str, Any]) -> str | None:
    """The canonical (unversioned) of a required binding, or of a plain code's maximum value set."""
    binding = element.get("binding", {})
    url = binding.get("valueSet") if binding.get("strength") == "required" else None
    if url is None and [entry["code"] for entry in element.get("type", ())] == ["code"]:
        extensions = binding.get("extension", ())
        url = next((e["valueCanonical"] for e in extensions if e["url"] == EXTENSION_MAX_VALUE_SET), None)
    return url.partition("|")[0] if url else None


def _rows(definition: dict[str, Any]) -> dict[str, list[Row]]:
    """Rows by parent path; a parent is a path that has children of its own."""
    rows: dict[str, list[Row]] = {definition["type"]: []}
    elements = definition["snapshot"]["element"][1:]
    parents = {element["path"].rpartition(".")[0] for element in elements}
    for element in elements:
        parent, _, name = element["path"].rpartition(".")
        if element["max"] != "0":
            rows.setdefault(parent, []).append(_row(element, name, element["path"] in parents))
    return rows


def _row(element: dict[str, Any], name: str, is_parent: bool) -> Row:
    flags = "".join(
        letter
        for letter, holds in (
            ("x", name.endswith("[x]")),
            ("s", element.get("isSummary", False)),
            ("m", element.get("isModifier", False)),
            ("c", "contentReference" in element),
            ("a", "xmlAttr" in element.get("representation", ())),
        )
        if holds
    )
    if "contentReference" in element:
        types = [element["contentReference"].removeprefix("#")]
    elif is_parent:
        types = [element["path"]]
    else:
        types = [_type(element, entry) for entry in element["type"]]
    targets = sorted({url.removeprefix(CANONICAL) for entry in element.get("type", ()) for url in _targets(entry)})
    row: Row = [name.removesuffix("[x]"), types, element["min"], element["max"], flags, value_set_of(element), targets]
    while row[-1] in ("", None, []) and len(row) > 4:
        row.pop()
    return row


def _type(element: dict[str, Any], entry: dict[str, Any]) -> str:
    """The FHIR type of an entry. The ids of resources are `id`, though the package's extension calls them `string`."""
    if element.get("base", {}).get("path") == "Resource.id":
        return "id"
    code: str = entry["code"]
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    named = (e["valueUrl"] for e in entry.get("extension", ()) if e["url"] == EXTENSION_TYPE)
    return str(next(named, "string"))


def _targets(entry: dict[str, Any]) -> list[str]:
    profiles: list[str] = entry.get("targetProfile", []) if entry["code"] == "Reference" else []
    return [] if RESOURCE_ANY in profiles else profiles


def _regex(definition: dict[str, Any]) -> str | None:
    value = next(e for e in definition["snapshot"]["element"] if e["path"].endswith(".value"))
    extensions = value["type"][0].get("extension", ())
    return next((e["valueString"] for e in extensions if e["url"] == EXTENSION_REGEX), None)
