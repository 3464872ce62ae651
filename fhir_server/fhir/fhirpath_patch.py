"""FHIRPath Patch: a Parameters resource as changes to a resource.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir import fhirpath, locations
from fhir_server.fhir.fhirpath import Path
from fhir_server.fhir.locations import Location
from fhir_server.fhir.outcome import FhirError, refuse

TYPES = ("add", "insert", "delete", "replace", "move")

OPERATIONS = 1_000
"""A patch may have this many operations."""

_PARTS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `value` is the Parameters part that carries the new content; `place` its own expression."""

    type: str
    path: Path
    place: str
    name: str = ""
    value: dict[str, Any] | None = None
    index: int = 0
    source: int = 0
    destination: int = 0

    def refuse(self, status: int, code: str, detail: str, text: str) -> FhirError:
        """A FhirError about this operation."""
        return refuse(status, code, detail, text, self.place)


def parse(parameters: dict[str, Any]) -> tuple[Operation, ...]:
    """The operations in a valid Parameters resource. FhirError 400 where one lacks a part, has one too many, or its
    path cannot be understood."""
    given = parameters.get("parameter", [])
    if len(given) > OPERATIONS:
        raise refuse(400, "too-costly", "too-many-operations", f"A patch has at most {OPERATIONS} operations.")
    return tuple(_operation(each, f"Parameters.parameter[{number}]") for number, each in enumerate(given))


def apply(resource: dict[str, Any], operations: tuple[Operation, ...]) -> dict[str, Any]:
    """A changed copy of a valid resource; it need not be valid any more.

    FhirError 400 where a path names nothing (deleting nothing is no error) or several elements, an index is beyond its
    list, an element to add is there already, or a value is of a type that its place cannot have.
    """
    changed = deepcopy(resource)
    for operation in operations:
        _APPLY[operation.type](changed, operation)
    return changed


def _operation(given: dict[str, Any], place: str) -> Operation:
    parts = {part["name"]: part for part in given.get("part", [])}
    kind = parts.pop("type", {}).get("valueCode")
    if given["name"] != "operation" or kind not in TYPES:
        text = f"A FHIRPath Patch is made of parameters 'operation' with a part 'type': {', '.join(TYPES)}."
        raise refuse(400, "invalid", "invalid-operation", text, place)
    needed = _PARTS[kind]
    if len(parts) + 1 != len(given["part"]) or set(parts) - set(needed):
        text = f"A patch operation '{kind}' has the parts type, {', '.join(needed)}, each once."
        raise refuse(400, "invalid", "invalid-operation", text, place)
    values: dict[str, Any] = {"type": kind, "place": place}
    for name in needed:
        part = parts.get(name)
        if part is None:
            raise refuse(400, "required", "missing-part", f"A patch operation '{kind}' needs a part '{name}'.", place)
        values[name] = part if name == "value" else _plain(name, part, place)
    values["path"] = fhirpath.parse(values["path"])
    return Operation(**values)


def _plain(name: str, part: dict[str, Any], place: str) -> str | int:
    kinds = ("valueString",) if name in ("path", "name") else ("valueInteger", "valueUnsignedInt", "valuePositiveInt")
    found = next((part[kind] for kind in kinds if kind in part), None)
    if found is None or (isinstance(found, int) and found < 0):
        raise refuse(400, "value", "invalid-part", f"The part '{name}' needs a {kinds[0]} that is not negative.", place)
    value: str | int = found
    return value


def _add(resource: dict[str, Any], operation: Operation) -> None:
    owner = _one(operation, operation.path.of(resource))
    member, value, beside = _content(operation, owner, operation.name, operation.value or {})
    if _many(owner, member):
        locations.insert(owner, member, value, beside, len(owner.children(member)))
        return
    if owner.children(operation.name):
        text = f"{operation.path.text}.{operation.name} is there already; replace it."
        raise operation.refuse(400, "duplicate", "element-present", text)
    locations.put(owner, member, value, beside)


def _insert(resource: dict[str, Any], operation: Operation) -> None:
    owner, name = _listed(resource, operation)
    member, value, beside = _content(operation, owner, name, operation.value or {})
    _require_index(operation, operation.index, len(owner.children(member)) + 1)
    locations.insert(owner, member, value, beside, operation.index)


def _delete(resource: dict[str, Any], operation: Operation) -> None:
    found = operation.path.of(resource)
    if found:
        location = _one(operation, found)
        if location.parent is None:
            raise operation.refuse(400, "invalid", "whole-resource", "A patch cannot delete the resource itself.")
        locations.remove(location)


