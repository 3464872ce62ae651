"""Held: a job in the hands of one process, which goes on where the last one stopped.

https://hl7.org/fhir/R4/async.html

The holder renews `due` while it works. All it stores is stored together with a comparison of its name, so that none of
it can be stored once another process has the job.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from fhir_server.store.driver import Document, Session
from fhir_server.store.jobs import JOBS, PIECE, PIECES, SECOND, Job, Jobs, job_of, piece_id
from fhir_server.store.query.match import Match


class LostJob(Exception):  # noqa: N818 - not an error: the job was cancelled, or another process has it now
    """The job is no longer this holder's; nothing was stored."""


async def take(jobs: Jobs, holder: str, seconds: float) -> "Held | None":
    """The job that has been due longest, held for so many seconds; None where none is. Clears up on its way."""
    while True:
        now = jobs.database.clock()
        due: list[Match] = [{"$match": {"due": {"$lte": now}}}, {"$sort": {"due": 1}}, {"$limit": 1}]
        async with jobs.database.reading():
            found = await jobs.database.rows(JOBS, due)
        if not found:
            return None
        document = found[0]
        if document["state"] != "open":
            await jobs.end(document["_id"])
            continue
        taken = {"holder": holder, "due": now + int(seconds * SECOND), "tries": document["tries"] + 1}
        taken["began"] = document["began"] or now
        if await jobs.update({"_id": document["_id"], "state": "open", "due": document["due"]}, taken):
            return Held(jobs, job_of(document | taken), holder, seconds, document["in"])


@dataclass
class Held:
    """A job in the hands of one process. All of it raises LostJob once the job is another's or nobody's."""

    jobs: Jobs
    job: Job
    holder: str
    seconds: float
    received: int
    """Pieces of the file that was sent."""
    steps: int = 0
    out: int = 0
    size: int = 0

    def content(self) -> AsyncIterator[bytes]:
        """The file that was sent."""
        return self.jobs.pieces(self.job.id, "in", self.received)

    async def records(self) -> AsyncIterator[bytes]:
        """What was recorded of the steps that are done, by whichever process, in order."""
        document = await self._mine()
        self.steps, self.out, self.size = document["log"], document["out"], document["size"]
        async for record in self.jobs.pieces(self.job.id, "log", self.steps):
            yield record

    async def record(self, record: bytes, answer: bytes, progress: str) -> None:
        """A step is done: what to know of it, its part of the answer, and in up to 100 characters how far the job is.

        All of it or nothing is stored. `records` must have been read to its end before.
        """
        parts = [answer[start : start + PIECE] for start in range(0, len(answer), PIECE)]
        documents = [{"_id": piece_id(self.job.id, "log", self.steps), "data": record}]
        documents += [
            {"_id": piece_id(self.job.id, "out", self.out + number), "data": part} for number, part in enumerate(parts)
        ]
        change = {"out": self.out + len(parts), "size": self.size + len(answer), "progress": progress[:100]}
        await self._step({**change, "log": self.steps + 1, "tries": 0}, documents)
        self.steps, self.out, self.size = self.steps + 1, self.out + len(parts), self.size + len(answer)

    async def finish(self, head: bytes, tail: bytes, keep_seconds: int) -> None:
        """The job is done: the answer is `head`, what was recorded, and `tail` (each up to 1 MB)."""
        size = self.size + len(head) + len(tail)
        await self._end({"state": "done", "head": head, "tail": tail, "size": size}, keep_seconds)

    async def fail(self, status: int, outcome: bytes, keep_seconds: int) -> None:
        """The job cannot be done, for the reason in this OperationOutcome."""
        await self._end({"state": "failed", "status": status, "outcome": outcome}, keep_seconds)

    async def renew(self) -> None:
        """Hold on to it."""
        await self._compare_and_set({"due": self._later(self.seconds)})

    async def require(self) -> None:
        """LostJob unless it is still held."""
        await self._mine()

    async def give_back(self, seconds: float) -> None:
        """Let any process go on with it, after so many seconds."""
        await self._compare_and_set({"due": self._later(seconds), "holder": ""})

    async def _end(self, change: Document, keep_seconds: int) -> None:
        await self._compare_and_set({**change, "due": self._later(keep_seconds), "progress": ""})
        await self.jobs.discard(self.job.id, "in", "log")

    async def _mine(self) -> Document:
        async with self.jobs.database.reading():
            found: Document | None = await self.jobs.database.collection(JOBS).find_one(self._where())
        if found is None:
            raise LostJob
        return found

    async def _compare_and_set(self, change: Document) -> None:
        if not await self.jobs.update(self._where(), change):
            raise LostJob

    async def _step(self, change: Document, pieces: Iterable[Document]) -> None:
        database = self.jobs.database
        inserted = list(pieces)

        async def body(session: Session) -> bool:
            where = {**self._where(), "log": self.steps}
            change["due"] = self._later(self.seconds)
            done = await database.collection(JOBS).update_one(where, {"$set": change}, session=session)
            if done.matched_count != 1:
                return False
            await database.collection(PIECES).insert_many(inserted, session=session)
            return True

        async def landed(stepped: bool) -> bool:
            found = await database.collection(JOBS).find_one({**self._where(), "log": self.steps + 1}, {"log": 1})
            return stepped and found is not None

        async with database.writing(100):
            if not await database.transaction(body, landed):
                raise LostJob

    def _where(self) -> Document:
        return {"_id": self.job.id, "holder": self.holder, "state": "open"}

    def _later(self, seconds: float) -> int:
        return self.jobs.database.clock() + int(seconds * SECOND)
