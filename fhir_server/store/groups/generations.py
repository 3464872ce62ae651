"""Generations: the rows that hold the members of large Groups.

https://hl7.org/fhir/R4/group-definitions.html#Group.member

Collection `members`: rows {_id: "generation|reference", g: generation, n: ordinal, r: reference, m: [keys], raw} and,
for each large Group, a header {_id: "Group/id", gen, next, count} that says which generation is in force. Rows of a
generation that no header names are never read.
"""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pymongo import ReplaceOne

from fhir_server.fhir.outcome import refuse
from fhir_server.store.commit import Also
from fhir_server.store.database import Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.failures import contended
from fhir_server.store.groups import group
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import IDS_AT_ONCE, KEYS_AT_ONCE
from fhir_server.store.records import Member

COLLECTION = "members"
ROWS_AT_ONCE = 1_000
"""Rows stored by one insert, read, or removed at a time."""
GROUPS = 1_000
"""Large Groups that one search by member may lead through."""


@dataclass(frozen=True, slots=True)
class Generations:
    """The members out of line of one database. `base` is the server's own base URL."""

    database: Database
    base: str

    async def header(self, id: str) -> Document | None:
        """The header of a Group; None where its members are in its body."""
        header: Document | None = await self.database.collection(COLLECTION).find_one({"_id": f"Group/{id}"})
        return header

    async def store(self, raws: Sequence[bytes]) -> Document:
        """Write a new generation with these members; gives what its header has to hold."""
        generation = secrets.token_hex(8)
        members = list({member.reference: member for member in group.as_members(raws)}.values())
        for start in range(0, len(members), ROWS_AT_ONCE):
            rows = await self.documents(generation, members[start : start + ROWS_AT_ONCE], start)
            await self.database.collection(COLLECTION).insert_many(rows)
        return {"gen": generation, "next": len(members), "count": len(members)}

    async def drop(self, generations: Iterable[str]) -> None:
        """Remove the rows of generations that no header names any more."""
        collection = self.database.collection(COLLECTION)
        for generation in generations:
            start = 0
            while await collection.find_one({"g": generation, "n": {"$gte": start}}, {"n": 1}) is not None:
                await collection.delete_many({"g": generation, "n": {"$gte": start, "$lt": start + ROWS_AT_ONCE}})
                start += ROWS_AT_ONCE

    async def documents(self, generation: str, members: Sequence[Member], first: int) -> list[Document]:
        """The rows for these members, the first with ordinal `first`."""
        rows = [
            {
                "_id": f"{generation}|{member.reference}",
                "g": generation,
                "n": first + number,
                "r": member.reference,
                "m": group.keys_of(member, self.base),
                "raw": member.raw,
            }
            for number, member in enumerate(members)
        ]
        # A thousand take 20 ms: let others have their turn.
        await asyncio.sleep(0)
        return rows

    async def rows(self, generation: str, references: Sequence[str]) -> list[Document]:
        """Those rows of a generation that have one of these references."""
        found: list[Document] = []
        for start in range(0, len(references), IDS_AT_ONCE):
            keys = [f"{generation}|{reference}" for reference in references[start : start + IDS_AT_ONCE]]
            found += await self.database.rows(COLLECTION, [{"$match": {"_id": {"$in": keys}}}])
        return found

    async def stretch(self, generation: str, start: int, limit: int) -> list[Document]:
        """Up to `limit` rows of a generation with ordinals from `start`, in order (ordinals have no gaps)."""
        window: Match = {"g": generation, "n": {"$gte": start, "$lt": start + limit}}
        return await self.database.rows(COLLECTION, [{"$match": window}, {"$sort": {"n": 1}}])

    async def with_keys(self, keys: Sequence[str]) -> tuple[str, ...]:
        """The token keys of the generations that have a member with one of these keys, of old generations, too."""
        found: set[str] = set()
        for start in range(0, len(keys), KEYS_AT_ONCE):
            first: Match = {"m": {"$in": list(keys[start : start + KEYS_AT_ONCE])}}
            rows = await self.database.rows(COLLECTION, [{"$match": first}, {"$project": {"g": 1, "n": 1}}])
            found |= {row["g"] for row in rows}
        if len(found) > GROUPS:
            text = f"This search leads through more than {GROUPS} large Groups. Narrow it."
            raise refuse(400, "too-costly", "unselective-search", text, "member")
        return tuple(group.GENERATION + generation for generation in sorted(found))

    def switch(self, id: str, old: Document | None, new: Document | None) -> Also:
        """In the Group's transaction: put the new header in the place of the old one.

        FhirError 409 where the old one is not in force any more.
        """
        header = {"_id": f"Group/{id}"}

        async def act(session: Session) -> None:
            collection = self.database.collection(COLLECTION)
            if old is None:
                if new is not None:
                    await collection.insert_one({**new, **header}, session=session)
                return
            where = {**header, "gen": old["gen"], "next": old["next"]}
            if new is None:
                done = (await collection.delete_one(where, session=session)).deleted_count
            else:
                done = (await collection.replace_one(where, {**new, **header}, session=session)).matched_count
            if done != 1:
                raise contended()

        return act

    def append(
        self, id: str, old: Document, new: Document, rows: Sequence[Document], again: Sequence[Document]
    ) -> Also:
        """In the Group's transaction: the header's next state, new rows, and rows written again."""
        switch = self.switch(id, old, new)

        async def act(session: Session) -> None:
            await switch(session)
            collection = self.database.collection(COLLECTION)
            if rows:
                await collection.insert_many(rows, session=session)
            if again:
                await collection.bulk_write([ReplaceOne({"_id": row["_id"]}, row) for row in again], session=session)

        return act
