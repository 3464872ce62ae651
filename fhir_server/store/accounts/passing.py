"""Passing: what is kept for a while and then forgotten: sessions, launches, one-time codes, identifiers used once.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html

A document is {_id: "<kind>:<key>", exp, v: the value}. Each kind's keys are digests or random, never a person's name.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from fhir_server.store.database import Database
from fhir_server.store.driver import Document

PASSING = "passing"


@dataclass(frozen=True, slots=True)
class Passing:
    """What one database keeps for a while. Times are Unix seconds. All of it may raise FhirError 503."""

    database: Database

    async def add(self, kind: str, key: str, expires: int, value: Mapping[str, Any] | None = None) -> bool:
        """Keep something until `expires`; False where the key is taken, also by something that is over by now."""
        document = {"_id": f"{kind}:{key}", "exp": expires, "v": value}
        async with self.database.writing():
            try:
                await self.database.collection(PASSING).insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def find(self, kind: str, key: str, now: int) -> Mapping[str, Any] | None:
        """What is kept there and not over."""
        async with self.database.reading():
            where = {"_id": f"{kind}:{key}"}
            found: Document | None = await self.database.collection(PASSING).find_one(where)
        if found is None or found["exp"] <= now:
            return None
        value: Mapping[str, Any] = found["v"] or {}
        return value

    async def remove(self, kind: str, key: str) -> bool:
        """Forget it; whether it was there."""
        async with self.database.writing():
            done = await self.database.collection(PASSING).delete_one({"_id": f"{kind}:{key}"})
        return bool(done.deleted_count == 1)

    async def remove_of(self, kind: str, owner: str) -> None:
        """Forget all of a kind whose value names this `owner`."""
        async with self.database.writing():
            where = {"_id": {"$gte": f"{kind}:", "$lt": f"{kind};"}, "v.owner": owner}
            await self.database.collection(PASSING).delete_many(where)

    async def count(self, kind: str, key: str, expires: int, now: int) -> int:
        """Count one more there; how many it is now. Counting begins anew once what was there is over."""
        where = {"_id": f"{kind}:{key}"}
        collection = self.database.collection(PASSING)
        change = {"$inc": {"v": 1}, "$setOnInsert": {"exp": expires}}
        async with self.database.writing():
            await collection.delete_one({**where, "exp": {"$lte": now}})
            while True:
                with contextlib.suppress(DuplicateKeyError):  # somebody else began at the same moment
                    await collection.update_one(where, change, upsert=True)
                    found = await collection.find_one(where)
                    return 1 if found is None else int(found["v"])

    async def counted(self, kind: str, key: str, now: int) -> int:
        """How many were counted there."""
        async with self.database.reading():
            found: Document | None = await self.database.collection(PASSING).find_one({"_id": f"{kind}:{key}"})
        return 0 if found is None or found["exp"] <= now else int(found["v"])

    async def purge(self, before: int) -> None:
        """Forget what was over before this moment."""
        async with self.database.writing():
            await self.database.collection(PASSING).delete_many({"exp": {"$lt": before}})
