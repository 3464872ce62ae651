"""Definitions: what R4 4.0.1 says of types, elements, value sets and invariants, as lookups.

https://hl7.org/fhir/R4/definitions.html

A *definition path* names a place that has children: a type (`Patient`, `HumanName`) or a part of one that has no type
name of its own (`Patient.contact`). Tables are read from profiles/data on first use (about 10 ms in all).
"""

import gzip
import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = [
    "PRIMITIVE_TYPES",
    "RESOURCE_TYPES",
    "TYPES",
    "Element",
    "Invariant",
    "Type",
    "ValueSet",
    "child",
    "children",
    "elements",
    "extensible",
    "invariants",
    "narrative",
    "patterns",
    "summary",
    "value_set",
]


_DATA = Path(__file__).with_name("data")


class Type(NamedTuple):
    """`kind` is resource, complex-type or primitive-type; `base` a type name, empty for Element and Resource."""

    kind: str
    base: str
    abstract: bool


class Element(NamedTuple):
    """A child in its parent's definition. Its position in `elements(path)` is its order in XML.

    `name` lacks the `[x]` of a choice. `types` are type names, or one definition path for a part defined in place or by
    a contentReference (`reference` is then True). `max` is None for unbounded. `attribute` means an XML attribute.
    `value_set` is the canonical of a required binding; `targets` the types a Reference may point at (empty: any).
    """

    name: str
    types: tuple[str, ...]
    min: int
    max: int | None
    choice: bool = False
    summary: bool = False
    modifier: bool = False
    reference: bool = False
    attribute: bool = False
    value_set: str | None = None
    targets: tuple[str, ...] = ()

    @property
    def many(self) -> bool:
        """Whether JSON writes the element as an array."""
        return self.max != 1

    def names(self) -> dict[str, str]:
        """JSON member name -> type: `{"deceasedBoolean": "boolean", "deceasedDateTime": "dateTime"}`."""
        if self.choice:
            return {self.name + t[0].upper() + t[1:]: t for t in self.types}
        return {self.name: self.types[0]}


class ValueSet(NamedTuple):
    """The codes of a required binding by system; `patterns` give the form of codes of systems kept elsewhere."""

    codes: Mapping[str, frozenset[str]]
    patterns: Mapping[str, re.Pattern[str]]

    def holds(self, code: str, system: str | None = None) -> bool:
        """Whether the set has the code: in that system, or in any if none is named (the value of a `code`)."""
        if system is not None:
            pattern = self.patterns.get(system)
            return code in self.codes.get(system, ()) or (pattern is not None and pattern.fullmatch(code) is not None)
        return any(code in found for found in self.codes.values()) or any(
            pattern.fullmatch(code) for pattern in self.patterns.values()
        )

    def all_codes(self) -> frozenset[str]:
        """Every listed code, whatever its system."""
        return frozenset[str]().union(*self.codes.values())


class Invariant(NamedTuple):
    """A constraint where its own type states it; `expression` is FHIRPath, `severity` error or warning."""

    key: str
    path: str
    severity: str
    expression: str | None
    human: str


def _read(name: str) -> Any:
    data = (_DATA / name).read_bytes()
    return json.loads(gzip.decompress(data) if name.endswith(".gz") else data)


TYPES: Mapping[str, Type] = MappingProxyType({name: Type(*row) for name, row in _read("types.json.gz").items()})
"""Every R4 type by name: 148 resources (two abstract), 41 complex and 20 primitive types."""

RESOURCE_TYPES: frozenset[str] = frozenset(n for n, t in TYPES.items() if t.kind == "resource" and not t.abstract)
"""The 146 concrete resource types."""

PRIMITIVE_TYPES: frozenset[str] = frozenset(n for n, t in TYPES.items() if t.kind == "primitive-type")


@cache
def elements(path: str) -> Mapping[str, Element]:
    """The children of a definition path by `Element.name`, in order, inherited ones first. KeyError if unknown."""
    return MappingProxyType({row[0]: _element(*row) for row in _rows()[path]})


@cache
def children(path: str) -> Mapping[str, tuple[Element, str]]:
    """JSON member name (without `_` siblings) -> (its Element, the type it has under that name)."""
    return MappingProxyType({n: (e, t) for e in elements(path).values() for n, t in e.names().items()})


def child(path: str, name: str) -> tuple[Element, str] | None:
    """`child("Patient", "deceasedBoolean")` is (the Element deceased, "boolean"); None if there is no such member."""
    return children(path).get(name)


@cache
def summary(path: str) -> frozenset[str]:
    """JSON member names that `_summary=true` keeps: elements marked as summary (mandatory ones need not be)."""
    return frozenset(name for name, (element, _) in children(path).items() if element.summary)


@lru_cache(maxsize=512)
def value_set(url: str) -> ValueSet | None:
    """The value set of a required binding, by canonical without version; None where the package does not hold it."""
    found = _value_sets().get(url)
    if found is None:
        return None
    return ValueSet(
        {system: frozenset(codes) for system, codes in found["codes"].items()},
        {system: re.compile(pattern) for system, pattern in found["patterns"].items()},
    )


@cache
def extensible(path: str) -> Mapping[str, str]:
    """Element name -> canonical of the value set it is bound to as extensible, for the children of a path."""
    return MappingProxyType(_extensible().get(path, {}))


@cache
def invariants() -> Mapping[tuple[str, str], Invariant]:
    """Every invariant of R4 by (key, path): 239 of them."""
    return MappingProxyType({(row[0], row[1]): Invariant(*row) for row in _read("invariants.json.gz")})


@cache
def patterns() -> Mapping[str, str | None]:
    """Primitive type -> the specification's regular expression for its text, None for xhtml."""
    return MappingProxyType(_read("primitives.json.gz"))


@cache
def narrative() -> tuple[frozenset[str], frozenset[str]]:
    """The XHTML elements and the attributes a narrative may use."""
    lists = _read("narrative.json")
    return frozenset(lists["elements"]), frozenset(lists["attributes"])


@cache
def _rows() -> dict[str, list[list[Any]]]:
    rows: dict[str, list[list[Any]]] = _read("elements.json.gz")
    return rows


@cache
def _extensible() -> dict[str, dict[str, str]]:
    bound: dict[str, dict[str, str]] = _read("extensible.json.gz")
    return bound


@cache
def _value_sets() -> dict[str, dict[str, Any] | None]:
    sets: dict[str, dict[str, Any] | None] = _read("value_sets.json.gz")
    return sets


def _element(
    name: str,
    types: list[str],
    least: int,
    most: str,
    flags: str = "",
    bound: str | None = None,
    targets: tuple[str, ...] = (),
) -> Element:
    return Element(
        name=name,
        types=tuple(types),
        min=least,
        max=None if most == "*" else int(most),
        choice="x" in flags,
        summary="s" in flags,
        modifier="m" in flags,
        reference="c" in flags,
        attribute="a" in flags,
        value_set=bound,
        targets=tuple(targets),
    )
