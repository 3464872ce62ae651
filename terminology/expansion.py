"""Expansion: the codes of a value set, listed.

https://hl7.org/fhir/R4/valueset.html#expansion
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from terminology.code_system import CodeSystem
from terminology.concept import Concept
from terminology.errors import TerminologyError, TooCostlyError, UnknownSystemError, UnknownValueSetError
from terminology.membership import Held, cyclic
from terminology.value_set import Part, ValueSet

LIMIT = 10_000
"""Most codes an expansion may have, before excludes and filters of the request."""

EFFORT = 500_000
"""Codes that may be looked at for one expansion: a fifth of a second at most."""


class Entry(NamedTuple):
    """A code of an expansion; the concept carries the names the value set gives it."""

    system: str
    version: str
    concept: Concept


Entries = Mapping[tuple[str, str], Entry]


class Expansion(NamedTuple):
    """Every code by (system, code), in the order of the composition, but for those of the systems and value sets in
    `missing`, which are not held."""

    entries: Entries
    missing: tuple[str, ...] = ()


def expand(held: Held, value_set: ValueSet, limit: int = LIMIT) -> Expansion:
    """The codes of a value set.

    UnknownSystemError and UnknownValueSetError where nothing would be left, or what is left out cannot be told;
    CyclicValueSetError, UnsupportedFilterError, TooCostlyError beyond `limit`.
    """
    work = _Work(held, limit)
    entries = work.of_set(value_set, ())
    return Expansion(entries, tuple(work.missing))


def folded(text: str) -> str:
    """Text as it is searched: without case and marks."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()


class _Work:
    """One expansion: value sets met more than once are expanded once."""

    def __init__(self, held: Held, limit: int) -> None:
        self.held, self.limit = held, limit
        self.done: dict[str, Entries] = {}
        self.missing: dict[str, None] = {}
        self.effort = 0

    def spend(self, codes: int) -> None:
        """TooCostlyError when too many have been looked at, however few are left."""
        self.effort += codes + 100
        if self.effort > EFFORT:
            raise TooCostlyError("the value set is composed of too many parts to be listed")

    def of_set(self, value_set: ValueSet, within: tuple[str, ...]) -> Entries:
        canonical = value_set.canonical
        if canonical in within:
            raise cyclic((*within, canonical))
        done = self.done.get(canonical) if canonical else None
        if done is not None:
            return done
        inner = (*within, canonical) if canonical else within
        found: dict[tuple[str, str], Entry] = {}
        failed: list[TerminologyError] = []
        for part in value_set.include:
            try:
                entries = self.of_part(part, inner)
            except (UnknownSystemError, UnknownValueSetError) as error:
                failed.append(error)
                self.missing |= dict.fromkeys([part.system] if part.system else part.value_sets)
                continue
            for key, entry in entries.items():
                found.setdefault(key, entry)
            if len(found) > self.limit:
                raise TooCostlyError(f"the value set has more than {self.limit:,} codes")
        if failed and not found:
            raise failed[0]
        for part in value_set.exclude:
            for key in self.of_part(part, inner):
                found.pop(key, None)
        if not value_set.inactive:
            found = {key: entry for key, entry in found.items() if entry.concept.is_active()}
        self.done[canonical] = found
        return found

    def of_part(self, part: Part, within: tuple[str, ...]) -> Entries:
        sets = [self._imported(canonical, within) for canonical in part.value_sets]
        self.spend(sum(map(len, sets)) + len(part.concepts or ()))
        if part.system:
            found: Entries = {(entry.system, entry.concept.code): entry for entry in self._of_system(part)}
        else:
            found, *sets = sets or [{}]
        if not sets:
            return found
        return {key: entry for key, entry in found.items() if all(key in other for other in sets)}

    def _imported(self, canonical: str, within: tuple[str, ...]) -> Entries:
        value_set = self.held.value_set(canonical)
        if value_set is None:
            raise UnknownValueSetError(f"it is made of the value set {canonical}, which is not held here")
        return self.of_set(value_set, within)

    def _of_system(self, part: Part) -> Iterator[Entry]:
        system = self.held.code_system(part.system)
        url = self.held.preferred(part.system)
        if part.concepts is not None:
            yield from self._listed(part, url, system)
            return
        if system is None or not system.is_complete:
            raise UnknownSystemError(f"it needs all of the code system {part.system}, which is not held here")
        if not part.filters and len(system.concepts) > self.limit:
            raise TooCostlyError(f"the code system {url} has more than {self.limit:,} codes")
        self.spend(len(system.concepts) * (1 + len(part.filters)))
        test = self.held.test(system, part) if part.filters else None
        for concept in system.concepts.values():
            if test is None or test(concept):
                yield Entry(url, system.version, concept)

    def _listed(self, part: Part, url: str, system: CodeSystem | None) -> Iterator[Entry]:
        version = part.version or (system.version if system is not None else "")
        for each in part.concepts or ():
            concept = system.find(each.code) if system is not None else None
            if concept is None:
                concept = Concept(each.code, each.display or each.code, "", each.designations, abstract=each.abstract)
            elif each.display or each.designations:
                names = (*each.designations, *concept.designations)
                concept = concept._replace(display=each.display or concept.display, designations=names)
            yield Entry(url, version, concept._replace(inactive=True) if each.inactive else concept)
