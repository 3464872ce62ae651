"""Sheet: the notes of a group of events of the access log as one document, and back.

https://hl7.org/fhir/R4/auditevent.html

    {_id, n, k, a, raw}
`_id` is the first moment (microseconds, 14 hex digits) and 10 random digits, so sheets stand in the order of time; `n`
the number of events; `k` the keys of all of them, for the index: a superset, each event is decided on by its own. `raw`
has a byte for its format, then the frames and the rows that name them by number. BSON values and index entries cost the
engine, bytes hardly. `a` is the key of the user whom all events name, empty where there are several or none: who leaves
out what they did themselves need not have their sheets looked at. An event's id is its sheet's and 8 random digits: it
tells nobody how many others there are.

All events of a sheet are of one slot of time, so windows cut between slots part no sheet, nor do days.
"""

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from fhir_server.store.access_log.notes import Frame, Note, actor, keys
from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match
from fhir_server.store.schema import SHEETS

EVERY = "*"
"""A key of every sheet: the index finds a window of time only behind a key."""
SLOT = 10_000_000
"""Microseconds; a whole number of them is a day."""
MOST, LARGEST = 500, 1_000_000
"""Events of a sheet, and characters of what they say was asked, about: a document has 16 MB at most."""
AT_ONCE = 1_000
"""Sheets read at a time, about."""
_FORMAT = b"\x01"
_DIGITS, _RANDOM, _OWN = 14, 5, 4
_ID = _DIGITS + 2 * _RANDOM

_Row = tuple[bytes, int, int, str, str, str, str]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[tuple[bytes, bytes]], list[_Row]]).decode


class Event(NamedTuple):
    """An event of the log: the AuditEvent's id, and the note it is made of."""

    id: str
    note: Note


def of(notes: Iterable[Note]) -> list[Document]:
    """The documents for these notes: one where they are of one slot of time and not too many."""
    made: list[list[Note]] = []
    open_for: dict[int, tuple[list[Note], int]] = {}
    for note in notes:
        slot = note.moment // SLOT
        sheet, size = open_for.get(slot, ([], 0))
        if not sheet or len(sheet) == MOST or size > LARGEST:
            sheet, size = [], 0
            made.append(sheet)
        sheet.append(note)
        open_for[slot] = sheet, size + len(note.query)
    return [_sheet(each) for each in made]


def events(document: Document) -> list[Event]:
    """The events of a sheet. ValueError for a format that this version does not know."""
    raw: bytes = document["raw"]
    if raw[:1] != _FORMAT:
        raise ValueError(f"sheet {document['_id']} has an unknown format")
    framed, rows = _decode(memoryview(raw)[1:])
    frames = [Frame(*frame) for frame in framed]
    return [Event(document["_id"] + row[0].hex(), Note(frames[row[1]], *row[2:])) for row in rows]


def sheet_of(event_id: str) -> str:
    """The `_id` of the sheet that an event with this id would stand on."""
    return event_id[:_ID]


def place(moment: int) -> str:
    """Before the `_id`s of all sheets that begin at `moment` or later, behind all others; before all of them for a
    moment before 1970, behind them for one far beyond."""
    return f"{min(max(moment, 0), 16**_DIGITS - 1):0{_DIGITS}x}"


def window(start: int, end: int, key: str = EVERY) -> Match:
    """Finds the sheets that begin at a moment in [start, end) and have this key."""
    return {"k": key, "_id": {"$gte": place(start), "$lt": place(end)}}


async def between(database: Database, start: int, end: int, keep: Match) -> AsyncIterator[Document]:
    """The sheets that begin in [start, end), both between slots, in order, with the fields `keep`."""
    low, width = start, SLOT
    while low < end:
        high = min(low + width, end)
        rows = await database.find(SHEETS, window(low, high), keep, AT_ONCE if width > SLOT else 0)
        if len(rows) == AT_ONCE and width > SLOT:
            width = SLOT
            continue
        for row in sorted(rows, key=lambda row: str(row["_id"])):
            yield row
        low, width = high, width * 2 if len(rows) < AT_ONCE // 4 else width


async def first(database: Database) -> int | None:
    """The moment of the first event on any sheet; None where there is none."""
    oldest: list[Match] = [{"$match": {"_id": {"$gte": ""}}}, {"$sort": {"_id": 1}}, {"$limit": 1}]
    rows = await database.rows(SHEETS, [*oldest, {"$project": {"n": 1}}])
    return int(rows[0]["_id"][:_DIGITS], 16) if rows else None


async def rekey(database: Database, start: int, end: int) -> None:
    """Derive the keys of the sheets that begin in [start, end) anew."""
    async for sheet in between(database, start, end, {"raw": 1, "k": 1, "a": 1}):
        notes = [event.note for event in events(sheet)]
        found = {"k": _keys(notes), "a": _actor(notes)}
        if found != {"k": sheet["k"], "a": sheet.get("a")}:
            await database.collection(SHEETS).update_one({"_id": sheet["_id"]}, {"$set": found})


def _keys(notes: Iterable[Note]) -> list[str]:
    return [EVERY, *dict.fromkeys(key for note in notes for key in keys(note))]


def _actor(notes: Iterable[Note]) -> str:
    actors = {actor(note) for note in notes}
    return actors.pop() if len(actors) == 1 else ""


def _sheet(notes: Sequence[Note]) -> Document:
    frames: dict[Frame, int] = {}
    own = iter(_distinct(len(notes)))
    rows: list[_Row] = [(next(own), frames.setdefault(note.frame, len(frames)), *note[1:]) for note in notes]
    return {
        "_id": place(min(note.moment for note in notes)) + secrets.token_hex(_RANDOM),
        "n": len(notes),
        "k": _keys(notes),
        "a": _actor(notes),
        "raw": _FORMAT + _encode((list(frames), rows)),
    }


def _distinct(count: int) -> Iterator[bytes]:
    found: dict[bytes, None] = {}
    while len(found) < count:
        found[secrets.token_bytes(_OWN)] = None
    return iter(found)
