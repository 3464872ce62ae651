"""Several: resources of several types at once, page by page.

https://hl7.org/fhir/R4/search.html#searching

The types follow one another, each in its own keyset order, or are sorted together; a position is the type and the
position in it. So pages stay stable as they do within a type.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.caller import Caller, Predicate, concern, reaches
from fhir_server.context import Context
from fhir_server.fhir import json, rewrite
from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import Issue, refuse
from fhir_server.fhir.references import local
from fhir_server.fhir.results import Include, Total
from fhir_server.fhir.subset import Subset
from fhir_server.interactions import answers, includes, paging
from fhir_server.interactions.paging import Position
from fhir_server.interactions.reply import Reply, narrowed
from fhir_server.store.records import Selection, SortKey, Stored

SORTED = 20
"""So many types are sorted together at most: each page is a search of every one of them."""
_AT_ONCE = 500
"""Referenced resources read at a time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Resources of several types: for each of `types`, in order, those that satisfy `where(type)`.

    `path` is the address for links, `understood` its parameters, `shape` those that only shape the answer. `limit`:
    rows on a page; 0 asks how many there are. With `beyond` the resources of these types that rows refer to come along
    as includes; rows of types not in `shown` are only looked at for that. `sort`: by type the keys by which all are
    sorted together; the types follow one another where there are none.
    """

    path: str
    types: tuple[str, ...]
    where: Callable[[str], Condition]
    limit: int
    understood: tuple[tuple[str, str], ...] = ()
    beyond: frozenset[str] = field(default_factory=frozenset)
    subset: Subset | None = None
    shown: frozenset[str] | None = None
    includes: tuple[Include, ...] = ()
    total: Total | None = None
    ignored: tuple[Issue, ...] = ()
    shape: tuple[tuple[str, str], ...] = ()
    sort: Mapping[str, tuple[SortKey, ...]] = field(default_factory=dict)

    @property
    def bound(self) -> list[tuple[str, str]]:
        """What a page token is good for."""
        return [("", self.path), *self.understood]

    def link(self, *more: tuple[str, str]) -> str:
        """The address of this question, with these parameters besides."""
        return paging.address(self.path, [*self.understood, *self.shape, *more])


def chosen(predicate: Predicate, types: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the types that `_type` names (each value a list with commas); where it is absent, all that the caller
    may search at all.

    FhirError 400 for a name that is none of them.
    """
    names = [name for value in wanted for name in value.split(",")]
    for name in names:
        if name not in types:
            text = f"_type names '{name}', which is no resource type that can be asked for here."
            raise refuse(400, "value", "invalid-value", text, "_type")
    if wanted:
        return tuple(each for each in types if each in names)
    return tuple(each for each in types if reaches(predicate, "s", each))


async def page(context: Context, caller: Caller, predicate: Predicate, asked: Asked, token: str | None) -> Reply:
    """200 with the page that the token stands for, the first one without."""
    position = paging.redeem(context, caller, asked.bound, token) if token is not None else None
    base, links = context.settings.base, {"self": asked.link()}
    if asked.limit == 0:
        total = await _counted(context, caller, predicate, asked)
        return Reply(200, answers.searchset(base, (), (), asked.ignored, links, total))
    gathered = _sorted if asked.sort else _rows
    rows, following = await gathered(context, caller, predicate, asked, position)
    if following is not None:
        links["next"] = asked.link((paging.PARAMETER, paging.issue(context, caller, asked.bound, following)))
    seen = [row for row in rows if asked.shown is None or row.type in asked.shown]
    included = await _referenced(context, caller, predicate, rows, asked.beyond) if asked.beyond else []
    included += await includes.follow(context, caller, predicate, asked.includes, rows)
    for row in (*seen, *included):
        concern(predicate, row.patients)
    exact = len(seen) if position is None and following is None else None
    if asked.total == "accurate" and exact is None:
        exact = await _counted(context, caller, predicate, asked)
    matches, others = ([narrowed(row, asked.subset) for row in each] for each in (seen, included))
    return Reply(200, answers.searchset(base, matches, others, asked.ignored, links, exact))


