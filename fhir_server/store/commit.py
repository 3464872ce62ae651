"""Commit: writes become versions, all in one transaction or none.

https://hl7.org/fhir/R4/http.html#concurrency

One transaction holds: claims first, the new current versions, the superseded ones and tombstones in the history, and
one outbox document that names every change in order. All changes of a commit carry one instant, later than that of any
version they replace. Versions are compared and set, never locked.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType

from pymongo.errors import PyMongoError

from fhir_server.caller import Access, Predicate, concern, to
from fhir_server.fhir.condition import EVERYTHING
from fhir_server.fhir.outcome import refuse
from fhir_server.store import claims, failures, relations
from fhir_server.store.bulk import Bulk
from fhir_server.store.claims import Conditional, LostClaim, Ticket
from fhir_server.store.database import Database
from fhir_server.store.documents import version_key
from fhir_server.store.driver import Session
from fhir_server.store.idempotency import Idempotency
from fhir_server.store.query.search import Search
from fhir_server.store.records import ClaimTaken, Committed, Create, Delete, Once, Stored, Write
from fhir_server.store.schema import history_of
from fhir_server.store.versions import Before, Versions, load

_log = logging.getLogger(__name__)

Also = Callable[[Session], Awaitable[None]]
NOTHING_ELSE: Mapping[int, Also] = MappingProxyType({})

LOOKS = 50
"""Times a conditional create looks again after losing its claim."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Commits to one database."""

    database: Database
    search: Search

    async def run(
        self,
        predicate: Predicate,
        writes: Sequence[Write],
        also: Mapping[int, Also] = NOTHING_ELSE,
        once: Once | None = None,
    ) -> list[Committed]:
        """What each write came to, in their order. `also` is done in the transaction, by the number of the write it
        belongs to, unless that write changes nothing. With `once` the transaction records that it has been done.

        FhirError: 400 two writes to one resource, 403 a write beyond the caller's reach, 404 or 410 an update of what
        is not there, 409 a taken id or lasting contention, 412 a stale version or several matches, 413 too large, 503
        database away. Raises ClaimTaken for a `must_create` whose resource is there, AlreadyDone as `once` tells.
        """
        writes = [_promised(predicate, write) for write in writes]
        _require_distinct(writes)
        for _ in range(LOOKS):
            tickets, matched = await self._look(predicate, writes)
            if len(matched) == len(writes) and once is None:
                return [matched[number] for number in range(len(writes))]
            attempt = _Attempt(self.database, self.search, predicate, writes, also, tickets, matched, once)
            try:
                committed = await self.database.transaction(attempt.run, self._landed, attempt.reads)
            except LostClaim:
                continue
            await self._open(attempt.widened)
            return committed
        raise failures.contended()

    async def _look(
        self, predicate: Predicate, writes: Sequence[Write]
    ) -> tuple[dict[int, Ticket], dict[int, Committed]]:
        """By the number of the write: the tickets of conditional creates, and those that found their resource."""
        wanted = _conditional(writes)
        if not wanted:
            return {}, {}
        found = await claims.look(self.database, self.search, to(predicate, "s"), wanted)
        tickets = {number: each for number, each in found.items() if isinstance(each, Ticket)}
        if any(wanted[number][0].must_create for number in found.keys() - tickets.keys()):
            raise ClaimTaken
        for each in found.values():
            if isinstance(each, Stored):
                concern(predicate, each.patients)
        return tickets, {
            number: Committed(each, "matched") for number, each in found.items() if isinstance(each, Stored)
        }

    async def _open(self, patients: set[str]) -> None:
        """Give what was stored before about these patients the keys of their new relationships. What fails here is
        done later (relations.finish): the write itself is stored."""
        try:
            await relations.sweep(self.database, patients)
        except PyMongoError as error:
            _log.warning("relationships wait for the database: %s", type(error).__name__)

    async def _landed(self, results: list[Committed]) -> bool:
        """Whether a commit whose reply was lost is stored: its first change is there, with its very instant."""
        for committed in results:
            version = committed.stored
            if version is None or not committed.changed:
                continue
            now = await self.database.collection(version.type).find_one({"_id": version.id}, {"vid": 1, "lu": 1})
            if now is not None and (now["vid"], now["lu"]) == (version.version, version.updated):
                return True
            key = version_key(version.id, version.version)
            then = await self.database.collection(history_of(version.type)).find_one({"_id": key}, {"lu": 1})
            return then is not None and bool(then["lu"] == version.updated)
        return True


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One commit's transaction body; runs again with fresh state when others were in its way."""

    database: Database
    search: Search
    predicate: Predicate
    writes: Sequence[Write]
    also: Mapping[int, Also]
    tickets: dict[int, Ticket]
    matched: dict[int, Committed]
    once: Once | None = None
    fresh: set[str] = field(default_factory=set)
    """Patients that come new, of whom nothing can be known; empty once that proved wrong."""
    widened: set[str] = field(default_factory=set)
    """After a run: the patients with whom something was stored before that others may see now."""

    def __post_init__(self) -> None:
        self.fresh.update(
            f"Patient/{each.id}" for each in self.writes if each.type == "Patient" and isinstance(each, Create)
        )

    def reads(self) -> bool:
        """Whether anything is read before it is written: most creates need nothing of what there is."""
        if self.tickets or self.once is not None or self.also:
            return True
        if not all(isinstance(write, Create) for write in self.writes):
            return True
        return bool(Before({}, {}).patients(self.writes) - self.fresh)

    async def run(self, session: Session) -> list[Committed]:
        if self.once is not None:
            await Idempotency(self.database).require_new(session, self.once)
        if self.tickets:
            wanted = _conditional(self.writes)
            await claims.take(self.database, self.search, session, to(self.predicate, "s"), wanted, self.tickets)
        open_writes = [write for number, write in enumerate(self.writes) if number not in self.matched]
        before = await load(self.database, session, open_writes)
        instant = before.instant(self.database.clock())
        ties = await relations.load(self.database, session, before.patients(open_writes) - self.fresh, instant)
        # If somebody has told something of one already, the next run looks.
        self.fresh.clear()
        versions = Versions(before, self.predicate, instant, ties)
        versions.register(open_writes)
        results = [
            self.matched[number] if number in self.matched else versions.add(write)
            for number, write in enumerate(self.writes)
        ]
        if self.once is not None:
            await Idempotency(self.database).record(session, self.once, results)
        for number, act in self.also.items():
            if results[number].changed:
                await act(session)
        if versions.changes:
            versions.complete()
            await self._bulk(versions).run(session)
        self.widened.clear()
        self.widened.update(ties.widened)
        return results

    def _bulk(self, versions: Versions) -> Bulk:
        bulk = Bulk(self.database)
        relations.keep(bulk, versions.ties)
        for name, documents in versions.inserts.items():
            bulk.insert(name, documents)
        for name, replaced in versions.replaces.items():
            for document in replaced:
                bulk.replace(name, {"_id": document["_id"], "vid": document["vid"] - 1}, document)
        for name, removed in versions.deletes.items():
            for id, version in removed:
                bulk.delete(name, {"_id": id, "vid": version})
        bulk.insert("outbox", [{"_id": secrets.token_hex(12), "lu": versions.updated, "c": versions.changes}])
        return bulk


