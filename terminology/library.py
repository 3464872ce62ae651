"""Terminology: all code systems, value sets and concept maps that are held, by canonical.

https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from terminology import code_system, composition, concept_map, expansion, hl7, membership, tables, vaccines, value_set
from terminology.code_system import CodeSystem
from terminology.concept_map import ConceptMap
from terminology.expansion import folded
from terminology.hl7 import Type
from terminology.membership import Member
from terminology.shelf import Shelf
from terminology.systems import CVX, MVX, NDC, RACE_ETHNICITY, preferred
from terminology.value_set import Part, ValueSet

T = TypeVar("T")

_REMEMBERED = 20_000
"""Answers about codes in value sets that are kept."""


class Terminology:
    """What ships with the library, or that and more: `shipped().adding(resources)`."""

    def __init__(self, base: "Terminology | None" = None) -> None:
        self.code_systems = Shelf[CodeSystem]()
        self.value_sets = Shelf[ValueSet]()
        self.concept_maps = Shelf[ConceptMap]()
        self._levels: tuple[Terminology, ...] = (self,) if base is None else (*base._levels, self)
        self._spellings: dict[str, str] = dict(base._spellings) if base is not None else {}
        self._tests: dict[tuple[str, Part], composition.Test] = {}
        self._members: dict[tuple[str, str, str], Member] = {}
        self._expansions: dict[str, expansion.Expansion] = {}
        self._texts: dict[str, Mapping[tuple[str, str], str]] = {}
        self._parts: dict[str, tuple[tuple[Type, str], ...]] = {}

    def adding(self, resources: Iterable[Mapping[str, Any]]) -> "Terminology":
        """This and the CodeSystem, ValueSet and ConceptMap resources given, which are valid R4.

        What has the URL and version of something held already does not take its place.
        """
        more = Terminology(self)
        for resource in resources:
            url, version = resource.get("url", ""), resource.get("version", "")
            match resource["resourceType"]:
                case "CodeSystem":
                    more.code_systems.put(url, version, partial(code_system.of_resource, resource))
                case "ValueSet":
                    more.value_sets.put(url, version, partial(value_set.of_resource, resource))
                case "ConceptMap":
                    more.concept_maps.put(url, version, partial(concept_map.of_resource, resource))
        return more

    def spell(self, other: str, url: str) -> None:
        """From now on `other` is a spelling of the code system `url`."""
        self._spellings[other] = url

    def preferred(self, system: str) -> str:
        """The URL a code system is known by here; another's as it is."""
        found = preferred(system)
        return self._spellings.get(found, found)

    def code_system(self, canonical: str) -> CodeSystem | None:
        """A code system by any spelling of its URL; of another version where the one asked for is not held."""
        url, bar, version = canonical.partition("|")
        return _find([each.code_systems for each in self._levels], f"{self.preferred(url)}{bar}{version}")

    def value_set(self, canonical: str) -> ValueSet | None:
        """A value set, likewise."""
        return _find([each.value_sets for each in self._levels], canonical)

    def concept_map(self, canonical: str) -> ConceptMap | None:
        """A concept map, likewise."""
        return _find([each.concept_maps for each in self._levels], canonical)

    def holds_code_system(self, canonical: str) -> bool:
        """Whether that very version is held, or any where none is named."""
        url, bar, version = canonical.partition("|")
        return any(each.code_systems.has(f"{self.preferred(url)}{bar}{version}") for each in self._levels)

    def holds_value_set(self, canonical: str) -> bool:
        """Likewise."""
        return any(each.value_sets.has(canonical) for each in self._levels)

    def holds_concept_map(self, canonical: str) -> bool:
        """Likewise."""
        return any(each.concept_maps.has(canonical) for each in self._levels)

    def maps(self) -> Iterator[ConceptMap]:
        """Every concept map held, those added last first."""
        for level in reversed(self._levels):
            for url in level.concept_maps:
                found = level.concept_maps.find(url)
                if found is not None:
                    yield found

    def test(self, system: CodeSystem, part: Part) -> composition.Test:
        """The filters of a part as a function. UnsupportedFilterError."""
        key = (f"{system.url}|{system.version}", part)
        found = self._tests.get(key)
        if found is None:
            found = self._tests[key] = composition.test(system, part.filters)
        return found

    def member(self, canonical: str, system: str, code: str) -> Member | None:
        """Whether a code is in a value set, remembered; None where the value set is not held."""
        key = (canonical, system, code)
        found = self._members.get(key)
        if found is None:
            chosen = self.value_set(canonical)
            if chosen is None:
                return None
            found = membership.member(self, chosen, system, code)
            if len(self._members) >= _REMEMBERED:
                self._members.clear()
            self._members[key] = found
        return found

    def expand(self, chosen: ValueSet) -> expansion.Expansion:
        """The codes of a value set, remembered where it is held. Errors as of `expansion.expand`."""
        key = chosen.canonical
        if self.value_set(key) is not chosen:
            return expansion.expand(self, chosen)
        found = self._expansions.get(key)
        if found is None:
            found = self._expansions[key] = expansion.expand(self, chosen)
        return found

    def texts(self, chosen: ValueSet) -> Mapping[tuple[str, str], str]:
        """What each code of a value set is searched by, folded; remembered as its expansion is."""
        found = self._texts.get(chosen.canonical)
        if found is None or self.value_set(chosen.canonical) is not chosen:
            entries = self.expand(chosen).entries
            found = {key: folded(" ".join((key[1], *entry.concept.names()))) for key, entry in entries.items()}
            self._texts[chosen.canonical] = found
        return found

    def allowed(self, canonical: str, system: str | None, code: str) -> bool | None:
        """Whether a binding to that value set admits the code; None where that cannot be told.

        `system` None: a plain code, whose system the value set decides. CyclicValueSetError, UnsupportedFilterError.
        """
        if system is not None:
            found = self.member(canonical, system, code)
            return None if found is None else found.known
        told = [self.allowed(canonical, each, code) for each in self.systems_of(canonical)]
        return True if True in told else None if None in told or not told else False

    def systems_of(self, canonical: str) -> tuple[str, ...]:
        """The code systems that a value set and those it is made of name, without versions."""
        return tuple(url.partition("|")[0] for kind, url in self.parts_of(canonical) if kind == "CodeSystem")

    def systems_in(self, chosen: ValueSet) -> tuple[str, ...]:
        """Likewise of a value set itself, which need not be one that is held."""
        imported = (url for canonical in chosen.imports() for url in self.systems_of(canonical))
        return tuple(dict.fromkeys((*(url.partition("|")[0] for url in chosen.systems()), *imported)))

    def parts_of(self, canonical: str) -> tuple[tuple[Type, str], ...]:
        """Everything a value set is made of, itself first: (`ValueSet` or `CodeSystem`, canonical), each once."""
        found = self._parts.get(canonical)
        if found is None:
            met: dict[tuple[Type, str], None] = {}
            waiting: list[tuple[Type, str]] = [("ValueSet", canonical)]
            while waiting:
                each = waiting.pop()
                if each not in met:
                    met[each] = None
                    chosen = self.value_set(each[1]) if each[0] == "ValueSet" else None
                    if chosen is not None:
                        waiting += [("ValueSet", url) for url in chosen.imports()]
                        waiting += [("CodeSystem", url) for url in chosen.systems()]
            found = self._parts[canonical] = tuple(met)
        return found


