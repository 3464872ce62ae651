"""Idempotency: which requests with a key of their own have been done, and what came of them.

https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header

A record {_id: key, fp: fingerprint, exp, out: [[type, id, version, effect]], n: numbers} is written in the transaction
of the effect: there is one exactly where there is the other. It holds no content; a reply is made again of the versions
it names.
"""

from dataclasses import dataclass

from pymongo.errors import PyMongoError

from fhir_server.caller import Predicate, concern, to
from fhir_server.fhir.outcome import refuse
from fhir_server.store import failures, reads
from fhir_server.store.database import Database
from fhir_server.store.driver import Collection, Document, Session
from fhir_server.store.records import AlreadyDone, Committed, Once, Recalled, Stored

RECORDS = "idempotency"
_SWEEP = 64
"""One in so many records is an occasion to remove those that have expired."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The records of one database."""

    database: Database

    async def recall(self, predicate: Predicate, once: Once) -> Recalled | None:
        """What came of this request, None where it has not been done.

        FhirError 422 where the key came with another request; 404 where the caller may no longer know of what was done.
        """
        found = await self._live(once, None)
        if found is None:
            return None
        _require_same(found, once)
        committed = [await self._again(to(predicate, None), *outcome) for outcome in found["out"]]
        return Recalled(tuple(committed), tuple(found["n"]))

    async def begin(self, once: Once) -> None:
        """Keep the key of a request whose parts are recorded one by one. FhirError 422 as of `recall`."""
        found = await self._live(once, None)
        if found is None:
            try:
                await self._records.replace_one({"_id": once.key}, self._record(once), upsert=True)
            except PyMongoError as error:
                if failures.code_of(error) != failures.DUPLICATE_KEY:
                    raise
            found = await self._live(once, None)
        if found is not None:
            _require_same(found, once)

    async def require_new(self, session: Session, once: Once) -> None:
        """Raise AlreadyDone where the request has been done, as this transaction sees it."""
        if await self._live(once, session) is not None:
            raise AlreadyDone

    async def record(self, session: Session, once: Once, committed: list[Committed]) -> None:
        """Say in this transaction that the request is done. Raises AlreadyDone where another one was faster."""
        outcomes = [_outcome(each) for each in (*committed, *once.besides)]
        record = {**self._record(once), "out": outcomes, "n": list(once.numbers)}
        try:
            # One that has expired is in the way of its key; a live one would have been seen.
            await self._records.delete_one({"_id": once.key, "exp": {"$lte": self.database.clock()}}, session=session)
            await self._records.insert_one(record, session=session)
        except PyMongoError as error:
            if failures.code_of(error) != failures.DUPLICATE_KEY:
                raise
            raise AlreadyDone from None

    async def sweep(self, once: Once) -> None:
        """Now and then, remove what has expired."""
        if int(once.key[:8], 16) % _SWEEP == 0:
            await self._records.delete_many({"exp": {"$lte": self.database.clock()}})

    @property
    def _records(self) -> Collection:
        return self.database.collection(RECORDS)

    def _record(self, once: Once) -> Document:
        expires = self.database.clock() + once.seconds * 1_000_000
        return {"_id": once.key, "fp": once.fingerprint, "exp": expires, "out": [], "n": []}

    async def _live(self, once: Once, session: Session | None) -> Document | None:
        found: Document | None = await self._records.find_one({"_id": once.key}, session=session)
        return found if found is not None and found["exp"] > self.database.clock() else None

    async def _again(self, predicate: Predicate, kind: str, id: str, version: int, effect: str) -> Committed:
        if effect == "unchanged":
            return Committed(None, "unchanged")
        if effect == "deleted":
            return Committed(Stored(kind, id, version, 0, None, "DELETE"), "deleted")
        stored = await reads.vread(self.database, predicate(kind), kind, id, version)
        concern(predicate, stored.patients)
        return Committed(stored, "created" if effect == "created" else "updated" if effect == "updated" else "matched")


def _outcome(committed: Committed) -> list[str | int]:
    version = committed.stored
    return ["", "", 0, committed.effect] if version is None else [
        version.type, version.id, version.version, committed.effect
    ]  # fmt: skip


def _require_same(found: Document, once: Once) -> None:
    if found["fp"] != once.fingerprint:
        text = "This Idempotency-Key came with another request before; a new request needs a new key."
        raise refuse(422, "business-rule", "idempotency-key-reused", text, "Idempotency-Key")