def _promised(predicate: Predicate, write: Write) -> Write:
    """The write, its claim kept apart from those of callers who see another world."""
    if isinstance(write, Delete) or write.unless is None or not isinstance(predicate, Access):
        return write
    seen = to(predicate, "s")(write.type)
    if seen == EVERYTHING:
        return write
    domain = sha256(repr(seen).encode()).hexdigest()[:32]
    return replace(write, unless=replace(write.unless, domain=domain))


def _conditional(writes: Sequence[Write]) -> dict[int, Conditional]:
    """The writes with a precondition, by their number."""
    return {
        number: (write, write.unless)
        for number, write in enumerate(writes)
        if not isinstance(write, Delete) and write.unless is not None
    }


def _require_distinct(writes: Sequence[Write]) -> None:
    seen: set[tuple[str, str]] = set()
    for write in writes:
        targets = [(write.type, write.id)]
        if not isinstance(write, Delete) and write.unless is not None:
            promised = (write.type, "?" + claims.key_of(write.type, write.unless))
            targets = [promised] if isinstance(write, Create) else [*targets, promised]
        if not seen.isdisjoint(targets):
            text = f"Two entries concern the same resource, {write.type}/{write.id}."
            raise refuse(400, "invalid", "duplicate-identity", text)
        seen.update(targets)
