"""Condition: what index entries must satisfy; the one language of search, access and preconditions.

https://hl7.org/fhir/R4/search.html

A query string becomes a Condition (query.py), an access policy is a Condition (caller.py); the store translates it to
MongoDB (store/query/plan.py) and index.py evaluates it in memory. A property test holds the two meanings together.
"""

from dataclasses import dataclass
from typing import Literal

KeyField = Literal["tk", "st", "hs", "pt", "org", "lb"]
Test = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
Axis = Literal["exact", "day"]

SEPARATOR = "␟"
"""Joins a parameter's name and its key: `family␟smith`. U+241F in a value is escaped by the one function that makes
keys, so no value can pose as another parameter's."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The array `field` holds at least one of `keys` (exact, whole strings)."""

    field: KeyField
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """The array `field` holds a string that starts with `prefix` (which includes the parameter's name)."""

    field: KeyField
    prefix: str


@dataclass(frozen=True, slots=True)
class Contains:
    """The array `field` holds a string that starts with `prefix` and has `text` somewhere after it."""

    field: KeyField
    prefix: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """At least one range [lo, hi) with label `label` compares with the searched range [lo, hi) as `test` says.

    Labels are parameter names, for quantities and composites joined with their unit or token. Bounds are sortable
    text on both sides: ISO instants in UTC with microseconds for dates, ordered keys for numbers.
    Axis "exact" compares an entry's lo and hi; axis "day" its a and z, the calendar days as written.
    eq lo>=a & hi<=b; ne not eq; gt hi>b; lt lo<a; ge gt or lo>=a; le lt or hi<=b; sa lo>=b; eb hi<=a; ap lo<b & hi>a.
    """

    label: str
    test: Test
    lo: str
    hi: str
    axis: Axis = "exact"


@dataclass(frozen=True, slots=True)
class Ids:
    """The resource's id is one of these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """`meta.lastUpdated`, microseconds since 1970 in UTC, compares with [lo, hi) as `test` says (a point: lo, lo+1)."""

    test: Test
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class Not:
    """The inner condition does not hold (a resource without the element satisfies it)."""

    inner: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Every inner condition holds; `All(())` is everything."""

    inner: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one inner condition holds; `Any(())` is nothing."""

    inner: tuple["Condition", ...]


Condition = Keys | Prefix | Contains | Range | Ids | Updated | Not | All | Any

EVERYTHING = All(())
NOTHING = Any(())


def patients_sought(condition: Condition, resource_type: str) -> set[str]:
    """The patients (`Patient/1`) whom a search of this type names, by their ids or in a reference, whatever it finds; a
    reference that leaves the type open may mean one."""
    match condition:
        case All(inner) | Any(inner):
            return {each for part in inner for each in patients_sought(part, resource_type)}
        case Ids(ids) if resource_type == "Patient":
            return {f"Patient/{id}" for id in ids}
        case Keys("tk", keys):
            values = (key.partition(SEPARATOR)[2] for key in keys)
            return {f"Patient/{each.partition('/')[2]}" for each in values if each.startswith(("Patient/", "*/"))}
    return set()
