"""Plan: which part of a condition an index answers first, and the aggregation stages around it.

https://hl7.org/fhir/R4/search.html

Pure. The embedded engine uses an index for one predicate of the first `$match` only (an equality, an `$in`, a range, or
an equality plus a range of `h`); everything else stands in the next `$match`, which MongoDB merges with the first. A
range on an array is repeated there as `$elemMatch`: without it MongoDB would match two different elements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from fhir_server.fhir.condition import SEPARATOR, All, Condition, Ids, Keys, Prefix, Range, Updated
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.strings import folded_key
from fhir_server.store.query.match import LAST, Match, Translation, starting, successor
from fhir_server.store.records import SortKey

KEYS_AT_ONCE = 100
IDS_AT_ONCE = 500
"""`$in` costs the square of its values on the embedded engine: longer lists are asked in parts."""
BRANCHES = 32
"""An alternative (OR) of at most this many indexed parts is asked part by part."""
WALKED = 4
"""Keys of a list, each of which is walked by itself: whom an organization may see has one of three."""
SHORT = 3
"""A string of fewer characters is not expected to select much."""

COUNTED: Match = {"$group": {"_id": None, "n": {"$sum": 1}}}
"""Counts what comes in: on the embedded engine three times as fast as `$count`."""

Shape = Literal["ids", "equality", "list", "range"]
_INDEXED = frozenset({"tk", "pt", "org"})
_DAYS_APART = timedelta(days=2)
"""A calendar day as written and the same instant in UTC lie less than this apart (zones reach +14:00)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to begin: documents matching any of `firsts` are all that can satisfy the condition.

    `rank` orders by promise, least first; `sure` says that few documents are to be expected without counting.
    `bounds` is a range on an array that the condition's own match does not repeat as `$elemMatch`.
    """

    shape: Shape
    firsts: tuple[Match, ...]
    rank: int
    sure: bool
    bounds: Match | None = None
    exact: Condition | None = None
    """The part of the condition that needs no second look: whatever is found so satisfies it."""
    halves: "tuple[Candidate, Candidate] | None" = None
    """Of the beginning of a string: what is exactly that, which can be walked in windows of `h`, and what is longer."""

    @property
    def walked(self) -> tuple[Match, ...]:
        """What can be walked in windows of `h`: the equality, or those of a short list; nothing of other shapes."""
        if self.shape == "equality":
            return self.firsts
        if self.shape != "list" or len(self.firsts) != 1:
            return ()
        ((field, value),) = self.firsts[0].items()
        listed = value["$in"] if field in _INDEXED and isinstance(value, dict) else ()
        return tuple({field: each} for each in listed) if len(listed) <= WALKED else ()


def conjuncts(condition: Condition) -> list[Condition]:
    """The conditions that must all hold, nested ones laid flat."""
    if isinstance(condition, All):
        return [part for inner in condition.inner for part in conjuncts(inner)]
    if isinstance(condition, AnyOf) and len(condition.inner) == 1:
        return conjuncts(condition.inner[0])
    return [condition]


def is_plain(condition: Condition) -> bool:
    """Whether an index alone finds what satisfies the condition. Of a range on an array MongoDB finds a little more:
    where two elements together fit."""
    match conjuncts(condition):
        case [Keys(field, _)]:
            return field not in ("lb", "hs", "st")
        case [Prefix(field, _)]:
            return field not in ("lb", "hs")
        case [Ids()]:
            return True
    return False


def rest(condition: Condition, chosen: Candidate | None) -> Condition:
    """What is still to be decided of what the candidate finds."""
    if chosen is None or chosen.exact is None:
        return condition
    return All(tuple(part for part in conjuncts(condition) if part != chosen.exact))


def candidates(condition: Condition) -> list[Candidate]:
    """All ways to begin, the most promising first."""
    found = (_candidate(part) for part in conjuncts(condition))
    return sorted((each for each in found if each is not None), key=lambda each: each.rank)


def _candidate(part: Condition) -> Candidate | None:
    match part:
        case Ids(ids):
            return Candidate("ids", _asked("_id", ids, IDS_AT_ONCE), 0, True, exact=part)
        case Keys(field, keys) if field in _INDEXED:
            rank, sure = _promise(field, keys)
            shape: Shape = "equality" if len(keys) == 1 else "list"
            return Candidate(shape, _asked(field, keys, KEYS_AT_ONCE), rank, sure, exact=part)
        case Keys("st", keys):
            firsts = _asked("tk", [folded_key(key) for key in keys], KEYS_AT_ONCE)
            few = Candidate("equality", firsts, 2, _is_long(keys[0]))
            return few if len(keys) == 1 else Candidate("list", firsts, 4, False)
        case Prefix("st", prefix):
            return _beginning(part, prefix)
        case Prefix("tk", prefix):
            return Candidate("range", ({"tk": starting(prefix)},), 2, _is_long(prefix))
        case Range():
            return _range(part)
        case Updated():
            return _updated(part)
        case AnyOf(inner) if len(inner) <= BRANCHES:
            return _union(inner)
    return None


def _beginning(part: Prefix, prefix: str) -> Candidate:
    """The strings that begin so. The index finds them among the tokens; `st` decides."""
    sure = _is_long(prefix)
    whole = Candidate("equality", ({"tk": prefix},), 2, sure, exact=part)
    bounds, longer = starting(prefix), {"$gt": prefix, "$lt": successor(prefix)}
    return Candidate(
        "range",
        ({"tk": bounds},),
        2,
        sure,
        {"tk": {"$elemMatch": bounds}},
        halves=(whole, Candidate("range", ({"tk": longer},), 2, sure, {"tk": {"$elemMatch": longer}})),
    )


def _is_long(key: str) -> bool:
    return len(key.partition(SEPARATOR)[2]) >= SHORT


def _promise(field: str, keys: Sequence[str]) -> tuple[int, bool]:
    """Identifiers and patients are few documents each; of anything else it must be counted."""
    if len(keys) > 1:
        return 4, False
    if field == "pt":
        return 1, True
    parameter, _, value = keys[0].partition(SEPARATOR)
    if parameter.startswith("identifier") or value.startswith("Patient/"):
        return 1, True
    return (6, False) if field == "org" else (3, False)


def _asked(field: str, values: Sequence[str], at_once: int) -> tuple[Match, ...]:
    if len(values) == 1:
        return ({field: values[0]},)
    unique = list(dict.fromkeys(values))
    parts = [unique[start : start + at_once] for start in range(0, len(unique), at_once)]
    return tuple({field: {"$in": part}} for part in parts) or ({field: {"$in": []}},)


def _range(condition: Range) -> Candidate | None:
    a, b = condition.lo, condition.hi
    if condition.axis == "day":
        a, b = _shifted(a, -_DAYS_APART), _shifted(b, _DAYS_APART)
    low, high = f"{condition.label}{SEPARATOR}a", f"{condition.label}{SEPARATOR}z"
    from_low = a if condition.axis == "day" else b
    to_high = b if condition.axis == "day" else a
    before, behind = {"$gte": low, "$lt": low + b}, {"$gt": high + a, "$lt": successor(high)}
    bounds = {
        "eq": {"$gte": low + a, "$lt": low + b},
        "gt": behind,
        "ge": behind,
        "lt": before,
        "le": before,
        "sa": {"$gte": low + from_low, "$lt": successor(low)},
        "eb": {"$gte": high, "$lte": high + to_high},
        "ap": before,
    }.get(condition.test)
    if bounds is None:
        return None
    return Candidate("range", ({"rk": bounds},), 5, condition.test == "eq", {"rk": {"$elemMatch": bounds}})


def _shifted(bound: str, by: timedelta) -> str:
    """A calendar bound moved by `by`; at either end of time it stays where it is."""
    try:
        return (datetime.fromisoformat(bound) + by).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return bound


def _updated(condition: Updated) -> Candidate | None:
    bounds = Translation().match(condition)
    return Candidate("range", (bounds,), 5, False) if "lu" in bounds else None


def _union(inner: Iterable[Condition]) -> Candidate | None:
    firsts: list[Match] = []
    rank, sure = 0, True
    for branch in inner:
        best = next(iter(candidates(branch)), None)
        if best is None:
            return None
        firsts += best.firsts
        rank, sure = max(rank, best.rank), sure and best.sure
    return Candidate("list", tuple(firsts), rank, sure) if firsts else None


def remainder(condition: Condition, chosen: Candidate | None = None) -> list[Match]:
    """The stages behind the first `$match`: the whole condition, substring tests last."""
    translation = Translation()
    plain: list[Match] = [chosen.bounds] if chosen is not None and chosen.bounds is not None else []
    computed: list[Match] = []
    for part in conjuncts(condition):
        before = len(translation.computed)
        match = translation.match(part)
        if match:
            (plain if len(translation.computed) == before else computed).append(match)
    stages: list[Match] = []
    if plain:
        stages.append({"$match": plain[0] if len(plain) == 1 else {"$and": plain}})
    if computed:
        stages += [{"$addFields": translation.computed}, {"$match": {"$and": computed}}]
    return stages


@dataclass(frozen=True, slots=True)
class Order:
    """The fields rows are ordered by, each with its direction; the last is `_id`, so a position is one row's."""

    fields: tuple[tuple[str, int], ...]
    computed: Match
    parameters: tuple[tuple[str, str], ...] = ()
    """The computed fields, each with the parameter whose lowest or highest value it is."""

    def stages(self, after: Sequence[str | int] | None, limit: int, keep: Match) -> list[Match]:
        """Sort, start behind the position `after`, stop at `limit`, keep the fields `keep` and those of the order."""
        stages: list[Match] = [{"$addFields": self.computed}] if self.computed else []
        if after is not None:
            stages.append({"$match": self.behind(after)})
        stages += [{"$sort": dict(self.fields)}, {"$limit": limit}]
        return [*stages, {"$project": {**keep, **{field: 1 for field, _ in self.fields if field != "_id"}}}]

    def behind(self, after: Sequence[str | int]) -> Match:
        """Rows that come after the position: equal in the first fields and behind in the next."""
        alternatives: list[Match] = []
        equal: Match = {}
        for (field, direction), value in zip(self.fields, after, strict=True):
            alternatives.append({**equal, field: {"$gt" if direction > 0 else "$lt": value}})
            equal = {**equal, field: value}
        return {"$or": alternatives}

    def places(self, after: Sequence[str | int] | None, limit: int) -> list[Match]:
        """Like `stages`, but gives only ids and the fields of the order: grouping does not copy whole documents, so
        on the embedded engine a sort then costs 8 microseconds a document instead of 25."""
        kept = {field: {"$first": self.computed.get(field, f"${field}")} for field, _ in self.fields if field != "_id"}
        stages: list[Match] = [{"$group": {"_id": "$_id", **kept}}]
        if after is not None:
            stages.append({"$match": self.behind(after)})
        return [*stages, {"$sort": dict(self.fields)}, {"$limit": limit}]

    def sources(self) -> Match:
        """The projection of what `placed` needs."""
        plain = {field: 1 for field, _ in self.fields if field not in self.computed and field != "_id"}
        return {**plain, **{f"so.{parameter}": 1 for _, parameter in self.parameters}}

    def placed(self, document: Match) -> Match:
        """The document with the computed fields, which a find cannot give."""
        if not self.parameters:
            return document
        directions, spans = dict(self.fields), document.get("so", {})
        found = dict(document)
        for field, parameter in self.parameters:
            span = spans.get(parameter, {})
            found[field] = span.get("z", span.get("a", "")) if directions[field] < 0 else span.get("a", LAST)
        return found

    def is_behind(self, document: Match, after: Sequence[str | int]) -> bool:
        """What `behind` says, of one placed document."""
        for (field, direction), value in zip(self.fields, after, strict=True):
            if document[field] != value:
                return bool((document[field] > value) == (direction > 0))
        return False

    def sorted(self, documents: Iterable[Match]) -> list[Match]:
        """What the database would have made of several results put together."""
        rows = list(documents)
        for field, direction in reversed(self.fields):
            rows.sort(key=lambda document: document[field], reverse=direction < 0)
        return rows

    def position(self, document: Match) -> tuple[str | int, ...]:
        """The position of a row: plain text and integers (the driver's 64-bit integers are a class of its own)."""
        values = (document[field] for field, _ in self.fields)
        return tuple(int(value) if isinstance(value, int) else value for value in values)


NATURAL = Order((("h", 1), ("_id", 1)), {})
"""The order of a search without `_sort`: the same for every plan, so a page may be found another way than the last."""


def order(sort: Sequence[SortKey]) -> Order:
    """The order a search asks for. A resource without a value comes last in both directions."""
    if not sort:
        return NATURAL
    fields: list[tuple[str, int]] = []
    computed: Match = {}
    parameters: list[tuple[str, str]] = []
    for number, key in enumerate(sort):
        direction = -1 if key.descending else 1
        if key.parameter in ("_id", "_lastUpdated"):
            fields.append(("_id" if key.parameter == "_id" else "lu", direction))
            continue
        path = f"$so.{key.parameter}"
        # The highest value is stored only where it is not the lowest.
        value = {"$ifNull": [f"{path}.z", {"$ifNull": [f"{path}.a", ""]}]} if key.descending else None
        computed[f"s{number}"] = value or {"$ifNull": [f"{path}.a", LAST]}
        parameters.append((f"s{number}", key.parameter))
        fields.append((f"s{number}", direction))
    if not any(field == "_id" for field, _ in fields):
        fields.append(("_id", 1))
    return Order(tuple(dict.fromkeys(fields)), computed, tuple(parameters))
