"""Revocations: which cards of which signing key no longer count, and how often that list has changed.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#revocation

A document is {_id: kid, ctr, rids: {rid: t}}: counter and list change together or not at all, so that the counter in
the key set and the one on the list agree, whichever process reads them. {_id: "followed", n} is the number of the feed
up to which corrections of the record have certainly been looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fhir_server.store import feed
from fhir_server.store.database import Conflict, Database
from fhir_server.store.driver import Document, Session

REVOCATIONS = "card_revocations"
_FOLLOWED = "followed"


@dataclass(frozen=True, slots=True)
class Revoked:
    """The revocations of one key: a counter of changes, and for each rid the moment (Unix seconds) before which cards
    no longer count."""

    counter: int = 0
    rids: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """A version of a resource that replaced another, by its number in the feed."""

    id: str
    version: int


@dataclass(frozen=True)
class Revocations:
    """The revocation lists of one database."""

    database: Database

    async def of(self, kids: Iterable[str]) -> dict[str, Revoked]:
        """The lists of these keys, of those that have one. FhirError 503."""
        async with self.database.reading():
            wanted = {"_id": {"$in": list(kids)}}
            rows = await self.database.rows(REVOCATIONS, [{"$match": wanted}])
        return {row["_id"]: Revoked(int(row["ctr"]), {rid: int(t) for rid, t in row["rids"].items()}) for row in rows}

    async def revoke(self, before: Mapping[tuple[str, str], int]) -> set[tuple[str, str]]:
        """Revoke, by (kid, rid), the cards issued before a moment; a later moment already there stays.

        Gives those that changed anything: safe to repeat, and a counter only counts changes. FhirError 503.
        """
        if not before:
            return set()
        collection = self.database.collection(REVOCATIONS)

        async def body(session: Session) -> set[tuple[str, str]]:
            changed: set[tuple[str, str]] = set()
            for kid in sorted({kid for kid, _ in before}):
                found: Document | None = await collection.find_one({"_id": kid}, session=session)
                known = {} if found is None else found["rids"]
                raised = {rid: t for (of, rid), t in before.items() if of == kid and known.get(rid, -1) < t}
                if not raised:
                    continue
                changed |= {(kid, rid) for rid in raised}
                fresh = {"ctr": 1 if found is None else found["ctr"] + 1, "rids": {**known, **raised}}
                if found is None:
                    await collection.insert_one({"_id": kid, **fresh}, session=session)
                    continue
                where = {"_id": kid, "ctr": found["ctr"]}
                if (await collection.update_one(where, {"$set": fresh}, session=session)).matched_count != 1:
                    raise Conflict
            return changed

        async def landed(changed: set[tuple[str, str]]) -> bool:
            for kid, rid in changed:
                row = await collection.find_one({"_id": kid}, {"rids": 1})
                if row is None or row["rids"].get(rid, -1) < before[kid, rid]:
                    return False
            return True

        async with self.database.writing():
            return await self.database.transaction(body, landed)

    async def followed(self) -> int:
        """The number of the feed to go on from; 0 at first."""
        async with self.database.reading():
            row = await self.database.collection(REVOCATIONS).find_one({"_id": _FOLLOWED}, {"n": 1})
        return 0 if row is None else int(row["n"])

    async def follow(self, number: int, limit: int = 1_000) -> tuple[list[Change], int]:
        """The Immunizations changed or deleted behind this number of the feed, and the number reached."""
        async with self.database.reading():
            rows = await feed.after(self.database, number, limit)
        changes = [Change(row["id"], int(row["v"])) for row in rows if row["t"] == "Immunization" and row["v"] > 1]
        return changes, int(rows[-1]["_id"]) if rows else number

    async def looked_at(self, number: int) -> None:
        """All up to this number of the feed has been looked at."""
        async with self.database.writing():
            await self.database.collection(REVOCATIONS).update_one(
                {"_id": _FOLLOWED}, {"$max": {"n": number}}, upsert=True
            )
