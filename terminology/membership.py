"""Membership: whether a code is in a value set.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html

The answer is found from the composition, without listing its codes. It is None, not known, where it hangs on a code
system or value set that is not held.
"""

from typing import NamedTuple, Protocol

from terminology import composition, patterns
from terminology.code_system import CodeSystem
from terminology.concept import Concept
from terminology.errors import CyclicValueSetError, TooCostlyError
from terminology.value_set import Part, ValueSet

PARTS = 5_000
"""Parts of value sets that may be looked at for one code, one with a filter counting as ten."""


class Held(Protocol):
    """What is held: each lookup by canonical gives None for what is not."""

    def code_system(self, canonical: str) -> CodeSystem | None:
        """A code system, in any spelling of its URL."""

    def value_set(self, canonical: str) -> ValueSet | None:
        """A value set."""

    def preferred(self, system: str) -> str:
        """The URL a code system is known by here."""

    def test(self, system: CodeSystem, part: Part) -> composition.Test:
        """The filters of a part as a function."""


class Member(NamedTuple):
    """`known` None: it cannot be told, and `unheld` is what is missing. `concept` is what is held of the code."""

    known: bool | None
    concept: Concept | None = None
    unheld: str = ""


def member(held: Held, value_set: ValueSet, system: str, code: str) -> Member:
    """Whether `code` of `system` is in the value set. CyclicValueSetError, UnsupportedFilterError."""
    return _Question(held, held.preferred(system), code).in_set(value_set, ())


class _Question:
    """One code looked for: value sets met more than once are asked once."""

    def __init__(self, held: Held, system: str, code: str) -> None:
        self.held, self.system, self.code = held, system, code
        self.done: dict[str, Member] = {}
        self.parts = 0

    def in_set(self, value_set: ValueSet, within: tuple[str, ...]) -> Member:
        canonical = value_set.canonical
        if canonical and canonical in within:
            raise cyclic((*within, canonical))
        if canonical not in self.done:
            self.done[canonical] = self._chosen(value_set, (*within, canonical))
        return self.done[canonical]

    def _chosen(self, value_set: ValueSet, within: tuple[str, ...]) -> Member:
        included = self._in_any(value_set.include, within)
        if included.known is False:
            return included
        concept = included.concept
        if included.known and not value_set.inactive and concept is not None and not concept.is_active():
            return Member(False, concept)
        excluded = self._in_any(value_set.exclude, within)
        if excluded.known:
            return Member(False, concept)
        return included if excluded.known is False else Member(None, concept, excluded.unheld)

    def _in_any(self, parts: tuple[Part, ...], within: tuple[str, ...]) -> Member:
        best = Member(False)
        for part in parts:
            found = self._in_part(part, within)
            if found.known:
                return found
            if found.known is None or (best.known is False and found.concept is not None):
                best = found
        return best

    def _in_part(self, part: Part, within: tuple[str, ...]) -> Member:
        self.parts += 1 + 10 * len(part.filters)
        if self.parts > PARTS:
            raise TooCostlyError("the value set is composed of too many parts to look for a code in it")
        found = Member(True)
        if part.system:
            if self.held.preferred(part.system) != self.system:
                return Member(False)
            found = self._in_system(part)
            if found.known is False:
                return found
        elif not part.value_sets:
            return Member(False)
        for canonical in part.value_sets:
            value_set = self.held.value_set(canonical)
            if value_set is None:
                found = Member(None, found.concept, f"the value set {canonical}")
                continue
            inner = self.in_set(value_set, within)
            if inner.known is False:
                return inner
            found = inner if found.known else found
        return found

    def _in_system(self, part: Part) -> Member:
        code_system = self.held.code_system(part.system)
        concept = code_system.find(self.code) if code_system is not None else None
        if part.concepts is not None:
            listed = part.listed.get(self.code) or (part.listed.get(concept.code) if concept is not None else None)
            if listed is None:
                return Member(False, concept)
            named = Concept(listed.code, listed.display or listed.code, "", listed.designations)
            return Member(True, concept or named)
        if code_system is None or (concept is None and not code_system.is_complete):
            fits = patterns.fits(self.system, self.code) if not part.filters else None
            named = Concept(self.code, self.code)
            return Member(fits, named if fits else None, f"the code system {part.system}")
        if concept is None:
            return Member(False)
        return Member(self.held.test(code_system, part)(concept) if part.filters else True, concept)


def cyclic(path: tuple[str, ...]) -> CyclicValueSetError:
    """The error for a value set that leads back to itself."""
    return CyclicValueSetError(f"the value set is made of itself: {' -> '.join(path[path.index(path[-1]) :][:5])}")
