"""XML slots: what may stand inside an element, by tag, as the definitions have it.

https://hl7.org/fhir/R4/xml.html
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from profiles.definitions import PRIMITIVE_TYPES, RESOURCE_TYPES, children

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"

Lexeme = Callable[[str], Any]
"""The JSON value of an attribute's text, None if it has none; numbers as msgspec.Raw, which keeps their digits."""


Kind = Literal["primitive", "complex", "holder", "resource", "div"]
"""What an element holds: a value attribute, children, one resource, a resource's children, or XHTML."""


class Slot(NamedTuple):
    """A child element: its place among its siblings, its tag (also the JSON member), whether it repeats.

    `path` is the definition path of its children. `lexeme` is None for values JSON writes as strings.
    """

    position: int
    name: str
    many: bool
    kind: Kind
    path: str
    type: str
    lexeme: Lexeme | None


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _number(pattern: str) -> Lexeme:
    matches = re.compile(pattern).fullmatch

    def read(text: str) -> msgspec.Raw | None:
        return msgspec.Raw(text.encode()) if matches(text) else None

    return read


def _positive(text: str) -> Any:
    # R4 lets a positiveInt begin with a plus sign, which JSON has no way to write.
    return _natural(text.removeprefix("+"))


_natural = _number("0|[1-9][0-9]*")

_LEXEMES: dict[str, Lexeme] = {
    "boolean": _boolean,
    "decimal": _number(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
    "integer": _number("-?(0|[1-9][0-9]*)"),
    "positiveInt": _positive,
    "unsignedInt": _natural,
}


@cache
def slots(path: str) -> Mapping[str, Slot]:
    """Tag -> slot of each child element of a definition path, in the order R4 demands."""
    order: dict[str, int] = {}
    made = {}
    for name, (element, type_name) in children(path).items():
        position = order.setdefault(element.name, len(order))
        if not element.attribute:
            made[name] = _slot(position, name, element.many, type_name)
    return made


@cache
def attributes(path: str) -> tuple[str, ...]:
    """The attributes an element with children at `path` may have: none, `id`, or `id` and `url`."""
    return tuple(name for name, (element, _) in children(path).items() if element.attribute)


RESOURCES: Mapping[str, Slot] = {
    name: Slot(0, name, False, "resource", name, name, None) for name in sorted(RESOURCE_TYPES)
}
"""What may stand at the root, in `contained` and in `resource`."""


def _slot(position: int, name: str, many: bool, type_name: str) -> Slot:
    if type_name == "xhtml":
        return Slot(position, name, many, "div", "", type_name, None)
    if type_name in PRIMITIVE_TYPES:
        return Slot(position, name, many, "primitive", "Element", type_name, _LEXEMES.get(type_name))
    kind: Kind = "holder" if type_name == "Resource" else "complex"
    return Slot(position, name, many, kind, type_name, type_name, None)
