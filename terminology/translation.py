"""Translation: what a code corresponds to, by one concept map or by all.

https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from terminology.concept_map import ConceptMap, Group, Target
from terminology.library import Terminology

_THROUGH = 5
"""Maps that `other-map` may lead through."""


class Match(NamedTuple):
    """A correspondence, and the canonical of the map it stands in."""

    target: Target
    source: str


def translate(
    held: Terminology,
    maps: Iterable[ConceptMap],
    system: str,
    code: str,
    *,
    target_system: str = "",
    back: bool = False,
) -> list[Match]:
    """Every correspondence of the code, unmatched ones included; to one system only where it is named.

    `back`: from the maps' targets to their sources.
    """
    return [
        match
        for each in maps
        for match in _in_map(held, each, held.preferred(system), code, back, 0)
        if not target_system or held.preferred(match.target.system) == held.preferred(target_system)
    ]


def _in_map(held: Terminology, mapping: ConceptMap, system: str, code: str, back: bool, depth: int) -> Iterator[Match]:
    for group in mapping.groups:
        start = group.target if back else group.source
        if start and held.preferred(start) != system:
            continue
        elements = group.reversed if back else group.elements
        targets = elements.get(_spelt(held, system, code), elements.get(code))
        if targets is not None:
            yield from (Match(each, mapping.canonical) for each in targets)
        elif group.unmapped is not None and not back:
            yield from _unmapped(held, mapping, group, system, code, depth)


def _unmapped(
    held: Terminology, mapping: ConceptMap, group: Group, system: str, code: str, depth: int
) -> Iterator[Match]:
    rule = group.unmapped
    assert rule is not None
    if rule.mode == "provided":
        yield Match(Target("equal", group.target, code), mapping.canonical)
    elif rule.mode == "fixed" and rule.code:
        yield Match(Target("inexact", group.target, rule.code, rule.display), mapping.canonical)
    elif rule.mode == "other-map" and depth < _THROUGH:
        other = held.concept_map(rule.url)
        if other is not None:
            yield from _in_map(held, other, system, code, False, depth + 1)


def _spelt(held: Terminology, system: str, code: str) -> str:
    """The code as it is stored."""
    code_system = held.code_system(system)
    concept = code_system.find(code) if code_system is not None else None
    return concept.code if concept is not None else code
