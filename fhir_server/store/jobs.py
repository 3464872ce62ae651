"""Jobs: work that outlives its request; what was asked for, how far it is, and what came of it.

https://hl7.org/fhir/R4/async.html

A job is a document {_id, kind, owner, caller, given, state, due, holder, tries, ...} and numbered pieces of three
files: `in` (what was sent), `log` (a record of every step done, to go on from) and `out` (the answer, between `head`
and `tail`). `due` is the instant from which any process may take the job (held.py): to run it, to go on where its
holder died, or to remove it.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fhir_server.caller import Caller
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.store.database import Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.match import Match

JOBS, PIECES = "jobs", "job_pieces"
PIECE = 1_000_000
"""Bytes of a piece."""
MOST_OPEN = 20
"""Jobs one caller may have waiting or running."""
RECEIVING_SECONDS = 7_200
"""After this a file that never arrived whole is removed."""
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. `state` is receiving, open, done, failed or removed; instants are microseconds since 1970,
    UTC. `outcome` is the status and OperationOutcome of one that failed; `size` the bytes of the answer."""

    id: str
    kind: str
    caller: Caller
    given: Mapping[str, Any]
    state: str
    due: int
    made: int
    began: int
    progress: str
    steps: int
    tries: int
    size: int
    outcome: tuple[int, bytes]


@dataclass
class Jobs:
    """The jobs of one database."""

    database: Database
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process has opened a job."""

    async def enqueue(
        self, caller: Caller, kind: str, given: Mapping[str, Any], content: AsyncIterator[bytes] | None = None
    ) -> Job:
        """Keep a new job and the file that belongs to it, a piece at a time; then let it be run.

        FhirError 429 where the caller has too many already; whatever reading `content` raises, and then nothing stays.
        """
        await self._require_room(caller)
        now = self.database.clock()
        id = secrets.token_urlsafe(24)
        fresh: Document = {"state": "receiving", "due": now + RECEIVING_SECONDS * SECOND, "made": now, "began": 0}
        fresh |= {"kind": kind, "owner": caller.subject, "caller": msgspec.to_builtins(caller), "given": dict(given)}
        fresh |= {"_id": id, "holder": "", "tries": 0, "progress": "", "in": 0, "log": 0, "out": 0, "size": 0}
        async with self.database.writing():
            await self._documents.insert_one(fresh)
        try:
            count = 0 if content is None else await self._receive(id, content)
            opened = {"state": "open", "due": self.database.clock(), "in": count}
            await self.update({"_id": id, "state": "receiving"}, opened)
        except BaseException:
            with contextlib.suppress(FhirError):
                await self.end(id)
            raise
        self.woken.set()
        return job_of(fresh | opened)

    async def find(self, caller: Caller, id: str) -> Job:
        """The caller's own job. FhirError 404 for any other."""
        return job_of(await self._own(caller, id))

    async def remove(self, caller: Caller, id: str) -> None:
        """Stop the caller's own job and forget it. FhirError 404 for any other."""
        await self.find(caller, id)
        await self.end(id)

    async def answer(self, caller: Caller, id: str) -> AsyncIterator[bytes]:
        """The answer of the caller's own job that is done, a piece at a time. FhirError 404 for any other."""
        document = await self._own(caller, id)
        if document["state"] == "done":
            yield document["head"]
            async for piece in self.pieces(id, "out", document["out"]):
                yield piece
            yield document["tail"]

    async def update(self, where: Match, change: Document) -> bool:
        """Compare and set one job, again while others are in the way; whether it was as `where` says. `change` gives
        it a new `due`, by which it is known again where the reply is lost."""

        async def body(session: Session) -> bool:
            done = await self._documents.update_one(where, {"$set": change}, session=session)
            return bool(done.matched_count == 1)

        async def landed(matched: bool) -> bool:
            same = {"_id": where["_id"], "due": change["due"]}
            return not matched or await self._documents.find_one(same, {"due": 1}) is not None

        async with self.database.writing():
            return await self.database.transaction(body, landed)

    async def pieces(self, id: str, name: str, count: int, first: int = 0) -> AsyncIterator[bytes]:
        """The pieces of a file in order, as long as they are there."""
        for number in range(first, count):
            async with self.database.reading():
                piece = await self.database.collection(PIECES).find_one({"_id": piece_id(id, name, number)})
            if piece is None:
                return
            yield piece["data"]

    async def discard(self, id: str, *names: str) -> None:
        """Forget these files of a job, or all of them."""
        for prefix in [f"{id}|{name}|" for name in names] or [f"{id}|"]:
            async with self.database.writing(100):
                span = {"$gte": prefix, "$lt": prefix[:-1] + "}"}
                await self.database.collection(PIECES).delete_many({"_id": span})

    async def end(self, id: str) -> None:
        """Remove a job; first out of sight and due, so that another ends what cannot be ended now."""
        await self.update({"_id": id}, {"state": "removed", "due": 0, "holder": ""})
        await self.discard(id)
        async with self.database.writing():
            await self._documents.delete_one({"_id": id})

    async def _receive(self, id: str, content: AsyncIterator[bytes]) -> int:
        count = 0
        async for piece in _regrouped(content):
            async with self.database.writing():
                await self.database.collection(PIECES).insert_one({"_id": piece_id(id, "in", count), "data": piece})
            count += 1
        return count

    async def _require_room(self, caller: Caller) -> None:
        mine: Match = {"owner": caller.subject, "state": {"$in": ["receiving", "open"]}}
        async with self.database.reading():
            pipeline: list[Match] = [{"$match": {"due": {"$gte": 0}}}, {"$match": mine}, {"$count": "n"}]
            counted = await self.database.rows(JOBS, pipeline)
        if counted and counted[0]["n"] >= MOST_OPEN:
            text = f"{MOST_OPEN} jobs of yours are waiting or running. Let one end, or remove it."
            error = refuse(429, "throttled", "too-many-jobs", text)
            raise FhirError(429, error.issues, {"Retry-After": "10"})

    async def _own(self, caller: Caller, id: str) -> Document:
        async with self.database.reading():
            document: Document | None = await self._documents.find_one({"_id": id})
        if document is None or document["owner"] != caller.subject or document["state"] in ("receiving", "removed"):
            raise refuse(404, "not-found", "unknown-job", "There is no such job; it may have been removed.")
        return document

    @property
    def _documents(self) -> Any:
        return self.database.collection(JOBS)


def piece_id(id: str, name: str, number: int) -> str:
    """The id of a piece."""
    return f"{id}|{name}|{number:08d}"


def job_of(document: Document) -> Job:
    """The job in this document."""
    return Job(
        document["_id"],
        document["kind"],
        _caller(document),
        document["given"],
        document["state"],
        int(document["due"]),
        int(document["made"]),
        int(document["began"]),
        document["progress"],
        int(document["log"]),
        int(document["tries"]),
        int(document["size"]),
        (int(document.get("status", 0)), document.get("outcome", b"")),
    )


def _caller(document: Document) -> Caller:
    if "caller" not in document:
        # Asked for by an earlier version, which had no scopes.
        return Caller(document["owner"], frozenset(document["roles"]))
    return msgspec.convert(document["caller"], Caller)


async def _regrouped(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of PIECE."""
    waiting = bytearray()
    async for chunk in content:
        waiting += chunk
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)
