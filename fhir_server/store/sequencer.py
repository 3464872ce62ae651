"""Sequencer: numbers committed changes into the feed, one process at a time.

https://hl7.org/fhir/R4/http.html#history

Every commit leaves one outbox document {_id, lu, c: [[type, id, version, method], ...]}. The process that holds the
lease {_id: "sequencer", holder, until, n, at} moves them, oldest first, into `feed` under the next numbers, in a
transaction that also advances `n` under its own name: after losing the lease none of it can be stored. All versions of
one resource have rising `lu`, and a later one is never visible without the earlier, so they are numbered in order.
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field

from pymongo.errors import PyMongoError

from fhir_server.background import Background
from fhir_server.store.bulk import Bulk
from fhir_server.store.database import Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.match import Match

_log = logging.getLogger(__name__)

LEASE_SECONDS = 5.0
POLL_SECONDS = 0.2
"""How soon changes of other processes are seen; those of this one wake the sequencer."""
PAUSE_SECONDS = 0.1
"""Waited after a wake-up, so that a burst of commits is numbered at once."""
SETTLE_SECONDS = LEASE_SECONDS + 2
"""Longer than the lease of a process that was killed: a history that is asked for meanwhile comes late, but whole."""
COMMITS_AT_ONCE = 100
_LEASE = {"_id": "sequencer"}


@dataclass
class Sequencer:
    """This process's candidate for the lease. `start` it once, `close` it before the database."""

    database: Database
    _name: str = field(default_factory=lambda: secrets.token_hex(8))
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _numbering: asyncio.Lock = field(default_factory=asyncio.Lock)
    _holds_until: int = 0
    numbered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever this process has numbered changes; who waits for it clears it."""

    def __post_init__(self) -> None:
        self._background = Background("sequencer", self._once)

    async def start(self) -> None:
        """Make the lease where it is missing, and begin to number in the background."""
        fresh = {"holder": "", "until": 0, "n": 0, "at": 0}
        await self.database.collection("leases").update_one(_LEASE, {"$setOnInsert": fresh}, upsert=True)
        self._background.start()

    def wake(self) -> None:
        """Something was committed."""
        self._woken.set()

    async def settle(self) -> None:
        """Return when all that was committed before this call is numbered, or after SETTLE_SECONDS."""
        outbox = self.database.collection("outbox")
        waiting = [row["_id"] for row in await outbox.find({}, {"lu": 1}).to_list(1_000)]
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while waiting:
                    if not await self._number_all():
                        await asyncio.sleep(0.02)
                    if await outbox.find_one({"_id": waiting[-1]}, {"lu": 1}) is None:
                        waiting.pop()
        except TimeoutError:
            _log.warning("the feed lags: %d commits wait to be numbered", len(waiting))

    async def close(self) -> None:
        """Stop, and leave the lease to others at once."""
        await self._background.close()
        try:
            async with asyncio.timeout(1):
                mine = {**_LEASE, "holder": self._name}
                await self.database.collection("leases").update_one(mine, {"$set": {"until": 0}})
        except (PyMongoError, TimeoutError) as error:
            # It expires by itself.
            _log.debug("the lease was not given back: %s", type(error).__name__)

    async def _once(self) -> None:
        """Number what was committed, and wait for more."""
        try:
            await self._number_all()
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
            self._woken.clear()
            await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            return
        except PyMongoError as error:
            _log.warning("the feed waits for the database: %s", type(error).__name__)
            await asyncio.sleep(POLL_SECONDS)

    async def _number_all(self) -> bool:
        """Number everything committed; False where another process holds the lease."""
        async with self._numbering:
            while True:
                if await self.database.collection("outbox").find_one({}, {"lu": 1}) is None:
                    return True
                if not await self._hold():
                    return False
                last, commits = await self.database.transaction(self._number, self._landed)
                if last < 0:
                    self._holds_until = 0
                self.numbered.set()
                if 0 < commits < COMMITS_AT_ONCE:
                    return True

    async def _hold(self) -> bool:
        now = self.database.clock()
        if self._holds_until > now:
            return True
        until = now + int(LEASE_SECONDS * 1_000_000)
        free = {**_LEASE, "$or": [{"holder": self._name}, {"until": {"$lt": now}}]}
        taken = await self.database.collection("leases").update_one(
            free, {"$set": {"holder": self._name, "until": until}}
        )
        if taken.matched_count != 1:
            return False
        # Renewed at half time, so that it never runs out under us.
        self._holds_until = now + (until - now) // 2
        return True

    async def _number(self, session: Session) -> tuple[int, int]:
        """Number the oldest commits; gives the last number, -1 where the lease was lost, and how many commits."""
        lease = await self.database.collection("leases").find_one({**_LEASE, "holder": self._name}, session=session)
        if lease is None:
            return -1, 0
        oldest: list[Match] = [
            {"$match": {"lu": {"$gte": 0}}},
            {"$sort": {"lu": 1, "_id": 1}},
            {"$limit": COMMITS_AT_ONCE},
        ]
        commits = await self.database.rows("outbox", oldest, session)
        number, at = int(lease["n"]), max(self.database.clock(), int(lease["at"]))
        if not commits:
            return number, 0
        rows = [_row(commit, change, at) for commit in commits for change in commit["c"]]
        for offset, row in enumerate(rows, 1):
            row["_id"] = number + offset
        bulk = Bulk(self.database)
        held = {"_id": lease["_id"], "holder": self._name, "n": lease["n"]}
        bulk.change("leases", held, {"n": number + len(rows), "at": at})
        bulk.insert("feed", rows)
        for commit in commits:
            bulk.delete("outbox", {"_id": commit["_id"]})
        await bulk.run(session)
        return number + len(rows), len(commits)

    async def _landed(self, numbered: tuple[int, int]) -> bool:
        """Whether a numbering whose reply was lost is stored."""
        last, _ = numbered
        return last < 0 or await self.database.collection("feed").find_one({"_id": last}, {"lu": 1}) is not None


def _row(commit: Document, change: list[str | int], at: int) -> Document:
    """A row of the feed: type, id, version, method, instant of the commit and of its numbering (microseconds)."""
    resource_type, id, version, method = change
    return {"_id": 0, "t": resource_type, "id": id, "v": version, "m": method, "lu": commit["lu"], "at": at}
