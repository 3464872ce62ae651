"""Feed: all changes in the order in which they count, dense numbers from 1.

https://hl7.org/fhir/R4/http.html#history

Rows are {_id: number, t: type, id, v: version, m: method, lu, at}; `at` is when it was numbered, rising with the
number. A reader that goes on from the last number it saw never misses a committed change.
"""

from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match


async def last(database: Database) -> int:
    """The number of the newest change; 0 before the first."""
    lease = await database.collection("leases").find_one({"_id": "sequencer"}, {"n": 1})
    return int(lease["n"]) if lease is not None else 0


async def after(database: Database, number: int, limit: int) -> list[Document]:
    """Up to `limit` changes behind this number, oldest first."""
    window = {"_id": {"$gt": number, "$lte": number + limit}}
    return await database.rows("feed", [{"$match": window}, {"$sort": {"_id": 1}}])


async def before(database: Database, number: int, floor: int, limit: int, resource_type: str | None) -> list[Document]:
    """Up to `limit` changes, of one type if named, with numbers in [floor, number), newest first."""
    found: list[Document] = []
    high, width = number, limit
    while len(found) < limit and high > floor:
        low = max(floor, high - width)
        window: Match = {"_id": {"$gte": low, "$lt": high}}
        if resource_type is not None:
            window = {"t": resource_type, **window}
        found += await database.rows(
            "feed", [{"$match": window}, {"$sort": {"_id": -1}}, {"$limit": limit - len(found)}]
        )
        high, width = low, width * 4
    return found


async def first_since(database: Database, instant: int) -> int:
    """The number of the first change numbered at `instant` (microseconds) or later; one past the end if none was."""
    low, high = 0, await last(database) + 1
    while high - low > 1:
        middle = (low + high) // 2
        row = await database.collection("feed").find_one({"_id": middle}, {"at": 1})
        if row is not None and row["at"] < instant:
            low = middle
        else:
            high = middle
    return high
