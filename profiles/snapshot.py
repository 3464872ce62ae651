"""Snapshot: what a StructureDefinition's snapshot asks beyond R4 itself, as a compact table of rules.

https://hl7.org/fhir/R4/profiling.html#snapshot

A table is a JSON object, so that it can be committed and stored:

    profile    = {"url", "version", "name", "title", "type", "base", "context"?, "modifier"?, "rules": rule}
    rule       = {"name", "like"?, "min"?, "max"?, "types"?, "profiles"?, "targets"?, "fixed"?, "pattern"?, "binding"?,
                  "must"?, "constraints"?, "slicing"?, "slices"?, "children"?}
    binding    = [strength, canonical];   constraint = [key, severity, expression, human]
    slicing    = {"by": [[discriminator type, path], ...], "rules", "ordered"?}

`like` is the path below the root of another element whose children the element has as well (`item` of `item.item`).
What R4 says already is left out (profiles/structure.py checks it), and so are elements about which nothing is left.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from profiles.definitions import RESOURCE_TYPES, TYPES, Element, child, elements, extensible, invariants

Table = dict[str, Any]

BASE = "http://hl7.org/fhir/StructureDefinition/"
_MAX_VALUE_SET = BASE + "elementdefinition-maxValueSet"
_SYSTEM_TYPE = "http://hl7.org/fhirpath/"
_STRUCTURAL = frozenset({"BackboneElement", "Element"})
_DEEPEST = 24
"""Steps of an element's path; no definition of HL7 has more than ten."""


class DefinitionError(ValueError):
    """A StructureDefinition that cannot be used; the message is a sentence naming it."""


def table(definition: Mapping[str, Any]) -> Table:
    """The rules of a profile or an extension definition. DefinitionError where it cannot be understood."""
    url, type_name = definition.get("url"), definition.get("type")
    if type(url) is not str or not url:
        raise DefinitionError("A StructureDefinition has no url.")
    if type_name not in TYPES:
        raise DefinitionError(f"{url} is about the type {type_name!r}, which R4 does not have.")
    listed = definition.get("snapshot", {}).get("element") if type(definition.get("snapshot")) is dict else None
    if type(listed) is not list or not listed:
        raise DefinitionError(f"{url} has no snapshot; a package built with snapshots is needed.")
    made: Table = {
        "url": url,
        "version": str(definition.get("version", "")),
        "name": str(definition.get("name", "")),
        "title": str(definition.get("title") or definition.get("name", "")),
        "type": type_name,
        "base": str(definition.get("baseDefinition", "")),
        "rules": _tree(url, listed).rule(str(type_name)),
    }
    if type_name == "Extension":
        if listed[0].get("isModifier") is True:
            made["modifier"] = True
        made["context"] = [[str(c.get("type")), str(c.get("expression"))] for c in definition.get("context", ())]
    return made


class _Node:
    """An element of the snapshot with its slices and children, in order."""

    def __init__(self, element: Mapping[str, Any]) -> None:
        self.element = element
        self.slices: dict[str, _Node] = {}
        self.children: dict[str, _Node] = {}

    def rule(self, path: str) -> Table:
        """The rule of the root of a profile on the type `path`."""
        made: Table = {"name": path}
        if constraints := list(_constraints(self.element)):
            made["constraints"] = constraints
        return made | self._children(path)

    def _children(self, path: str) -> Table:
        kept = [row for name, node in self.children.items() if (row := node._child(path, name)) is not None]
        return {"children": kept} if kept else {}

    def _child(self, path: str, name: str) -> Table | None:
        """The rule of a child of `path`, or None where R4 has no such child or nothing is asked of it."""
        plain = name.removesuffix("[x]")
        base = elements(path).get(plain)
        typed = child(path, plain) if base is None else None
        if base is None and typed is None:
            return None
        if base is None and typed is not None:
            # `valueQuantity` is the slice of value[x] that has this type.
            return _of_choice(typed[0], self._told(typed[0], typed[1], sliced=True) | {"slice": plain}, typed[1])
        assert base is not None
        made = {"name": plain} | self._told(base, _path_of(base, self.element), sliced=False)
        return made if len(made) > 1 else None

    def _told(self, base: Element, path: str, *, sliced: bool) -> Table:
        made = dict(_asked(self.element, base, sliced=sliced))
        if self.slices:
            made["slicing"] = _slicing(self.element, base)
            made["slices"] = [
                {"slice": name, **node._told(base, _path_of(base, node.element), sliced=True)}
                for name, node in self.slices.items()
            ]
        return made | self._children(path)


def _tree(url: str, listed: list[Any]) -> _Node:
    nodes: dict[str, _Node] = {}
    latest: dict[str, str] = {}
    root: _Node | None = None
    for element in listed:
        if type(element) is not dict or type(element.get("path")) is not str:
            raise DefinitionError(f"{url} has an element without a path.")
        if type(element.get("min")) is not int or type(element.get("max")) is not str:
            raise DefinitionError(f"{url}: {element['path']} has no cardinality; the snapshot is not complete.")
        key = element.get("id") or _id(element, latest)
        latest[element["path"]] = key
        node = nodes[key] = _Node(element)
        if root is None:
            root = node
            continue
        if key.count(".") > _DEEPEST:
            raise DefinitionError(f"{url}: {key[:80]} is nested deeper than {_DEEPEST} elements.")
        holder, _, last = key.rpartition(".")
        name, is_slice, slice_name = last.partition(":")
        parent = nodes.get(holder)
        if parent is None:
            raise DefinitionError(f"{url}: {key[:80]} stands before the element that holds it.")
        owner = parent.children.get(name)
        if not is_slice or (owner is None and "/" not in slice_name):
            # Definitions of R4's own give the only slice of an element the element's place.
            parent.children[name] = node
            continue
        outer, nested, _ = slice_name.rpartition("/")
        if nested and owner is not None:
            owner = _sliced(owner, outer)
        if owner is None:
            raise DefinitionError(f"{url}: {key[:80]} is a slice of an element that is not there.")
        owner.slices[slice_name] = node
    assert root is not None
    return root


