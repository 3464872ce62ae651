"""ConceptMap: from a code of one system to codes of another.

https://hl7.org/fhir/R4/conceptmap.html
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

MATCHING = frozenset({"relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact"})
"""Equivalences that lead somewhere: not unmatched nor disjoint."""

_BACK = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


class Target(NamedTuple):
    """What a code corresponds to; `code` is empty where it corresponds to nothing. `product` are (system, code)s."""

    equivalence: str
    system: str
    code: str
    display: str = ""
    comment: str = ""
    depends_on: tuple[Mapping[str, Any], ...] = ()
    product: tuple[Mapping[str, Any], ...] = ()


class Unmapped(NamedTuple):
    """What is done with codes a group does not name: `provided`, `fixed` or `other-map`."""

    mode: str
    code: str = ""
    display: str = ""
    url: str = ""


@dataclass(frozen=True)
class Group:
    """The correspondences between two systems, by source code as it is spelt in them."""

    source: str
    target: str
    elements: Mapping[str, tuple[Target, ...]]
    unmapped: Unmapped | None = None

    @cached_property
    def reversed(self) -> Mapping[str, tuple[Target, ...]]:
        """The same correspondences by target code."""
        found: dict[str, list[Target]] = {}
        for code, targets in self.elements.items():
            for each in targets:
                if each.code and each.equivalence in MATCHING:
                    back = Target(_BACK.get(each.equivalence, each.equivalence), self.source, code)
                    found.setdefault(each.code, []).append(back)
        return {code: tuple(targets) for code, targets in found.items()}


@dataclass(frozen=True)
class ConceptMap:
    """A concept map. `source` and `target` are the canonicals of the value sets it maps between, or empty."""

    url: str
    version: str
    name: str
    groups: tuple[Group, ...]
    source: str = ""
    target: str = ""
    title: str = ""

    @property
    def canonical(self) -> str:
        """`url|version`, or the URL alone."""
        return f"{self.url}|{self.version}" if self.version else self.url


def of_resource(resource: Mapping[str, Any]) -> ConceptMap:
    """The concept map in a ConceptMap resource that is valid R4."""
    return ConceptMap(
        url=resource.get("url", ""),
        version=resource.get("version", ""),
        name=resource.get("name") or resource.get("title") or resource.get("url", ""),
        title=resource.get("title", ""),
        source=resource.get("sourceUri") or resource.get("sourceCanonical") or "",
        target=resource.get("targetUri") or resource.get("targetCanonical") or "",
        groups=tuple(_groups(resource.get("group", ()))),
    )


def _groups(groups: Iterable[Mapping[str, Any]]) -> Iterator[Group]:
    for group in groups:
        elements: dict[str, list[Target]] = {}
        for element in group.get("element", ()):
            targets = [
                Target(
                    each.get("equivalence", "equivalent"),
                    group.get("target", ""),
                    each.get("code", ""),
                    each.get("display", ""),
                    each.get("comment", ""),
                    tuple(each.get("dependsOn", ())),
                    tuple(each.get("product", ())),
                )
                for each in element.get("target", ())
            ]
            elements.setdefault(element.get("code", ""), []).extend(targets)
        other = group.get("unmapped")
        yield Group(
            group.get("source", ""),
            group.get("target", ""),
            {code: tuple(targets) for code, targets in elements.items()},
            Unmapped(other.get("mode", ""), other.get("code", ""), other.get("display", ""), other.get("url", ""))
            if other
            else None,
        )