def _replace(resource: dict[str, Any], operation: Operation) -> None:
    location = _one(operation, operation.path.of(resource))
    owner = location.parent
    if owner is None:
        raise operation.refuse(400, "invalid", "whole-resource", "A patch cannot replace the resource itself.")
    name = next(name for name, element in owner.definitions().items() if location.member in element.names())
    member, value, beside = _content(operation, owner, name, operation.value or {})
    if member != location.member:
        # Another type of a choice: `valueString` gives way to `valueQuantity`.
        locations.put(owner, location.member, None, None)
    locations.put(owner, member, value, beside, location.index)


def _move(resource: dict[str, Any], operation: Operation) -> None:
    owner, name = _listed(resource, operation)
    count = len(owner.children(name))
    _require_index(operation, operation.source, count)
    _require_index(operation, operation.destination, count)
    locations.move(owner, name, operation.source, operation.destination)


_APPLY = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}


def _one(operation: Operation, found: list[Location]) -> Location:
    if len(found) == 1:
        return found[0]
    path = operation.path.text
    if found:
        text = f"{path} names {len(found)} elements; one is needed."
        raise operation.refuse(400, "multiple-matches", "several-elements", text)
    raise operation.refuse(400, "not-found", "no-element", f"There is nothing at {path}.")


def _listed(resource: dict[str, Any], operation: Operation) -> tuple[Location, str]:
    """The one element whose repeating child the path names, and that child's name."""
    owner = _one(operation, operation.path.owners(resource))
    name = operation.path.name or ""
    if not _many(owner, name):
        raise operation.refuse(400, "invalid", "not-a-list", f"{operation.path.text} is not a list.")
    return owner, name


def _many(owner: Location, member: str) -> bool:
    return any(element.many for element in owner.definitions().values() if member in element.names())


def _require_index(operation: Operation, index: int, count: int) -> None:
    if index >= count:
        text = f"{operation.path.text} has no position {index}."
        raise operation.refuse(400, "value", "no-position", text)


def _content(
    operation: Operation, owner: Location, name: str, part: dict[str, Any]
) -> tuple[str, Any, dict[str, Any] | None]:
    """The JSON member that child `name` of the owner becomes with the content of a part, its value and sibling."""
    try:
        element = owner.definitions()[name]
    except KeyError:
        text = f"{owner.kind} has no element {name}."
        raise operation.refuse(400, "structure", "unknown-element", text) from None
    given = next((key for key in part if key.startswith(("value", "_value"))), None)
    if given is None and "resource" in part:
        return name, part["resource"], None
    if given is None:
        return _anonymous(operation, owner, name, part)
    suffix = given.lstrip("_").removeprefix("value")
    value, beside = part.get(f"value{suffix}"), part.get(f"_value{suffix}")
    names = element.names()
    member = f"{name}{suffix}" if element.choice else name
    kind = names.get(member)
    if kind is None or not _fits(kind, suffix):
        possible = ", ".join(element.types)
        text = f"{name} of {owner.kind} cannot be a {suffix}; it can be {possible}."
        raise operation.refuse(400, "value", "wrong-type", text)
    return member, value, beside


def _anonymous(
    operation: Operation, owner: Location, name: str, part: dict[str, Any]
) -> tuple[str, Any, dict[str, Any] | None]:
    """Content given part by part, as for elements that have no type name of their own."""
    kinds = owner.definitions()[name].types
    if len(kinds) > 1 or locations.is_primitive(kinds[0]):
        raise operation.refuse(400, "value", "wrong-type", f"The value of {name} has no type.")
    content: dict[str, Any] = {}
    made = Location(content, kinds[0], owner, name)
    for inner in part.get("part", []):
        member, value, beside = _content(operation, made, inner["name"], inner)
        if _many(made, member):
            locations.insert(made, member, value, beside, len(made.children(member)))
        elif member in content or f"_{member}" in content:
            raise operation.refuse(400, "duplicate", "element-present", f"{name} may have one {inner['name']}.")
        else:
            locations.put(made, member, value, beside)
    if not content:
        raise operation.refuse(400, "required", "missing-part", f"The value of {name} is empty.")
    return name, content, None


def _fits(kind: str, suffix: str) -> bool:
    """Whether a value given as `value<suffix>` can stand where `kind` is needed.

    Types that JSON writes alike stand in for one another (a code for a string, a date for a dateTime): clients mix
    them up, and the outcome is validated anyway.
    """
    written = suffix[:1].lower() + suffix[1:]
    if kind in (suffix, written):
        return True
    primitive = locations.is_primitive(kind) and locations.is_primitive(written)
    return primitive and _json_kind(kind) == _json_kind(written)


def _json_kind(kind: str) -> str:
    if kind == "boolean":
        return "boolean"
    return "number" if kind in ("integer", "positiveInt", "unsignedInt", "decimal") else "string"
