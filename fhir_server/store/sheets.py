"""Sheet: the notes of a group of events of the access log as one document, and back.

https://hl7.org/fhir/R4/auditevent.html

    {_id, n, k, raw}
`_id` is the first moment (microseconds, 14 hex digits) and 10 random digits, so sheets stand in the order of time; `n`
the number of events; `k` the keys of all of them, for the index: a superset, each event is decided on by its own. `raw`
has a byte for its format, then the frames and the rows that name them by number. BSON values and index entries cost the
engine, bytes hardly. An event's id is its sheet's and 8 random digits: it tells nobody how many others there are.

All events of a sheet are of one slot of time, so windows cut between slots part no sheet, nor do days.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from fhir_server.store.driver import Document
from fhir_server.store.match import Match
from fhir_server.store.notes import Frame, Note, keys

SHEETS = "sheets"
EVERY = "*"
"""A key of every sheet: the index finds a window of time only behind a key."""
SLOT = 10_000_000
"""Microseconds; a whole number of them is a day."""
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
    """The documents for these notes: one, or one for each slot of time."""
    slots: dict[int, list[Note]] = {}
    for note in notes:
        slots.setdefault(note.moment // SLOT, []).append(note)
    return [_sheet(each) for each in slots.values()]


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


def begun(document: Document) -> int:
    """The moment of the first event of a sheet."""
    return int(document["_id"][:_DIGITS], 16)


def place(moment: int) -> str:
    """Before the `_id`s of all sheets that begin at `moment` or later, behind all others; before all of them for a
    moment before 1970, behind them for one far beyond."""
    return f"{min(max(moment, 0), 16**_DIGITS - 1):0{_DIGITS}x}"


def window(start: int, end: int, key: str = EVERY) -> Match:
    """Finds the sheets that begin at a moment in [start, end) and have this key."""
    return {"k": key, "_id": {"$gte": place(start), "$lt": place(end)}}


def _sheet(notes: Sequence[Note]) -> Document:
    frames: dict[Frame, int] = {}
    own = iter(_distinct(len(notes)))
    rows: list[_Row] = [(next(own), frames.setdefault(note.frame, len(frames)), *note[1:]) for note in notes]
    return {
        "_id": place(min(note.moment for note in notes)) + secrets.token_hex(_RANDOM),
        "n": len(notes),
        "k": [EVERY, *dict.fromkeys(key for note in notes for key in keys(note))],
        "raw": _FORMAT + _encode((list(frames), rows)),
    }


def _distinct(count: int) -> Iterator[bytes]:
    found: dict[bytes, None] = {}
    while len(found) < count:
        found[secrets.token_bytes(_OWN)] = None
    return iter(found)
