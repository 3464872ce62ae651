"""Ways: how the rows of a search are found: through an index, in windows of `h`, or newest change first.

https://hl7.org/fhir/R4/search.html#errors

Each way gives up to one row more than the selection's limit, in order. `h` never changes and windows of `lu` are cut at
fixed instants, so no row is lost or doubled between pages. What costs too much is FhirError 400 `too-costly`.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.store.database import Database
from fhir_server.store.documents import HASHES
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import IDS_AT_ONCE, NATURAL, Candidate, Order, remainder
from fhir_server.store.query.plan import rest as undecided
from fhir_server.store.query.sieve import Sieve
from fhir_server.store.records import Selection

BUDGET = 20_000
"""Documents a walk may look at."""
ALLOWED = BUDGET * 5 // 4
"""The budget compared with estimated sizes: no search is refused on a type of BUDGET resources."""
SECONDS = 2.0
"""Seconds a walk may take on a type of more than BUDGET resources."""
PLACES = 4_000
"""Places of which a page is cut in memory."""
FEW = 64
"""Documents up to which all are fetched whole and sifted in memory."""
WINDOW = 200
"""Documents that a window may be expected to hold for that."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is wanted: a selection, its order, the fields to keep, and the transaction it is read in."""

    selection: Selection
    order: Order
    keep: Match
    session: Session | None = None

    @property
    def wanted(self) -> int:
        """One more than the page holds: whether there is a next page."""
        return self.selection.limit + 1


async def few(database: Database, rows: Rows, chosen: Candidate) -> list[Document] | None:
    """What the index finds, sifted in memory; None where that would be more than FEW documents."""
    selection, sieve = rows.selection, Sieve(undecided(rows.selection.where, chosen), rows.order)
    keep, found = sieve.fields(rows.keep), {}
    for first in chosen.firsts:
        for document in await database.find(selection.type, first, keep, FEW + 1, rows.session):
            found[document["_id"]] = document
        if len(found) > FEW:
            return None
    return sieve.page(found.values(), selection.after, rows.wanted)


async def gather(database: Database, rows: Rows, chosen: Candidate | None, many: bool, plain: bool) -> list[Document]:
    """Everything the index finds, filtered, sorted and cut; in parts where a list is long.

    Where `many` are found, they are sorted by themselves and only the page is fetched; in memory where the condition is
    `plain` (plan.py).
    """
    selection, order = rows.selection, rows.order
    firsts = chosen.firsts if chosen is not None else ({"h": {"$gte": 0}},)
    if many and plain:
        places = await _places(database, rows, firsts)
        fetched = await _fetched(database, rows, places) if places is not None else None
        return await gather(database, rows, chosen, many, plain=False) if fetched is None else fetched
    rest = remainder(selection.where, chosen)
    tail = order.stages(selection.after, rows.wanted, rows.keep)
    if many:
        tail = order.places(selection.after, rows.wanted)
    merged: dict[str, Document] = {}
    for first in firsts:
        found = await database.rows(selection.type, [{"$match": first}, *rest, *tail], rows.session)
        merged.update({document["_id"]: document for document in found})
    page = list(merged.values()) if len(firsts) == 1 else order.sorted(merged.values())[: rows.wanted]
    if not many:
        return page
    fetched = await _fetched(database, rows, page)
    return await gather(database, rows, chosen, many=False, plain=False) if fetched is None else fetched


async def _places(database: Database, rows: Rows, firsts: Iterable[Match]) -> list[Document] | None:
    """The ids of a page with the fields of its order; None where there are more than there were lately."""
    order, after = rows.order, rows.selection.after
    found: dict[str, Document] = {}
    for first in firsts:
        documents = await database.find(rows.selection.type, first, order.sources(), PLACES + 1, rows.session)
        if len(documents) > PLACES:
            return None
        found.update({document["_id"]: order.placed(document) for document in documents})
    placed = found.values() if after is None else [each for each in found.values() if order.is_behind(each, after)]
    return order.sorted(placed)[: rows.wanted]


async def _fetched(database: Database, rows: Rows, places: Sequence[Document]) -> list[Document] | None:
    """The documents of these places; None where one was deleted or ceased to satisfy the condition meanwhile."""
    found: dict[str, Document] = {}
    sieve = Sieve(rows.selection.where, rows.order)
    keep = sieve.fields(rows.keep)
    for start in range(0, len(places), IDS_AT_ONCE):
        ids = [place["_id"] for place in places[start : start + IDS_AT_ONCE]]
        first = {"_id": {"$in": ids}}
        for document in await database.find(rows.selection.type, first, keep, len(ids), rows.session):
            if sieve.holds(document):
                found[document["_id"]] = document
    if len(found) < len(places):
        return None
    return [{**found[place["_id"]], **place} for place in places]


