"""Log: finds events of the access log on their sheets: by id, or from a condition, newest or oldest first.

https://hl7.org/fhir/R4/auditevent.html#search

The index gives sheets, by one key or a window of time; then every event on them is decided on by its own entries, with
the access predicate that is part of the condition. So nothing of a sheet shows but the events that satisfy it: rows,
counts and positions are made of those alone.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from fhir_server.fhir.condition import EVERYTHING, All, Condition, Ids, Keys, Not, Range, Updated
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.satisfies import satisfies
from fhir_server.store.access_log.kinds import KIND
from fhir_server.store.access_log.notes import common, entries, has, is_common, raw, sought
from fhir_server.store.access_log.seals import Seals
from fhir_server.store.access_log.sheets import EVERY, SLOT, Event, events, sheet_of, window
from fhir_server.store.database import Database
from fhir_server.store.documents import hash_of
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import IDS_AT_ONCE, KEYS_AT_ONCE, Order, conjuncts, order
from fhir_server.store.query.ways import too_costly
from fhir_server.store.records import SortKey
from fhir_server.store.schema import LOG, SHEETS

NEWEST = order((SortKey("_lastUpdated", descending=True),))
"""The order of events where none is asked for."""
LOOKED_AT = 100_000
"""Events that one search may decide on; each costs about 10 microseconds."""
AT_ONCE = 200
"""Sheets read at a time, at most, unless they are of one slot."""
_FAR = 16**14
_SECOND = 1_000_000
_FEW = 10
"""Users who may be asked for one by one; their keys lie between `*` and `+`."""
_FIRST, _WIDER = 6 * SLOT, 4
"""The first window of a walk through all sheets, and by how much the next is wider while they hold too little."""
_FIRST_OF_KEY, _WIDER_OF_KEY = 60 * SLOT, 8
_DAYS_APART = 2 * 86_400 * _SECOND
"""A calendar day as written and the same instant in UTC lie less than this apart."""

Found = tuple[Event, Entries]
Window = tuple[int, int]


async def documents(
    database: Database, where: Condition, asked: Order, after: tuple[str | int, ...] | None, wanted: int
) -> list[Document]:
    """Up to so many events that satisfy `where`, in order, behind the position `after`; as the general search gives
    them. FhirError 400 `too-costly` where too many would be looked at."""
    first, direction = asked.fields[0]
    by_time = first == "lu" or dict(asked.parameters).get(first) == "date"
    span = _span(where)
    if by_time and after is not None:
        edge = _instant(after[0])
        if edge is None:
            # Behind what has no date; events have one.
            return []
        span = (max(span[0], edge), span[1]) if direction > 0 else (span[0], min(span[1], edge + 1))
    rows: list[Document] = []
    async for found in _windows(database, where, span, direction < 0 or not by_time):
        placed = [asked.placed(_row(*each)) for each in found]
        rows += placed if after is None else [each for each in placed if asked.is_behind(each, after)]
        if by_time and len(rows) >= wanted:
            break
    page = asked.sorted(rows)[:wanted]
    return [{**row, "raw": raw(row["note"], row["_id"])} for row in page]


async def by_ids(database: Database, ids: Iterable[str], visible: Condition) -> list[Document]:
    """The events with these ids that satisfy `visible`, in no order."""
    found = await _matching(database, All((Ids(tuple(ids)), visible)))
    return [{**_row(event, known), "raw": raw(event.note, event.id)} for event, known in found]


async def count(database: Database, where: Condition) -> int:
    """How many events satisfy it, exactly."""
    if where == EVERYTHING or conjuncts(where) == []:
        total = await database.rows(SHEETS, [{"$match": {}}, {"$group": {"_id": None, "n": {"$sum": "$n"}}}])
        return int(total[0]["n"]) if total else 0
    return len(await _matching(database, where))


async def ids(database: Database, where: Condition) -> list[str]:
    """The ids of all events that satisfy it."""
    return [event.id for event, _ in await _matching(database, where)]


async def tokens(database: Database, where: Condition, prefix: str) -> set[str]:
    """The token keys that start with `prefix`, of all events that satisfy it."""
    found = await _matching(database, where)
    return {key for _, known in found for key in known.tk if key.startswith(prefix)}


def _row(event: Event, known: Entries) -> Document:
    """The event as a document of a current version, without its bytes."""
    note = event.note
    return {
        "_id": event.id,
        "vid": 1,
        "lu": note.moment,
        "h": hash_of(event.id),
        "m": "POST",
        "so": known.so,
        "note": note,
    }


async def _matching(database: Database, where: Condition) -> list[Found]:
    return [each async for found in _windows(database, where, _span(where), True) for each in found]


async def _windows(
    database: Database, where: Condition, span: Window, backwards: bool
) -> AsyncIterator[Sequence[Found]]:
    """The events that satisfy `where`, window by window; all of one come before all of the next."""
    named = _named(where)
    if named is not None:
        yield await _of_ids(database, where, named)
        return
    sought_for = _sought(where)
    if sought_for is not None and not sought_for:
        return
    asked = [EVERY] if sought_for is None else sought_for
    wanted, others = set(asked), await _others(database, asked, where)
    width, wider = (_FIRST, _WIDER) if sought_for is None else (_FIRST_OF_KEY, _WIDER_OF_KEY)
    if sought_for is not None and _is_of_patients(sought_for):
        # Most people's sheets are few, and one call has them all.
        width = _FAR
    low, high = span[0] // SLOT * SLOT, min(-(-span[1] // SLOT) * SLOT, _FAR)
    looked_at, begun = 0, 0 if backwards or low else await Seals(database).begun() // SLOT * SLOT
    while low < high:
        if backwards:
            part = (max(low, (min(high, database.clock()) - width) // SLOT * SLOT), high)
        else:
            part = (low, min(high, max(begun, low + width)))
        sheets = await _sheets(database, asked, others, part, AT_ONCE + 1 if width > SLOT else 0)
        if len(sheets) > AT_ONCE and width > SLOT:
            if begun > low + width:
                begun = 0
            else:
                width = _FIRST_OF_KEY if width == _FAR else max(SLOT, width // (2 * wider) // SLOT * SLOT)
            continue
        found = [event for sheet in sheets for event in events(sheet)]
        if sought_for is not None:
            found = [event for event in found if has(event.note, wanted)]
        looked_at += len(found)
        if looked_at > LOOKED_AT:
            raise too_costly(LOG)
        yield _satisfying(found, where)
        low, high = (low, part[0]) if backwards else (part[1], high)
        # Wider where there was little, narrower where hardly more would fit.
        width = max(SLOT, width * min(wider * 100, 50 * AT_ONCE // (len(sheets) + 1)) // 100 // SLOT * SLOT)


def _satisfying(found: Iterable[Event], where: Condition) -> list[Found]:
    """Those of the events that satisfy it. What their common entries decide is decided once, which spares making the
    others of most events that do not."""
    decided: dict[int, tuple[Entries, bool]] = {}
    parts = conjuncts(where)
    shared, rest = All(tuple(filter(is_common, parts))), All(tuple(part for part in parts if not is_common(part)))
    kept: list[Found] = []
    for event in found:
        like = common(event.note)
        if id(like) not in decided:
            # Together, so that no other takes this one's place in memory.
            decided[id(like)] = like, satisfies(like, "", 0, shared)
        if decided[id(like)][1]:
            known = entries(event.note)
            if satisfies(known, event.id, event.note.moment, rest):
                kept.append((event, known))
    return kept


async def _of_ids(database: Database, where: Condition, named: Sequence[str]) -> list[Found]:
    wanted, found = set(named), list[Found]()
    sheets = list(dict.fromkeys(map(sheet_of, named)))
    for start in range(0, len(sheets), IDS_AT_ONCE):
        part = sheets[start : start + IDS_AT_ONCE]
        for sheet in await database.find(SHEETS, {"_id": {"$in": part}}, {"raw": 1}, len(part)):
            found += _satisfying((event for event in events(sheet) if event.id in wanted), where)
    return found


async def _sheets(
    database: Database, asked: Sequence[str], others: Sequence[Match], span: Window, limit: int
) -> list[Document]:
    """The sheets of a window with any of these keys, or with the only one within any of `others`; at most `limit` of
    each call, 0 for all."""
    found: dict[str, Document] = {}
    for start in range(0, len(asked), KEYS_AT_ONCE):
        part = asked[start : start + KEYS_AT_ONCE]
        if len(part) == 1:
            place = window(*span, part[0])
            rows = [row for each in others for row in await database.find(SHEETS, {**place, **each}, {"raw": 1}, limit)]
        else:
            stages: list[Match] = [{"$match": {"k": {"$in": part}}}, {"$match": {"_id": window(*span)["_id"]}}]
            cut: list[Match] = [{"$limit": limit}] if limit else []
            rows = await database.rows(SHEETS, [*stages, *cut, {"$project": {"raw": 1}}])
        found.update((row["_id"], row) for row in rows)
    return list(found.values())


def _named(where: Condition) -> Sequence[str] | None:
    """The ids of which alone any can satisfy it; None where it names none."""
    return next((part.ids for part in conjuncts(where) if isinstance(part, Ids)), None)


def _sought(where: Condition) -> list[str] | None:
    """Keys of which whatever satisfies the condition has one; None where the index has none for it."""
    found = (_of_part(part) for part in conjuncts(where))
    # Patients select more than people who work: their keys are the first choice.
    choices = [each for each in found if each is not None]
    return min(choices, key=_promise) if choices else None


async def _others(database: Database, asked: Sequence[str], where: Condition) -> list[Match]:
    """One of these has every sheet but those all of whose events are of a user whom the condition leaves out; each is
    an equality, which the index can have before a window."""
    left_out = [
        key
        for part in conjuncts(where)
        if isinstance(part, Not) and isinstance(part.inner, Keys) and part.inner.field == "tk"
        for key in map(sought, part.inner.keys)
        if key is not None
    ]
    if not left_out or len(asked) != 1:
        return [{}]
    # Few: those who look at a record, and name themselves by an identifier, are the person and their proxies. None of
    # these ranges has whom the condition leaves out: the embedded engine reads all of a range for its first.
    found, edges = [""], ["*", *sorted(left_out), "+"]
    spans = [(low + "\x01", high) for low, high in pairwise(edges)]
    while spans:
        low, high = spans.pop()
        rows = await database.find(SHEETS, {"k": asked[0], "a": {"$gte": low, "$lt": high}}, {"a": 1}, 1)
        if rows:
            found.append(str(rows[0]["a"]))
            spans += [(low, found[-1]), (found[-1] + "\x01", high)]
        if len(found) > _FEW:
            return [{}]
    return [{"a": each} for each in found]


def _promise(choice: Sequence[str]) -> tuple[bool, int]:
    return not _is_of_patients(choice), len(choice)


def _is_of_patients(choice: Sequence[str]) -> bool:
    return all(key.startswith("Patient/") for key in choice)


def _of_part(part: Condition) -> list[str] | None:
    match part:
        case Keys("pt", named):
            return list(named)
        case Keys("tk", tokens):
            # Those of kinds stand for events that are not on sheets.
            found = [sought(key) for key in tokens if not key.startswith(KIND)]
            return None if None in found else [key for key in found if key is not None]
        case AnyOf(parts):
            several = [_sought(each) for each in parts]
            return None if None in several else [key for each in several if each is not None for key in each]
    return None


def _span(where: Condition) -> Window:
    """The moments [from, to) of whatever satisfies the condition."""
    low, high = 0, _FAR
    for part in conjuncts(where):
        match part:
            case Updated(test, a, b):
                bounds: tuple[int | None, int | None] = (a, b)
                margin = 0
            case Range("date", test, first, last, axis):
                bounds = (_instant(first), _instant(last))
                margin = _DAYS_APART if axis == "day" else 0
            case _:
                continue
        begin, end = bounds
        least = {"eq": begin, "ge": begin, "ap": begin, "gt": end, "sa": end}.get(test)
        most = {"eq": end, "le": end, "ap": end, "lt": begin, "eb": begin}.get(test)
        low = low if least is None else max(low, least - margin)
        high = high if most is None else min(high, most + margin)
    return low, high


def _instant(value: str | int) -> int | None:
    """Microseconds since 1970 of a position or bound; None for what is no moment."""
    if isinstance(value, int):
        return value
    try:
        return (datetime.fromisoformat(value).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
