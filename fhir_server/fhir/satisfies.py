"""Satisfies: the meaning of a condition, evaluated in memory on index entries.

https://hl7.org/fhir/R4/search.html

The store gives conditions the same meaning in MongoDB's language; a property test holds the two together.
"""

from typing import TypeVar

from fhir_server.fhir.condition import (
    All,
    Any,
    Condition,
    Contains,
    Ids,
    Keys,
    Not,
    Prefix,
    Range,
    Test,
    Updated,
)
from fhir_server.fhir.entries import Entries

Bound = TypeVar("Bound", int, str)


def satisfies(entries: Entries, id: str, updated: int, condition: Condition) -> bool:
    """Whether a resource with this id, last updated at `updated` (microseconds since 1970), satisfies `condition`."""
    match condition:
        case Keys(field, keys):
            held: list[str] = getattr(entries, field)
            return any(key in held for key in keys)
        case Prefix(field, prefix):
            return any(text.startswith(prefix) for text in getattr(entries, field))
        case Contains(field, prefix, text):
            return any(t.startswith(prefix) and text in t[len(prefix) :] for t in getattr(entries, field))
        case Range():
            return _in_range(entries, condition)
        case Ids(ids):
            return id in ids
        case Updated(test, lo, hi):
            return compares(test, updated, updated + 1, lo, hi)
        case Not(inner):
            return not satisfies(entries, id, updated, inner)
        case All(parts):
            return all(satisfies(entries, id, updated, part) for part in parts)
        case Any(parts):
            return any(satisfies(entries, id, updated, part) for part in parts)


def _in_range(entries: Entries, condition: Range) -> bool:
    for span in entries.d:
        if span["p"] != condition.label:
            continue
        lo, hi = span["lo"], span["hi"]
        if condition.axis == "day":
            # numbers have no days, and no condition asks for them
            lo, hi = span.get("a", lo), span.get("z", hi)
        if compares(condition.test, lo, hi, condition.lo, condition.hi):
            return True
    return False


def compares(test: Test, lo: Bound, hi: Bound, a: Bound, b: Bound) -> bool:
    """How the range [lo, hi) of a resource compares with the searched range [a, b)."""
    match test:
        case "eq":
            return lo >= a and hi <= b
        case "ne":
            return lo < a or hi > b
        case "gt":
            return hi > b
        case "lt":
            return lo < a
        case "ge":
            return hi > b or lo >= a
        case "le":
            return lo < a or hi <= b
        case "sa":
            return lo >= b
        case "eb":
            return hi <= a
        case "ap":
            return lo < b and hi > a
