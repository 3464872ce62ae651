"""Locations: the places in a resource that elements stand at, with their types, for reading and changing.

https://hl7.org/fhir/R4/fhirpath.html

A primitive element is two JSON members, its value and the sibling that holds its id and extensions (`birthDate`,
`_birthDate`); a Location treats them as one, in arrays, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from profiles.definitions import PRIMITIVE_TYPES, RESOURCE_TYPES, Element, elements


@dataclass(frozen=True, slots=True)
class Location:
    """An element that is there: the `index`-th (None: the only) value of `member` of `parent`, of type `kind`.

    `kind` is a type or a definition path (`HumanName`, `Patient.contact`). The resource itself has no parent. `value`
    is None where a primitive has nothing but extensions.
    """

    value: Any
    kind: str
    parent: "Location | None" = None
    member: str = ""
    index: int | None = None

    @property
    def primitive(self) -> bool:
        """Whether the element is of a primitive type."""
        return is_primitive(self.kind)

    @property
    def sibling(self) -> dict[str, Any] | None:
        """Id and extensions of a primitive element, None where it has neither."""
        if self.parent is None or not self.primitive:
            return None
        found = self.parent.members().get(f"_{self.member}")
        if self.index is not None:
            found = found[self.index] if isinstance(found, list) and self.index < len(found) else None
        return found if isinstance(found, dict) else None

    def members(self) -> dict[str, Any]:
        """The JSON members of the element: those of its sibling if it is primitive. For reading."""
        if self.primitive:
            return self.sibling or {}
        return self.value if isinstance(self.value, dict) else {}

    def definitions(self) -> Mapping[str, Element]:
        """The definitions of its child elements by name (choices without type: `value`)."""
        return elements("Element" if self.primitive else self.kind)

    def children(self, name: str) -> list["Location"]:
        """The child elements with this name that are there. KeyError where the definitions have none."""
        return [
            found for member, kind in self.definitions()[name].names().items() for found in self._under(member, kind)
        ]

    def _under(self, member: str, kind: str) -> Iterator["Location"]:
        members = self.members()
        value, beside = members.get(member), members.get(f"_{member}")
        if value is None and beside is None:
            return
        if isinstance(value, list) or isinstance(beside, list):
            count = max(len(each) for each in (value, beside) if isinstance(each, list))
            for index in range(count):
                item = value[index] if isinstance(value, list) and index < len(value) else None
                yield Location(item, _kind(kind, item), self, member, index)
        else:
            yield Location(value, _kind(kind, value), self, member)


def root(resource: dict[str, Any]) -> Location:
    """The location of a valid resource itself."""
    return Location(resource, resource["resourceType"])


def is_primitive(kind: str) -> bool:
    """Whether JSON writes the type as a plain value."""
    return kind in PRIMITIVE_TYPES


def put(parent: Location, member: str, value: Any, beside: dict[str, Any] | None, index: int | None = None) -> None:
    """Set the only value of a member, or the one at `index` of its array, with its sibling."""
    members = _changeable(parent)
    if index is None:
        _set(members, member, value)
        _set(members, f"_{member}", beside)
        return
    for name, part in ((member, value), (f"_{member}", beside)):
        if part is not None or name in members:
            _padded(members, name, index + 1)[index] = part
    _tidy(members, member)


def insert(parent: Location, member: str, value: Any, beside: dict[str, Any] | None, index: int) -> None:
    """Insert into the array of a member, making it where it is absent."""
    members = _changeable(parent)
    count = _length(members, member)
    for name, part in ((member, value), (f"_{member}", beside)):
        if part is not None or name in members:
            _padded(members, name, count).insert(index, part)
    _tidy(members, member)


def move(parent: Location, member: str, source: int, destination: int) -> None:
    """Move a value within the array of a member."""
    members = _changeable(parent)
    count = _length(members, member)
    for name in (member, f"_{member}"):
        if name in members:
            array = _padded(members, name, count)
            array.insert(destination, array.pop(source))
    _tidy(members, member)


def remove(location: Location) -> None:
    """Remove the element, and every element above it that is empty then. The resource itself stays."""
    parent = location.parent
    if parent is None:
        raise ValueError("the resource itself cannot be removed")
    members = _changeable(parent)
    for name in (location.member, f"_{location.member}"):
        if location.index is None:
            members.pop(name, None)
        elif location.index < len(members.get(name, ())):
            del members[name][location.index]
    _tidy(members, location.member)
    if not members and parent.parent is not None and (not parent.primitive or parent.value is None):
        remove(parent)
    elif not members and parent.primitive and parent.parent is not None:
        put(parent.parent, parent.member, parent.value, None, parent.index)


def _kind(kind: str, value: Any) -> str:
    """The definition path of a value: that of its own type where any resource may be."""
    if kind == "Resource" and isinstance(value, dict) and value.get("resourceType") in RESOURCE_TYPES:
        return str(value["resourceType"])
    return kind


def _changeable(location: Location) -> dict[str, Any]:
    """The members of an element, for changing: the sibling of a primitive is made where it is absent."""
    if not location.primitive:
        members: dict[str, Any] = location.value
        return members
    if location.sibling is None and location.parent is not None:
        put(location.parent, location.member, location.value, {}, location.index)
    sibling = location.sibling
    assert sibling is not None
    return sibling


def _set(members: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        members.pop(name, None)
    else:
        members[name] = value


def _length(members: dict[str, Any], member: str) -> int:
    return max(len(members.get(member, ())), len(members.get(f"_{member}", ())))


def _padded(members: dict[str, Any], name: str, count: int) -> list[Any]:
    array: list[Any] = members.setdefault(name, [])
    array += [None] * (count - len(array))
    return array


def _tidy(members: dict[str, Any], member: str) -> None:
    """No array of nothing but nulls; two arrays of one member have the same length."""
    for name in (member, f"_{member}"):
        if isinstance(members.get(name), list) and all(item is None for item in members[name]):
            del members[name]
    if isinstance(members.get(member), list) and f"_{member}" in members:
        for name in (member, f"_{member}"):
            _padded(members, name, _length(members, member))
