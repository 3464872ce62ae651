"""Match: a Condition as a MongoDB match document, without regard to speed (plan.py puts the fast part first).

https://hl7.org/fhir/R4/search.html

User text only ever becomes a value that is compared, never an operator, expression or regular expression.
"""

from typing import Any

from fhir_server.fhir.condition import All, Condition, Contains, Ids, Keys, Not, Prefix, Range, Updated
from fhir_server.fhir.condition import Any as AnyOf

Match = dict[str, Any]

NOWHERE: Match = {"_id": {"$in": []}}
LAST = chr(0x10FFFF)
"""Sorts behind every key."""


def successor(prefix: str) -> str:
    """The least string greater than every string that starts with `prefix`: its last code point plus one."""
    head, last = prefix[:-1], ord(prefix[-1])
    if last == 0x10FFFF:
        return successor(head)
    # Half surrogates are no characters: MongoDB could not store the bound.
    return head + chr(0xE000 if last == 0xD7FF else last + 1)


def starting(prefix: str) -> Match:
    """The range of strings that start with `prefix`."""
    return {"$gte": prefix, "$lt": successor(prefix)}


class Translation:
    """Translates conditions and collects the literal substring tests they need as computed fields.

    `computed` maps field names `c0`, `c1`, ... to the expressions whose truth the match documents refer to; they must
    be added (`$addFields`) before any of the match documents is applied.
    """

    def __init__(self) -> None:
        self.computed: dict[str, Match] = {}

    def match(self, condition: Condition) -> Match:
        """The match document of `condition`; `{}` matches everything."""
        match condition:
            case Keys(field, keys):
                return {field: keys[0]} if len(keys) == 1 else {field: {"$in": list(keys)}}
            case Prefix(field, prefix):
                return {field: {"$elemMatch": starting(prefix)}}
            case Contains(field, prefix, text):
                name = f"c{len(self.computed)}"
                self.computed[name] = _holds(field, prefix, text)
                return {name: True}
            case Range():
                return _range(condition)
            case Ids(ids):
                return {"_id": ids[0]} if len(ids) == 1 else {"_id": {"$in": list(ids)}}
            case Updated():
                return _updated(condition)
            case Not(inner):
                return {"$nor": [self.match(inner)]}
            case All(inner):
                parts = [part for part in map(self.match, inner) if part]
                return _joined("$and", parts) if parts else {}
            case AnyOf(inner):
                return _joined("$or", [self.match(part) for part in inner]) if inner else NOWHERE


def _joined(operator: str, parts: list[Match]) -> Match:
    return parts[0] if len(parts) == 1 else {operator: parts}


def _holds(field: str, prefix: str, text: str) -> Match:
    """True where an element starts with `prefix` and has `text`, taken literally, behind it."""
    return {
        "$anyElementTrue": [
            {
                "$map": {
                    "input": f"${field}",
                    "as": "key",
                    "in": {
                        "$and": [
                            {"$eq": [{"$indexOfCP": ["$$key", {"$literal": prefix}]}, 0]},
                            {"$gte": [{"$indexOfCP": ["$$key", {"$literal": text}, len(prefix)]}, 0]},
                        ]
                    },
                }
            }
        ]
    }


def _range(condition: Range) -> Match:
    """At least one range compares: an $elemMatch per alternative, because the bounds belong to one element."""
    low, high = ("lo", "hi") if condition.axis == "exact" else ("a", "z")
    a, b = condition.lo, condition.hi
    alternatives: dict[str, list[Match]] = {
        "eq": [{low: {"$gte": a}, high: {"$lte": b}}],
        "ne": [{low: {"$lt": a}}, {high: {"$gt": b}}],
        "gt": [{high: {"$gt": b}}],
        "lt": [{low: {"$lt": a}}],
        "ge": [{high: {"$gt": b}}, {low: {"$gte": a}}],
        "le": [{low: {"$lt": a}}, {high: {"$lte": b}}],
        "sa": [{low: {"$gte": b}}],
        "eb": [{high: {"$lte": a}}],
        "ap": [{low: {"$lt": b}, high: {"$gt": a}}],
    }
    parts = [{"d": {"$elemMatch": {"p": condition.label, **bounds}}} for bounds in alternatives[condition.test]]
    return _joined("$or", parts)


def _updated(condition: Updated) -> Match:
    """`lu` is the point [lu, lu + 1)."""
    a, b = condition.lo, condition.hi
    bounds: dict[str, Match] = {
        "eq": {"lu": {"$gte": a, "$lt": b}},
        "ne": {"$or": [{"lu": {"$lt": a}}, {"lu": {"$gte": b}}]},
        "gt": {"lu": {"$gte": b}},
        "lt": {"lu": {"$lt": a}},
        "ge": {"lu": {"$gte": a}},
        "le": {"lu": {"$lt": b}},
        "sa": {"lu": {"$gte": b}},
        "eb": {"lu": {"$lt": a}},
        "ap": {"lu": {"$gte": a, "$lt": b}},
    }
    return bounds[condition.test]