async def walk(database: Database, rows: Rows, chosen: Candidate | None, expected: int) -> list[Document]:
    """Windows of `h`, of the whole type or of one equality or few, wider and wider until the page is full.

    `expected` is about how many documents all windows hold together.
    """
    selection, size = rows.selection, max(expected, 1)
    equalities: tuple[Match, ...] = chosen.walked if chosen is not None else ({},)
    after = selection.after
    low = int(after[0]) if after is not None else 0
    width = _width(rows, size)
    found: list[Document] = []
    started, looked_at = time.monotonic(), 0.0
    while low < HASHES and len(found) < rows.wanted:
        if looked_at > ALLOWED or (size > ALLOWED and time.monotonic() - started > SECONDS):
            raise too_costly(selection.type)
        high = HASHES if low + 2 * width > HASHES else low + width
        windows = [{**equality, "h": {"$gte": low, "$lt": high}} for equality in equalities]
        is_narrow = 1 < width <= WINDOW * HASHES // size
        page = await _within(database, rows, chosen, windows, after, rows.wanted - len(found), is_narrow)
        if page is None:
            # Many came since they were counted.
            looked_at += 2 * WINDOW
            size = max(2 * size, 2 * WINDOW * HASHES // (high - low))
            width = _width(rows, size)
            continue
        found += page
        looked_at += size * (high - low) / HASHES
        # No window is so wide that the budget could not end the walk in time.
        wider = width * (2 if 2 * len(found) > rows.wanted else 4)
        low, width, after = high, max(1, min(wider, ALLOWED * HASHES // (4 * size))), None
    return found


async def halves(
    database: Database, rows: Rows, whole: Candidate, expected: int, longer: Candidate
) -> list[Document] | None:
    """Windows of `h` of one whole string, and all that is longer; None where that is more than FEW documents.

    An index finds the whole range of what begins with a string, wanted or not; of one string it finds a window.
    """
    found = await few(database, rows, longer)
    if found is None:
        return None
    merged = {document["_id"]: document for document in [*found, *await walk(database, rows, whole, expected)]}
    return NATURAL.sorted(merged.values())[: rows.wanted]


def _width(rows: Rows, size: int) -> int:
    """Of a window that a little more than a page is expected in, where all hold `size` documents."""
    return max(1, int(1.2 * rows.wanted * HASHES / size))


async def _within(
    database: Database,
    rows: Rows,
    chosen: Candidate | None,
    windows: Iterable[Match],
    after: tuple[str | int, ...] | None,
    wanted: int,
    is_narrow: bool,
) -> list[Document] | None:
    """Up to `wanted` rows of these windows, one of each equality; None where a narrow one holds many more documents
    than was expected."""
    where = rows.selection.where
    stages = [*remainder(where, chosen), *NATURAL.stages(after, wanted, rows.keep)]
    merged: dict[str, Document] = {}
    for window in windows:
        if is_narrow:
            found = await _sifted(database, rows, undecided(where, chosen), window, after, wanted)
        else:
            found = await database.rows(rows.selection.type, [{"$match": window}, *stages], rows.session)
        if found is None:
            return None
        merged.update({document["_id"]: document for document in found})
    return NATURAL.sorted(merged.values())[:wanted]


async def _sifted(
    database: Database, rows: Rows, where: Condition, window: Match, after: tuple[str | int, ...] | None, wanted: int
) -> list[Document] | None:
    """The rows of a narrow window, sifted in memory; None where it holds many more than was expected."""
    sieve = Sieve(where, NATURAL)
    most = 2 * WINDOW
    found = await database.find(rows.selection.type, window, sieve.fields(rows.keep), most, rows.session)
    return sieve.page(found, after, wanted) if len(found) < most else None


async def recent(database: Database, rows: Rows) -> list[Document]:
    """Windows of `lu`, cut where every so-many-th change was made, until the page is full.

    The feed only says where to cut: a resource is found by its own `lu`, numbered yet or not.
    """
    selection, wanted = rows.selection, rows.wanted
    descending = selection.sort[0].descending
    rest = remainder(selection.where)
    after = selection.after
    edge = int(after[0]) if after is not None else None
    last = await _last_change(database)
    place = await _place(database, edge, last) if edge is not None else last if descending else 0
    step, looked_at, started = 2 * wanted, 0, time.monotonic()
    found: list[Document] = []
    while True:
        place = max(place - step, 0) if descending else min(place + step, last)
        exhausted = place == (0 if descending else last)
        cut = None if exhausted else await _changed_at(database, place)
        step *= 2
        if not exhausted and (cut is None or (edge is not None and (cut >= edge if descending else cut <= edge))):
            continue
        window = _window(edge, cut, descending, after is not None)
        begin = [{"$match": {"lu": window}}, *rest]
        places = await database.rows(
            selection.type, [*begin, *rows.order.places(after, wanted - len(found))], rows.session
        )
        fetched = await _fetched(database, rows, places)
        if fetched is None:
            tail = rows.order.stages(after, wanted - len(found), rows.keep)
            fetched = await database.rows(selection.type, [*begin, *tail], rows.session)
        found += fetched
        if len(found) >= wanted or exhausted:
            return found
        looked_at += step
        if looked_at > ALLOWED * 50 or time.monotonic() - started > SECONDS:
            raise too_costly(selection.type)
        edge, after = cut, None


def _window(edge: int | None, cut: int | None, descending: bool, inclusive: bool) -> Match:
    """The instants between the last cut and the next; the very first may hold rows of its edge behind the position."""
    if descending:
        window: Match = {"$gte": cut or 0}
        if edge is not None:
            window["$lte" if inclusive else "$lt"] = edge
        return window
    window = {"$gte": edge or 0}
    if cut is not None:
        window["$lt"] = cut
    return window


async def _last_change(database: Database) -> int:
    lease = await database.collection("leases").find_one({"_id": "sequencer"}, {"n": 1})
    return int(lease["n"]) if lease is not None else 0


async def _changed_at(database: Database, number: int) -> int | None:
    row = await database.collection("feed").find_one({"_id": number}, {"lu": 1})
    return int(row["lu"]) if row is not None else None


async def _place(database: Database, edge: int, last: int) -> int:
    """The number of a change near the instant `edge`: found by halving, the feed is dense and nearly in order."""
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        changed = await _changed_at(database, middle)
        if changed is None or changed < edge:
            low = middle
        else:
            high = middle
    return high


def too_costly(resource_type: str) -> FhirError:
    """400: an answer would mean looking at too many resources."""
    text = (
        f"This search would look at too many {resource_type} resources. Add a parameter that selects few, such as an "
        "identifier, a patient or other reference, a code, or a narrower date range, or leave out _sort."
    )
    return refuse(400, "too-costly", "unselective-search", text)
