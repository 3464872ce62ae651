"""Statistics: how many documents a first stage finds, remembered for a while; they choose between ways, never results.

https://hl7.org/fhir/R4/search.html#errors
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, field

import msgspec

from fhir_server.store.database import Database
from fhir_server.store.documents import HASHES
from fhir_server.store.match import Match
from fhir_server.store.plan import Candidate

SIZE_SECONDS = 30.0
HITS_SECONDS = 600.0
REMEMBERED = 10_000
SAMPLE = 64
"""Equalities are counted in one window of `h` out of this many; fewer than FEW there, and all are counted."""
FEW = 16
LISTED = 8
"""A list of more equalities than this is not counted beforehand."""


@dataclass
class Statistics:
    """Counts by collection and first stage, each good for some minutes."""

    database: Database
    _counts: OrderedDict[bytes, tuple[float, int]] = field(default_factory=OrderedDict)

    async def size(self, collection: str) -> int:
        """About how many documents the collection holds; exact where they are few."""
        return await self._remembered(collection, {}, SIZE_SECONDS)

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
        """About how many documents the candidate finds; counted now where it is not known."""
        firsts: list[Match] = []
        for first in candidate.firsts:
            ((name, value),) = first.items()
            listed = value.get("$in") if isinstance(value, dict) else None
            if listed is None:
                firsts.append(first)
            elif name == "_id" or len(listed) > LISTED:
                return len(listed) * len(candidate.firsts)
            else:
                firsts += [{name: each} for each in listed]
        return sum([await self._remembered(collection, first, HITS_SECONDS) for first in firsts])

    async def _remembered(self, collection: str, first: Match, seconds: float) -> int:
        key = _key(collection, first)
        count = self._look(key)
        if count is None:
            count = await self._count(collection, first)
            self._counts[key] = (time.monotonic() + seconds, count)
            while len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
        return count

    def _look(self, key: bytes) -> int | None:
        found = self._counts.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def _count(self, collection: str, first: Match) -> int:
        if not any(isinstance(value, dict) for value in first.values()):
            sampled = await self._counted(collection, {**first, "h": {"$gte": 0, "$lt": HASHES // SAMPLE}})
            if sampled >= FEW:
                return sampled * SAMPLE
        return await self._counted(collection, first or {"h": {"$gte": 0}})

    async def _counted(self, collection: str, first: Match) -> int:
        rows = await self.database.rows(collection, [{"$match": first}, {"$count": "n"}])
        return int(rows[0]["n"]) if rows else 0


def _key(collection: str, first: Match) -> bytes:
    return msgspec.json.encode([collection, first])
