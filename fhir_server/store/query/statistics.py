"""Statistics: about how many documents a beginning finds, remembered for a while; they choose ways, never results.

https://hl7.org/fhir/R4/search.html#errors

Equalities are counted in a window of `h` that holds about SAMPLE documents, ranges by how many of SAMPLE documents
satisfy them; where that finds only a few, all are counted, because then they are few.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import msgspec

from fhir_server.store.database import Database
from fhir_server.store.documents import HASHES
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import COUNTED, Candidate

SIZE_SECONDS, PER_SECOND = 1.0, 1_000
"""How long the size of a type is remembered, and by how many documents a second longer: a large one takes longer to
count and to change."""
HITS_SECONDS = 600.0
REMEMBERED = 10_000
SAMPLE = 256
FEW = 8
LISTED = 8
"""Of a longer list of equalities, each is taken for one document."""


@dataclass
class Statistics:
    """Counts by collection and first stage, each good for some minutes."""

    database: Database
    _counts: OrderedDict[bytes, tuple[float, int]] = field(default_factory=OrderedDict)
    _sizing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def size(self, collection: str) -> int:
        """How many documents the collection holds."""
        key = _key(collection, {})
        count = self._look(key)
        if count is None:
            # Counted once, however many wait for it.
            async with self._sizing:
                count = self._look(key)
                if count is None:
                    count = await self._counted(collection, {})
                    self._keep(key, count, SIZE_SECONDS + count / PER_SECOND)
        return count

    def known(self, collection: str, candidate: Candidate) -> int | None:
        """The documents the candidate was last seen to find; None where any part of it was not counted lately."""
        total = 0
        for first in candidate.firsts:
            count = self._look(_key(collection, first))
            if count is None:
                return None
            total += count
        return total

    async def hits(self, collection: str, candidate: Candidate) -> int:
        """About how many documents the candidate finds; estimated now where it is not known."""
        total = 0
        for first in candidate.firsts:
            key = _key(collection, first)
            count = self._look(key)
            if count is None:
                count = await self._estimate(collection, first)
                self._keep(key, count, HITS_SECONDS)
            total += count
        return total

    async def _estimate(self, collection: str, first: Match) -> int:
        ((name, value),) = first.items()
        listed: list[str] | None = value.get("$in") if isinstance(value, dict) else None
        if listed is not None:
            if name == "_id" or len(listed) > LISTED:
                return len(listed)
            return sum([await self._estimate(collection, {name: each}) for each in listed])
        size = await self.size(collection)
        if size > SAMPLE * 4:
            window = {"$gte": 0, "$lt": HASHES * SAMPLE // size}
            if not isinstance(value, dict):
                found = await self._counted(collection, {**first, "h": window})
            else:
                tested = first if name == "lu" else {name: {"$elemMatch": value}}
                found = await self._counted(collection, {"h": window}, tested)
            if found >= FEW:
                return found * size // SAMPLE
        return await self._counted(collection, first)

    def _look(self, key: bytes) -> int | None:
        found = self._counts.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def _keep(self, key: bytes, count: int, seconds: float) -> None:
        self._counts[key] = (time.monotonic() + seconds, count)
        self._counts.move_to_end(key)
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)

    async def _counted(self, collection: str, *matches: Match) -> int:
        rows = await self.database.rows(collection, [*({"$match": match} for match in matches), COUNTED])
        return int(rows[0]["n"]) if rows else 0


def _key(collection: str, first: Match) -> bytes:
    return msgspec.json.encode([collection, first])