def _id(element: Mapping[str, Any], latest: Mapping[str, str]) -> str:
    """The id of an element that has none: below the element above it, or the slice last begun there."""
    above, _, name = element["path"].rpartition(".")
    told = f"{name}:{element['sliceName']}" if type(element.get("sliceName")) is str else name
    return f"{latest.get(above, above)}.{told}" if above else told


def _sliced(owner: _Node, name: str) -> _Node | None:
    """The slice with this name, looked for in slices of slices."""
    if name in owner.slices:
        return owner.slices[name]
    outer = name.rpartition("/")[0]
    holder = _sliced(owner, outer) if outer else None
    return holder.slices.get(name) if holder is not None else None


def _of_choice(base: Element, told: Table, type_name: str) -> Table:
    slice_rule = {**told, "types": [type_name]}
    return {
        "name": base.name,
        "slicing": {"by": [["type", "$this"]], "rules": "open"},
        "slices": [slice_rule],
    }


def _asked(element: Mapping[str, Any], base: Element, *, sliced: bool) -> Iterator[tuple[str, Any]]:
    """What the element asks beyond its base: members of a rule."""
    least, most = element["min"], element["max"]
    if least > (0 if sliced else base.min):
        yield "min", least
    if most != "*" and (base.max is None or int(most) < base.max):
        yield "max", int(most)
    entries = [entry for entry in element.get("type", ()) if type(entry.get("code")) is str]
    codes = [entry["code"] for entry in entries if not entry["code"].startswith(_SYSTEM_TYPE)]
    if codes and not _STRUCTURAL.issuperset(codes) and set(codes) != set(base.types) and not base.reference:
        yield "types", codes
    profiles = {entry["code"]: entry["profile"] for entry in entries if entry.get("profile")}
    if profiles:
        yield "profiles", profiles
    targets = [url for entry in entries if entry["code"] == "Reference" for url in entry.get("targetProfile", ())]
    if {url.removeprefix(BASE) for url in targets} - {"Resource"} != set(base.targets):
        yield "targets", [] if BASE + "Resource" in targets else targets
    for name, value in element.items():
        if name.startswith("fixed"):
            yield "fixed", value
        elif name.startswith("pattern"):
            yield "pattern", value
    yield from _binding(element.get("binding", {}), element, base)
    if base.reference and "contentReference" in element:
        yield "like", str(element["contentReference"]).rpartition("#")[2].partition(".")[2]
    if element.get("mustSupport") is True:
        yield "must", True
    if constraints := list(_constraints(element)):
        yield "constraints", constraints


def _binding(binding: Mapping[str, Any], element: Mapping[str, Any], base: Element) -> Iterator[tuple[str, Any]]:
    url, strength = str(binding.get("valueSet", "")).partition("|")[0], binding.get("strength")
    if not url:
        return
    parent = str(element.get("base", {}).get("path", element["path"])).rpartition(".")[0]
    known = {("required", base.value_set)}
    if parent.partition(".")[0] not in RESOURCE_TYPES:
        # The binding of a resource's own element takes the place of R4's: it is kept even where it is the same.
        known.add(("extensible", extensible(parent).get(base.name)))
    if strength in ("required", "extensible") and (strength, url) not in known:
        yield "binding", [strength, url]
    for extension in binding.get("extension", ()):
        if extension.get("url") == _MAX_VALUE_SET and "valueCanonical" in extension:
            most = extension["valueCanonical"].partition("|")[0]
            if strength != "required" and most != base.value_set:
                yield "most", most


def _constraints(element: Mapping[str, Any]) -> Iterator[list[str]]:
    """The constraints R4 itself does not state."""
    for constraint in element.get("constraint", ()):
        key, source = str(constraint.get("key")), str(constraint.get("source", BASE))
        if "expression" not in constraint or (key in _base_keys() and source.startswith(BASE)):
            continue
        yield [
            key,
            str(constraint.get("severity", "error")),
            str(constraint["expression"]),
            str(constraint.get("human", "")),
        ]


@cache
def _base_keys() -> frozenset[str]:
    return frozenset(key for key, _ in invariants())


def _slicing(element: Mapping[str, Any], base: Element) -> Table:
    told = element.get("slicing", {})
    by = [[str(d.get("type")), str(d.get("path"))] for d in told.get("discriminator", ())]
    if not by and base.types == ("Extension",):
        by = [["value", "url"]]
    elif not by and base.choice:
        by = [["type", "$this"]]
    made: Table = {"by": by, "rules": str(told.get("rules", "open"))}
    if told.get("ordered") is True:
        made["ordered"] = True
    return made


def _path_of(base: Element, element: Mapping[str, Any]) -> str:
    """The definition path below which the element's children are found."""
    codes = [entry.get("code") for entry in element.get("type", ())]
    if base.types == ("Resource",) or len(base.types) != 1:
        return next((code for code in codes if code in TYPES), base.types[0])
    return base.types[0]
