"""ValueSet: which codes are chosen, by lists, filters and other value sets.

https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from terminology.concept import Designation


class Listed(NamedTuple):
    """A code named one by one, with the names the value set gives it; `display` is empty where it gives none."""

    code: str
    display: str = ""
    designations: tuple[Designation, ...] = ()
    abstract: bool = False
    inactive: bool = False


class Filter(NamedTuple):
    """A rule on the concepts of a code system: `concept is-a 1002-5`."""

    property: str
    op: str
    value: str


@dataclass(frozen=True)
class Part:
    """One include or exclude: the codes that satisfy everything it says.

    `concepts` None: any code of the system that passes the filters.
    """

    system: str = ""
    version: str = ""
    concepts: tuple[Listed, ...] | None = None
    filters: tuple[Filter, ...] = ()
    value_sets: tuple[str, ...] = ()

    @cached_property
    def listed(self) -> Mapping[str, Listed]:
        """The listed concepts by code."""
        return {each.code: each for each in self.concepts or ()}


@dataclass(frozen=True)
class ValueSet:
    """A value set. `inactive` False leaves out codes that are no longer in use."""

    url: str
    version: str
    name: str
    include: tuple[Part, ...]
    exclude: tuple[Part, ...] = ()
    title: str = ""
    inactive: bool = True
    resource: Mapping[str, Any] | None = field(default=None, compare=False)
    """The resource it was read from, if it was."""

    @property
    def canonical(self) -> str:
        """`url|version`, or the URL alone."""
        return f"{self.url}|{self.version}" if self.version else self.url

    def imports(self) -> Iterator[str]:
        """Canonicals of the value sets it is made of."""
        for part in (*self.include, *self.exclude):
            yield from part.value_sets

    def systems(self) -> Iterator[str]:
        """The code systems it names, `url|version` where it names one."""
        for part in (*self.include, *self.exclude):
            if part.system:
                yield f"{part.system}|{part.version}" if part.version else part.system


def of_resource(resource: Mapping[str, Any]) -> ValueSet:
    """The value set in a ValueSet resource that is valid R4; one without a composition is its stored expansion."""
    compose = resource.get("compose")
    if compose is None:
        include: Iterable[Part] = _expanded(resource.get("expansion", {}))
        exclude: Iterable[Part] = ()
    else:
        include, exclude = map(_part, compose.get("include", ())), map(_part, compose.get("exclude", ()))
    return ValueSet(
        url=resource.get("url", ""),
        version=resource.get("version", ""),
        name=resource.get("name") or resource.get("title") or resource.get("url", ""),
        title=resource.get("title", ""),
        include=tuple(include),
        exclude=tuple(exclude),
        inactive=(compose or {}).get("inactive", True),
        resource=resource,
    )


def _part(part: Mapping[str, Any]) -> Part:
    concepts = part.get("concept")
    return Part(
        system=part.get("system", ""),
        version=part.get("version", ""),
        concepts=tuple(map(_listed, concepts)) if concepts else None,
        filters=tuple(map(_filter, part.get("filter", ()))),
        value_sets=tuple(each for each in part.get("valueSet", ()) if each is not None),
    )


def _filter(rule: Mapping[str, Any]) -> Filter:
    # A value that only has an extension is none.
    return Filter(rule.get("property", ""), rule.get("op", ""), rule.get("value", ""))


def _listed(concept: Mapping[str, Any]) -> Listed:
    designations = (
        Designation(each.get("language", ""), each.get("value", ""), each.get("use"))
        for each in concept.get("designation", ())
    )
    return Listed(
        concept.get("code", ""),
        concept.get("display", ""),
        tuple(designations),
        concept.get("abstract", False),
        concept.get("inactive", False),
    )


def _expanded(expansion: Mapping[str, Any]) -> Iterator[Part]:
    found: dict[tuple[str, str], list[Listed]] = {}
    waiting = list(reversed(expansion.get("contains", ())))
    while waiting:
        each = waiting.pop()
        waiting.extend(reversed(each.get("contains", ())))
        if "code" in each and not each.get("abstract", False):
            found.setdefault((each.get("system", ""), each.get("version", "")), []).append(_listed(each))
    for (system, version), concepts in found.items():
        yield Part(system, version, tuple(concepts))
