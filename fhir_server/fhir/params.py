"""Params: the one table of search parameters.

https://hl7.org/fhir/R4/searchparameter-registry.html

The table is generated from the official definitions (tools/definitions/search_parameters.py); types, targets and
cardinality along each path come from the element definitions.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from fhir_server.fhir.paths import Branch, compile
from profiles.definitions import RESOURCE_TYPES

ParameterType = Literal["token", "string", "reference", "date", "number", "quantity", "uri", "composite", "special"]


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite: its type and where it is, seen from the composite's focus."""

    type: ParameterType
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type.

    `targets` are the types a reference may point at, for chains; `components` belong to a composite, one tuple of them
    for each branch; `single` means that no resource has two values. `same_as` names another string parameter that
    finds the same values, under whose name they are indexed (`phonetic` of `name`).
    """

    name: str
    type: ParameterType
    expression: str
    branches: tuple[Branch, ...]
    targets: tuple[str, ...] = ()
    components: tuple[tuple[Component, ...], ...] = ()
    single: bool = False
    same_as: str = ""

    @property
    def label(self) -> str:
        """The name its values are indexed under."""
        return self.same_as or self.name


@cache
def parameters(type: str) -> Mapping[str, Parameter]:
    """The search parameters of a resource type by name, those of every type (`_id`, `_tag` ...) first; only these for
    the type `Resource`. KeyError where there is no such type.
    """
    found: dict[str, Parameter] = {}
    first: dict[str, str] = {}
    for name, row in rows(type).items():
        parameter = _parameter(type, name, *row)
        if parameter.type == "string":
            same_as = first.setdefault(parameter.expression, name)
            parameter = replace(parameter, same_as=same_as if same_as != name else "")
        found[name] = parameter
    return MappingProxyType(found)


def rows(type: str) -> dict[str, list[Any]]:
    """The table's rows of a resource type as they are: name -> [type, expression, targets, components]. KeyError
    where there is no such type."""
    if type not in RESOURCE_TYPES and type != "Resource":
        raise KeyError(type)
    return {**_table()["Resource"], **_table().get(type, {})}


@cache
def compartments() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Compartment (`Patient`) -> resource type -> the parameters by which a resource belongs to it."""
    table: dict[str, dict[str, list[str]]] = _read("compartments.json.gz")
    return {code: {type: tuple(names) for type, names in types.items()} for code, types in table.items()}


def _parameter(
    resource: str,
    name: str,
    type: ParameterType,
    expression: str,
    targets: tuple[str, ...] = (),
    components: tuple[tuple[ParameterType, str], ...] = (),
) -> Parameter:
    branches = compile(expression, resource)
    return Parameter(
        name,
        type,
        expression,
        branches,
        _targets(branches, frozenset(targets)),
        tuple(
            tuple(Component(kind, compile(path, branch.type, resource)) for kind, path in components)
            for branch in branches
            if components
        ),
        # Branches of one choice element exclude each other; alternatives of different elements do not.
        all(branch.single for branch in branches) and "|" not in expression,
    )


def _targets(branches: tuple[Branch, ...], declared: frozenset[str]) -> tuple[str, ...]:
    """What the elements allow, within what the parameter declares."""
    found: set[str] = set()
    for branch in branches:
        allowed = frozenset(branch.targets) or declared
        found |= allowed & declared if declared and allowed & declared else allowed
    return tuple(sorted(found))


@cache
def _table() -> dict[str, dict[str, list[Any]]]:
    table: dict[str, dict[str, list[Any]]] = _read("search_parameters.json.gz")
    return table


def _read(name: str) -> Any:
    return json.loads(gzip.decompress(files("fhir_server.fhir").joinpath("data", name).read_bytes()))