async def _counted(context: Context, caller: Caller, predicate: Predicate, asked: Asked) -> int:
    return sum([await context.store.count(caller, predicate, each, asked.where(each)) for each in asked.types])


async def _rows(
    context: Context, caller: Caller, predicate: Predicate, asked: Asked, position: Position | None
) -> tuple[list[Stored], Position | None]:
    """The rows from the position on, and where the next page begins."""
    rows: list[Stored] = []
    first = asked.types.index(str(position[0])) if position is not None else 0
    after = position[1:] if position is not None else ()
    for each in asked.types[first:]:
        room = asked.limit - len(rows)
        # On a full page one row of a later type is enough to know that there is another page.
        selection = Selection(each, asked.where(each), limit=max(room, 1), after=after or None)
        found = await context.store.search(caller, predicate, selection)
        if room == 0 and found.rows:
            return rows, (each,)
        rows += found.rows
        if found.next is not None:
            return rows, (each, *found.next)
        after = ()
    return rows, None


async def _sorted(
    context: Context, caller: Caller, predicate: Predicate, asked: Asked, position: Position | None
) -> tuple[list[Stored], Position | None]:
    """The same of all types sorted together; rows equal in everything, even the id, follow the order of the types."""
    last = asked.types.index(str(position[0])) if position is not None else 0
    keys = asked.sort[asked.types[0]]
    found: list[tuple[Position, Stored]] = []
    more = False
    for number, each in enumerate(asked.types):
        after = None
        if position is not None:
            after = position[1:] if number <= last else _just_before(keys, position[1:])
        selection = Selection(each, asked.where(each), asked.sort[each], asked.limit, after)
        part = await context.store.search(caller, predicate, selection)
        found += zip(part.positions, part.rows, strict=True)
        more = more or part.next is not None
    for place in reversed(range(len(found[0][0]) if found else 0)):
        descending = place < len(keys) and keys[place].descending
        found.sort(key=_value_at(place), reverse=descending)
    shown = found[: asked.limit]
    if not more and len(found) == len(shown):
        return [row for _, row in shown], None
    reached, final = shown[-1]
    return [row for _, row in shown], (final.type, *reached)


def _value_at(place: int) -> Callable[[tuple[Position, Stored]], Any]:
    return lambda row: row[0][place]


def _just_before(keys: Sequence[SortKey], position: Position) -> Position:
    """The position with no place for a row between it and this one: another type may have a row at this very one."""
    names = [key.parameter for key in keys]
    number = names.index("_id") if "_id" in names else len(names)
    id = str(position[number])
    # Ids are made of letters, digits, hyphens and dots: a space sorts before them all, a tilde after.
    descending = number < len(keys) and keys[number].descending
    before = f"{id} " if descending else f"{id[:-1]}{chr(ord(id[-1]) - 1)}~"
    return (*position[:number], before, *position[number + 1 :])


async def _referenced(
    context: Context, caller: Caller, predicate: Predicate, rows: Sequence[Stored], types: frozenset[str]
) -> list[Stored]:
    """The resources of these types that the rows refer to, by reference or by URL."""
    wanted = sorted({target for row in rows for target in _targets(context, row) if target[0] in types})
    found: list[Stored] = []
    for start in range(0, len(wanted), _AT_ONCE):
        found += await context.store.read_many(caller, predicate, wanted[start : start + _AT_ONCE])
    return found


def _targets(context: Context, row: Stored) -> Iterator[tuple[str, str]]:
    for _, kind, text in rewrite.links(json.parse(row.raw or b"{}")):
        target = local(text, context.settings.base) if kind != "oid" else None
        if target is not None:
            yield target.type, target.id
