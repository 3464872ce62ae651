"""CodeSystem: concepts by code, and which is above which.

https://hl7.org/fhir/R4/codesystem.html
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from terminology.concept import Concept, Designation, Property

Outcome = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]

_RETIRED = frozenset({"retired", "deprecated", "inactive"})


@dataclass(frozen=True)
class CodeSystem:
    """A code system as far as it is held: all of it where `content` is `complete`."""

    url: str
    version: str
    name: str
    concepts: Mapping[str, Concept]
    title: str = ""
    content: str = "complete"
    case_sensitive: bool = True
    value_set: str = ""
    """Canonical of the value set of all its codes, or empty."""
    oid: str = ""
    normalise: Callable[[str], str | None] | None = field(default=None, compare=False)
    """How codes of it are spelt here; None stands for text that is no code."""
    properties: tuple[tuple[str, str], ...] = ()
    """(code, type) of the properties its concepts have."""

    @property
    def is_complete(self) -> bool:
        """Whether a code that is not here does not exist."""
        return self.content == "complete"

    def find(self, code: str) -> Concept | None:
        """The concept of a code in any of its spellings, or None."""
        found = self.concepts.get(code)
        if found is not None:
            return found
        if self.normalise is not None:
            normal = self.normalise(code)
            return self.concepts.get(normal) if normal is not None else None
        if not self.case_sensitive:
            return self.concepts.get(self._folded.get(code.casefold(), code))
        return None

    def ancestors(self, code: str) -> frozenset[str]:
        """All codes above it, not itself."""
        return frozenset(self._walk(code, lambda each: self.concepts[each].parents if each in self.concepts else ()))

    def descendants(self, code: str) -> frozenset[str]:
        """All codes below it, not itself."""
        return frozenset(self._walk(code, lambda each: self.children.get(each, ())))

    def subsumes(self, a: str, b: str) -> Outcome:
        """How the concept `a` stands to `b`; both are codes as they are spelt here."""
        if a == b:
            return "equivalent"
        if a in self.ancestors(b):
            return "subsumes"
        return "subsumed-by" if b in self.ancestors(a) else "not-subsumed"

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Codes directly below each code that has any, in order."""
        found: dict[str, list[str]] = defaultdict(list)
        for concept in self.concepts.values():
            for parent in concept.parents:
                found[parent].append(concept.code)
        return {parent: tuple(codes) for parent, codes in found.items()}

    @cached_property
    def _folded(self) -> Mapping[str, str]:
        return {code.casefold(): code for code in self.concepts}

    def _walk(self, code: str, step: Callable[[str], Iterable[str]]) -> Iterator[str]:
        # What users store may run in circles.
        seen, waiting = {code}, [code]
        while waiting:
            for each in step(waiting.pop()):
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
                    yield each


def of_resource(resource: Mapping[str, Any], spanish: Mapping[str, str] | None = None) -> CodeSystem:
    """The code system in a CodeSystem resource that is valid R4. `spanish` names codes that have no name in it."""
    found: dict[str, Concept] = {}
    above: dict[str, list[str]] = defaultdict(list)
    for concept, parent in _walk(resource.get("concept", ()), None):
        code = concept.get("code", "")
        found.setdefault(code, _concept(concept, spanish.get(code) if spanish else None))
        if parent is not None:
            above[code].append(parent)
        for prop in concept.get("property", ()):
            if prop.get("code") == "parent":
                above[code].append(prop.get("valueCode", ""))
            elif prop.get("code") == "child":
                above[prop.get("valueCode", "")].append(code)
    concepts = {
        code: concept._replace(parents=tuple(dict.fromkeys(above[code]))) if code in above else concept
        for code, concept in found.items()
    }
    oids = [each.get("value", "") for each in resource.get("identifier", ())]
    return CodeSystem(
        url=resource.get("url", ""),
        version=resource.get("version", ""),
        name=resource.get("name") or resource.get("title") or resource.get("url", ""),
        title=resource.get("title", ""),
        concepts=concepts,
        content=resource.get("content", "complete"),
        case_sensitive=resource.get("caseSensitive", True),
        value_set=resource.get("valueSet", ""),
        oid=next((oid for oid in oids if oid.startswith("urn:oid:")), ""),
        properties=tuple((each.get("code", ""), each.get("type", "")) for each in resource.get("property", ())),
    )


def _walk(concepts: Iterable[Mapping[str, Any]], parent: str | None) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    for concept in concepts:
        yield concept, parent
        yield from _walk(concept.get("concept", ()), concept.get("code", ""))


def _concept(concept: Mapping[str, Any], spanish: str | None) -> Concept:
    properties = tuple(map(_property, concept.get("property", ())))
    designations = [
        Designation(each.get("language", ""), each.get("value", ""), each.get("use"))
        for each in concept.get("designation", ())
    ]
    if spanish is not None and not any(each.language.startswith("es") for each in designations):
        designations.append(Designation("es", spanish))
    said = {each.code: each.value for each in properties}
    return Concept(
        concept.get("code", ""),
        concept.get("display") or concept.get("code", ""),
        concept.get("definition", ""),
        tuple(designations),
        properties,
        abstract=_is_true(said.get("notSelectable", said.get("abstract"))),
        inactive=_is_true(said.get("inactive")) or str(said.get("status")).lower() in _RETIRED,
    )


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


def _property(prop: Mapping[str, Any]) -> Property:
    member = next((name for name in prop if name.startswith("value")), "valueString")
    kind = member.removeprefix("value")
    # Names of types begin small but for Coding.
    return Property(prop.get("code", ""), kind if kind == "Coding" else kind[0].lower() + kind[1:], prop.get(member))  # type: ignore[arg-type] # the resource is valid: kind is one of R4's
