"""Turns: work that one process at a time does for all, and what it leaves for the one that does it next.

https://www.mongodb.com/docs/manual/core/write-operations-atomicity/

A turn is a lease that ends by itself: {_id, holder, until, left: a small document}. Who holds one may be slower than it
lasts, so what is done under it must bear a second one beside it.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.store.database import Database
from fhir_server.store.driver import Document

LEASES = "leases"
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of this name, for this process. All of it may raise FhirError 503."""

    database: Database
    name: str
    seconds: float
    _holder: str = field(default_factory=lambda: secrets.token_hex(8))

    async def take(self) -> bool:
        """Take or keep the turn for so many seconds; False where another process has it."""
        now = self.database.clock()
        async with self.database.writing():
            leases = self.database.collection(LEASES)
            fresh = {"holder": "", "until": 0, "left": {}}
            await leases.update_one({"_id": self.name}, {"$setOnInsert": fresh}, upsert=True)
            free = {"_id": self.name, "$or": [{"holder": self._holder}, {"until": {"$lt": now}}]}
            until = now + int(self.seconds * SECOND)
            taken = await leases.update_one(free, {"$set": {"holder": self._holder, "until": until}})
        return bool(taken.matched_count == 1)

    async def left(self) -> Mapping[str, Any]:
        """What the one before left; nothing at first."""
        async with self.database.reading():
            found: Document | None = await self.database.collection(LEASES).find_one({"_id": self.name})
        return {} if found is None else found["left"]

    async def leave(self, values: Mapping[str, Any]) -> None:
        """Leave this for the next one; without effect where another process has the turn by now."""
        await self._set({f"left.{name}": value for name, value in values.items()})

    async def pass_on(self) -> None:
        """Give the turn to whoever comes."""
        await self._set({"until": 0})

    async def _set(self, change: Mapping[str, Any]) -> None:
        async with self.database.writing():
            mine = {"_id": self.name, "holder": self._holder}
            await self.database.collection(LEASES).update_one(mine, {"$set": dict(change)})
