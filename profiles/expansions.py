"""Expansions: which codes a value set of a package has, as far as the package itself can tell.

https://hl7.org/fhir/R4/valueset.html#expansion

    expansion = {"codes": {system: [code, ...]}, "unknown"?: [system, ...], "open"?: true}

`unknown` are systems some of whose codes are in the set, but which ones is not known here; `open`: of any system.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Expansion = dict[str, Any]
Find = Callable[[str], Mapping[str, Any] | None]
"""A canonical, without version -> the ValueSet or CodeSystem, or None."""

LARGEST = 50_000
"""Codes of one value set; a larger one is a terminology server's to know."""


class ExpansionError(ValueError):
    """A value set that cannot be used; the message is a sentence naming it."""


def expand(url: str, find: Find) -> Expansion | None:
    """The expansion of a value set; None where it is not at hand. ExpansionError if it includes itself."""
    return _expand(url.partition("|")[0], find, ())


def holds(expansion: Expansion, system: str | None, code: str) -> bool | None:
    """Whether the code (of any system, where none is named) is in the set; None if that cannot be told."""
    if system is None:
        if any(code in codes for codes in expansion["codes"].values()):
            return True
        return None if expansion.get("open") or expansion.get("unknown") else False
    if code in expansion["codes"].get(system, ()):
        return True
    return None if expansion.get("open") or system in expansion.get("unknown", ()) else False


def _expand(url: str, find: Find, within: tuple[str, ...]) -> Expansion | None:
    if url in within:
        raise ExpansionError(f"The value set {url} includes itself: {' > '.join((*within, url))}.")
    value_set = find(url)
    if value_set is None or value_set.get("resourceType") != "ValueSet":
        return None
    made: Expansion = {"codes": {}}
    compose = value_set.get("compose")
    if compose is None:
        return _listed(value_set)
    for part in compose.get("include", ()):
        _merge(made, _part(part, find, (*within, url)))
    for part in compose.get("exclude", ()):
        _without(made, _part(part, find, (*within, url)))
    if sum(len(codes) for codes in made["codes"].values()) > LARGEST:
        raise ExpansionError(f"The value set {url} has more than {LARGEST} codes.")
    return made


def _listed(value_set: Mapping[str, Any]) -> Expansion | None:
    """The expansion a value set brings along, where it has no definition."""
    contains = value_set.get("expansion", {}).get("contains")
    if not contains:
        return None
    made: Expansion = {"codes": {}}
    for entry in _walk(contains, "contains"):
        if not entry.get("abstract") and "code" in entry:
            made["codes"].setdefault(entry.get("system", ""), []).append(entry["code"])
    return made


def _part(part: Mapping[str, Any], find: Find, within: tuple[str, ...]) -> Expansion:
    """What one include or exclude names: what its system and all value sets it names have in common."""
    sets: list[Expansion] = []
    if "system" in part:
        sets.append(_system(part, find))
    for nested in part.get("valueSet", ()):
        sets.append(_expand(nested.partition("|")[0], find, within) or {"codes": {}, "open": True})
    if not sets:
        return {"codes": {}}
    first, *others = sets
    for other in others:
        first = _common(first, other)
    return first


def _system(part: Mapping[str, Any], find: Find) -> Expansion:
    system = part["system"]
    if part.get("concept"):
        return {"codes": {system: [c["code"] for c in part["concept"] if "code" in c]}}
    code_system = find(system)
    if code_system is None or code_system.get("content") != "complete":
        return {"codes": {}, "unknown": [system]}
    concepts = code_system.get("concept", [])
    for each in part.get("filter", ()):
        if each.get("op") in ("is-a", "descendent-of") and each.get("property") == "concept":
            below = list(_below(concepts, each.get("value"), itself=each["op"] == "is-a"))
            if below or _names_parents(code_system):
                return _parented(code_system, below, each)
            return {"codes": {system: below}}
        return {"codes": {}, "unknown": [system]}
    return {"codes": {system: [c["code"] for c in _walk(concepts, "concept") if "code" in c]}}


def _names_parents(code_system: Mapping[str, Any]) -> bool:
    return any(p.get("code") in ("subsumedBy", "parent") for p in code_system.get("property", ()))


def _parented(code_system: Mapping[str, Any], below: list[str], wanted: Mapping[str, Any]) -> Expansion:
    """The codes below one, where concepts name their parents as properties (as in v3 code systems)."""
    known = set(below) | {wanted.get("value")}
    concepts = list(_walk(code_system.get("concept", []), "concept"))
    grown = True
    while grown:
        found = {
            c["code"]
            for c in concepts
            for p in c.get("property", ())
            if p.get("code") in ("subsumedBy", "parent") and p.get("valueCode") in known
        }
        grown = not found <= known
        known |= found
    if wanted["op"] != "is-a":
        known.discard(wanted.get("value"))
    return {"codes": {code_system["url"]: sorted(code for code in known if code)}}


def _below(concepts: list[Any], code: Any, *, itself: bool) -> Iterator[str]:
    for concept in concepts:
        if concept.get("code") == code:
            if itself:
                yield concept["code"]
            yield from (c["code"] for c in _walk(concept.get("concept", []), "concept"))
        else:
            yield from _below(concept.get("concept", []), code, itself=itself)


def _walk(entries: list[Any], member: str) -> Iterator[Mapping[str, Any]]:
    waiting = list(reversed(entries))
    while waiting:
        entry = waiting.pop()
        yield entry
        waiting += reversed(entry.get(member, []))


def _merge(into: Expansion, other: Expansion) -> None:
    for system, codes in other["codes"].items():
        present = into["codes"].setdefault(system, [])
        known = set(present)
        present += [code for code in codes if code not in known]
    unknown = {*into.get("unknown", ()), *other.get("unknown", ())}
    if unknown:
        into["unknown"] = sorted(unknown)
    if other.get("open"):
        into["open"] = True


def _without(into: Expansion, other: Expansion) -> None:
    for system, codes in other["codes"].items():
        excluded = set(codes)
        into["codes"][system] = [code for code in into["codes"].get(system, ()) if code not in excluded]
    # An exclusion that cannot be told leaves its systems' codes in doubt, not in the set.
    doubted = set(into["codes"]) if other.get("open") else set(other.get("unknown", ())) & set(into["codes"])
    for system in doubted:
        del into["codes"][system]
    if doubted:
        into["unknown"] = sorted({*into.get("unknown", ()), *doubted})


def _common(one: Expansion, other: Expansion) -> Expansion:
    made: Expansion = {"codes": {}}
    unknown = set()
    for system in {*one["codes"], *other["codes"], *one.get("unknown", ()), *other.get("unknown", ())}:
        mine, theirs = one["codes"].get(system), other["codes"].get(system)
        doubted = [e for e in (one, other) if e.get("open") or system in e.get("unknown", ())]
        if mine is not None and theirs is not None:
            made["codes"][system] = [code for code in mine if code in set(theirs)]
        if doubted and (mine is not None or theirs is not None or len(doubted) == 2):
            unknown.add(system)
    if unknown:
        made["unknown"] = sorted(unknown)
    if one.get("open") and other.get("open"):
        made["open"] = True
    return made
