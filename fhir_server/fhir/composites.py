"""Composites: values that belong together (`code$quantity`), as pre-joined keys.

https://hl7.org/fhir/R4/search.html#composite

The parts before the last are exact keys and become part of the label of the last: `code-value-quantity␟sys|code`. A
composite of three parts has exact keys only: its numbers compare as equal numbers.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any

from fhir_server.fhir import dates, quantities, references, strings, tokens
from fhir_server.fhir.condition import SEPARATOR
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.keys import escape
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.params import Component, Parameter, ParameterType
from fhir_server.fhir.paths import Branch

COMBINATIONS = 2_000
"""A resource whose parts combine to more keys than this for one composite is refused: they multiply."""

EXACT: frozenset[ParameterType] = frozenset({"token", "reference", "uri"})
"""Types whose keys can be a part of a label."""


def is_exact(position: int, components: tuple[Component, ...]) -> bool:
    """Whether the part at `position` is compared by exact keys."""
    return components[position].type in EXACT or len(components) > 2


def adder(parameter: Parameter, components: tuple[Component, ...]) -> Callable[[Entries, Any, Any, str], None]:
    """A function that adds the keys of one focus value: (entries, focus, resource, base).

    It raises FhirError 422 for more than COMBINATIONS keys.
    """
    *before, last = components
    exact = is_exact(len(components) - 1, components)

    def add(entries: Entries, focus: Any, resource: Any, base: str) -> None:
        parts = [list(_keys(component, focus, resource, base)) for component in before]
        if prod(map(len, parts)) > COMBINATIONS:
            raise _refusal(parameter.name)
        labels = [SEPARATOR.join((parameter.name, *combination)) for combination in product(*parts)]
        if not labels:
            return
        if exact:
            keys = list(_keys(last, focus, resource, base))
            if len(keys) * len(labels) > COMBINATIONS:
                raise _refusal(parameter.name)
            entries.tk += [f"{label}{SEPARATOR}{key}" for key in keys for label in labels]
            return
        for branch, value in _values(last, focus, resource):
            _add_last(entries, last.type, branch, value, labels)

    return add


def _refusal(name: str) -> FhirError:
    text = f"Too many codes stand beside each other to be indexed for searches by {name}."
    return refuse(422, "too-costly", "too-many-keys", text, name)


def _add_last(entries: Entries, kind: ParameterType, branch: Branch, value: Any, labels: list[str]) -> None:
    if kind == "string":
        read = strings.reader(branch.type)
        for text in read(value) if read else ():
            entries.st += [f"{label}{SEPARATOR}{strings.whole(text)}" for label in labels]
    elif kind == "date":
        covered = dates.reader(branch.type)
        interval = covered(value) if covered else None
        if interval:
            for label in labels:
                entries.days(label, *interval[:4])
    else:
        measure = quantities.reader(branch.type)
        measured = measure(value) if measure else None
        if measured:
            lo, hi, units = measured
            for label in labels:
                for unit in units:
                    entries.span(f"{label}{SEPARATOR}{unit}" if unit else label, lo, hi)


def _values(component: Component, focus: Any, resource: Any) -> Iterator[tuple[Branch, Any]]:
    for branch in component.branches:
        for value in branch.of(resource if branch.start == "resource" else focus):
            yield branch, value


def _keys(component: Component, focus: Any, resource: Any, base: str) -> Iterator[str]:
    """The exact keys of a part."""
    for branch, value in _values(component, focus, resource):
        if component.type in ("reference", "uri"):
            text = value.get("reference") if type(value) is dict else value
            if type(text) is str:
                yield from map(escape, references.keys(text, base))
        elif component.type == "token":
            read = tokens.reader(branch, tokens.is_plain(component.branches))
            yield from read(value) if read else ()
        elif component.type == "string":
            texts = strings.reader(branch.type)
            yield from (strings.folded(text) for text in (texts(value) if texts else ()))
        else:
            measure = quantities.reader(branch.type)
            measured = measure(value) if measure else None
            if measured:
                yield measured[0]
