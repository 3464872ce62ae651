"""Search: one page of a type, its count, its ids and its keys, by the way that looks at the fewest documents.

https://hl7.org/fhir/R4/search.html
"""

import time
from dataclasses import dataclass

from fhir_server.fhir.condition import All, Condition
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.store.access_log import log
from fhir_server.store.database import Database
from fhir_server.store.documents import HASHES, RAW, stored
from fhir_server.store.driver import Document, Pipeline, Session
from fhir_server.store.query import ways
from fhir_server.store.query.plan import COUNTED, NATURAL, Candidate, candidates, is_plain, order, remainder
from fhir_server.store.query.statistics import Statistics
from fhir_server.store.query.ways import ALLOWED, BUDGET, SECONDS, Rows, too_costly
from fhir_server.store.records import Page, Selection
from fhir_server.store.schema import LOG

FOUND = 100_000
"""Documents an index may find for one query; each costs about 5 microseconds, 15 where they are sorted."""
SMALL = 2_000
"""A type, or a number of hits, that needs no thought."""
AT_ONCE = 1_000
"""Rows read at a time where only their keys are wanted."""


def joined(visible: Condition, where: Condition) -> Condition:
    """What is asked for, of what exists for this caller."""
    return All((where, visible))


@dataclass(frozen=True, slots=True)
class Search:
    """Searches one database. Conditions come with the access predicate already joined to them."""

    database: Database
    statistics: Statistics

    async def page(self, selection: Selection, session: Session | None = None) -> Page:
        """One page in the order asked for; `next` is None on the last."""
        if selection.limit <= 0:
            return Page((), None)
        asked = order(selection.sort)
        if selection.type == LOG:
            asked = asked if selection.sort else log.NEWEST
            documents = await self._logged(Rows(selection, asked, RAW, session))
        else:
            documents = await self._documents(Rows(selection, asked, RAW, session))
        rows = documents[: selection.limit]
        following = asked.position(rows[-1]) if len(documents) > selection.limit else None
        positions = tuple(asked.position(row) for row in rows) if selection.sort else ()
        return Page(tuple(stored(selection.type, row) for row in rows), following, positions)

    async def places(
        self, collection: str, where: Condition, limit: int, after: tuple[str | int, ...] | None
    ) -> tuple[list[str], tuple[str | int, ...] | None]:
        """The ids of one page of a collection whose documents have index entries, and where to go on; None at the
        end."""
        asked = Selection(collection, where, limit=limit, after=after)
        documents = await self._documents(Rows(asked, NATURAL, {"vid": 1}))
        rows = documents[:limit]
        following = NATURAL.position(rows[-1]) if len(documents) > limit else None
        return [row["_id"] for row in rows], following

    async def ids(self, resource_type: str, where: Condition, limit: int) -> list[str]:
        """The ids of all matches. FhirError 400 `too-costly` beyond `limit`: never cut off silently."""
        documents = await self._documents(Rows(Selection(resource_type, where, limit=limit), NATURAL, {"vid": 1}))
        found = [document["_id"] for document in documents]
        if resource_type == LOG:
            found += await log.ids(self.database, where)
        if len(found) > limit:
            raise _too_many(resource_type, limit)
        return found

    async def keys(self, resource_type: str, where: Condition, prefix: str, limit: int) -> set[str]:
        """The distinct keys in `tk` that start with `prefix`, of all matches. FhirError 400 beyond `limit`."""
        found = await log.tokens(self.database, where, prefix) if resource_type == LOG else set[str]()
        after: tuple[str | int, ...] | None = None
        for _ in range(BUDGET // AT_ONCE):
            selection = Selection(resource_type, where, limit=AT_ONCE, after=after)
            documents = await self._documents(Rows(selection, NATURAL, {"tk": 1}))
            found |= {key for document in documents for key in document["tk"] if key.startswith(prefix)}
            if len(found) > limit:
                break
            if len(documents) <= AT_ONCE:
                return found
            after = NATURAL.position(documents[AT_ONCE - 1])
        raise _too_many(resource_type, limit)

    async def count(self, resource_type: str, where: Condition) -> int:
        """How many match, exactly. FhirError 400 `too-costly` where that means looking at too many."""
        logged = await log.count(self.database, where) if resource_type == LOG else 0
        return logged + await self._number(resource_type, where)

    async def _number(self, resource_type: str, where: Condition) -> int:
        size = await self.statistics.size(resource_type)
        chosen = await self._choose(resource_type, where, size)
        rest = remainder(where, chosen)
        if chosen is not None and self._expected(resource_type, chosen, size) <= FOUND:
            if len(chosen.firsts) == 1:
                return await self._counted(resource_type, [{"$match": chosen.firsts[0]}, *rest])
            return len(await self._distinct(resource_type, chosen, rest))
        if not rest:
            return await self._counted(resource_type, [{"$match": {}}])
        if size > FOUND:
            raise too_costly(resource_type)
        started, total, windows = time.monotonic(), 0, max(1, size // BUDGET)
        for number in range(windows):
            first = {"h": {"$gte": HASHES * number // windows, "$lt": HASHES * (number + 1) // windows}}
            total += await self._counted(resource_type, [{"$match": first}, *rest])
            if size > ALLOWED and number + 1 < windows and time.monotonic() - started > SECONDS:
                raise too_costly(resource_type)
        return total

    async def _distinct(self, resource_type: str, chosen: Candidate, rest: Pipeline) -> set[str]:
        """The ids found by any part of a long list: a resource may be found by several."""
        found: set[str] = set()
        for first in chosen.firsts:
            pipeline = [{"$match": first}, *rest, {"$project": {"vid": 1}}]
            found |= {row["_id"] for row in await self.database.rows(resource_type, pipeline)}
        return found

    async def _counted(self, resource_type: str, pipeline: Pipeline) -> int:
        found = await self.database.rows(resource_type, [*pipeline, COUNTED])
        return int(found[0]["n"]) if found else 0

    async def _logged(self, rows: Rows) -> list[Document]:
        """As `_documents`, of AuditEvents: those of the access log, and the others."""
        selection = rows.selection
        found = await log.documents(self.database, selection.where, rows.order, selection.after, rows.wanted)
        return rows.order.sorted([*found, *await self._documents(rows)])[: rows.wanted]

    async def _documents(self, rows: Rows) -> list[Document]:
        """Up to one document more than the limit, in order."""
        selection = rows.selection
        kind = selection.type
        size = await self.statistics.size(kind)
        chosen = await self._choose(kind, selection.where, size)
        hits = size
        if chosen is not None:
            known = self.statistics.known(kind, chosen)
            if known is None or known <= ways.FEW:
                documents = await ways.few(self.database, rows, chosen)
                if documents is not None:
                    return documents
            hits = await self.statistics.hits(kind, chosen)
            if rows.order is NATURAL and chosen.halves is not None and hits > 4 * rows.wanted:
                documents = await self._halves(rows, *chosen.halves)
                if documents is not None:
                    return documents
        if rows.order is NATURAL and (chosen is None or hits > SMALL or _is_walked(chosen, rows, hits)):
            if chosen is not None and chosen.walked:
                return await ways.walk(self.database, rows, chosen, await self._most(kind, chosen))
            # A walk looks at about limit x size / hits documents, the index at all hits.
            if chosen is None or hits * hits > 1.5 * rows.wanted * size:
                try:
                    return await ways.walk(self.database, rows, None, size)
                except FhirError:
                    if chosen is None or hits > FOUND:
                        raise
        newest_first = bool(selection.sort) and selection.sort[0].parameter == "_lastUpdated"
        if newest_first and hits > SMALL:
            return await ways.recent(self.database, rows)
        if hits > (ALLOWED if chosen is None else FOUND):
            raise too_costly(kind)
        return await ways.gather(self.database, rows, chosen, True, hits <= SMALL and is_plain(selection.where))

    async def _most(self, kind: str, chosen: Candidate) -> int:
        """About how many documents the most frequent key finds: those of a list have most documents in common."""
        keys = [Candidate("equality", (each,), chosen.rank, chosen.sure) for each in chosen.walked]
        return max([await self.statistics.hits(kind, each) for each in keys])

    async def _halves(self, rows: Rows, whole: Candidate, longer: Candidate) -> list[Document] | None:
        """A page of what begins with a string, where much is exactly that string and only little longer."""
        kind = rows.selection.type
        expected = await self.statistics.hits(kind, whole)
        if not _is_walked(whole, rows, expected) or await self.statistics.hits(kind, longer) > ways.FEW:
            return None
        return await ways.halves(self.database, rows, whole, expected, longer)

    async def _choose(self, kind: str, where: Condition, size: int) -> Candidate | None:
        """The beginning with the fewest documents, as far as is known; None where no index narrows it down."""
        found = candidates(where)
        if not found or size <= SMALL:
            return found[0] if found else None
        best, fewest = found[0], size
        for candidate in found:
            count = self.statistics.known(kind, candidate)
            if count is None:
                count = candidate.rank if candidate.sure else await self.statistics.hits(kind, candidate)
            if count < fewest:
                best, fewest = candidate, count
            if candidate.sure and count <= SMALL:
                break
        return best

    def _expected(self, kind: str, chosen: Candidate, size: int) -> int:
        known = self.statistics.known(kind, chosen)
        return min(size, SMALL) if known is None else known


def _is_walked(chosen: Candidate, rows: Rows, hits: int) -> bool:
    """Whether windows of `h` look at much fewer documents than one equality, or each of few, finds."""
    return bool(chosen.walked) and hits > 4 * len(chosen.walked) * rows.wanted


def _too_many(resource_type: str, limit: int) -> FhirError:
    text = f"This leads through more than {limit} {resource_type} resources. Narrow that part of the search."
    return refuse(400, "too-costly", "unselective-chain", text)