def _find(shelves: list[Shelf[T]], canonical: str) -> T | None:
    """What the first shelf with that very version holds, else what the first holds with any."""
    for shelf in shelves:
        if shelf.has(canonical):
            return shelf.find(canonical)
    return next((found for shelf in shelves if (found := shelf.find(canonical)) is not None), None)


@cache
def shipped() -> Terminology:
    """What comes with the library: one for the whole process; nothing is ever put into it."""
    held = Terminology()
    names = tables.spanish()
    for system, make in ((CVX, vaccines.cvx), (MVX, vaccines.mvx), (NDC, vaccines.ndc)):
        held.code_systems.put(system, vaccines.VERSION, partial(make, names.get(system, {})))
    for url, found in tables.code_systems().items():
        held.code_systems.put(url, found.version, partial(_itself, found))
        if found.oid:
            held.spell(found.oid, url)
    for url, chosen in tables.value_sets().items():
        held.value_sets.put(url, chosen.version, partial(_chosen, chosen))
    for mapping in tables.concept_maps().values():
        held.concept_maps.put(mapping.url, mapping.version, partial(_mapped, mapping))
    for url, make_map in (
        (vaccines.NDC_TO_CVX, vaccines.ndc_to_cvx),
        (vaccines.NDC_TO_MVX, vaccines.ndc_to_mvx),
        (vaccines.CVX_TO_GROUP, vaccines.cvx_to_group),
    ):
        held.concept_maps.put(url, vaccines.VERSION, make_map)
    held.code_systems.put(RACE_ETHNICITY, "1.2", partial(_race_and_ethnicity, held))
    for url, version in hl7.canonicals("CodeSystem"):
        held.code_systems.put(url, version, partial(_code_system, url, version))
    for url, version in hl7.canonicals("ValueSet"):
        held.value_sets.put(url, version, partial(_value_set, url, version))
    for url, version in hl7.canonicals("ConceptMap"):
        held.concept_maps.put(url, version, partial(_concept_map, url, version))
    return held


def _itself(found: CodeSystem) -> CodeSystem:
    return found


def _chosen(found: ValueSet) -> ValueSet:
    return found


def _mapped(found: ConceptMap) -> ConceptMap:
    return found


def _race_and_ethnicity(held: Terminology) -> CodeSystem:
    v3 = "http://terminology.hl7.org/CodeSystem/v3-"
    race, ethnicity = held.code_system(f"{v3}Race"), held.code_system(f"{v3}Ethnicity")
    assert race is not None and ethnicity is not None
    return tables.race_and_ethnicity(race, ethnicity)


def _code_system(url: str, version: str) -> CodeSystem:
    return code_system.of_resource(hl7.resource("CodeSystem", url, version), tables.spanish().get(url))


def _value_set(url: str, version: str) -> ValueSet:
    return value_set.of_resource(hl7.resource("ValueSet", url, version))


def _concept_map(url: str, version: str) -> ConceptMap:
    return concept_map.of_resource(hl7.resource("ConceptMap", url, version))
