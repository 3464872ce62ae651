"""Bulk: what a transaction writes to several collections, in one command where the database knows it (MongoDB 8.0).

https://www.mongodb.com/docs/manual/reference/command/bulkWrite/

A round trip costs about as much as storing a resource does. Large transactions, and older databases, are written
collection by collection: 5,000 inserts take 1.0 s that way, 7.4 s one by one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.store import failures
from fhir_server.store.database import Conflict, Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.match import Match

MOST = 500
LARGEST = 1_000_000
"""Writes, and bytes of resources, up to which the command is used; it is one document of at most 16 MB."""

Replacement = tuple[Match, Document]


@dataclass
class Bulk:
    """Writes by collection, in the order they are done: inserts, changes, deletions. `run` them once."""

    database: Database
    inserts: dict[str, list[Document]] = field(default_factory=dict)
    replaces: dict[str, list[Replacement]] = field(default_factory=dict)
    deletes: dict[str, list[Match]] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)
    """Collections in which others may have inserted the same meanwhile: a Conflict, not an error."""

    def insert(self, name: str, documents: Iterable[Document]) -> None:
        """Documents whose `_id` is new."""
        self.inserts.setdefault(name, []).extend(documents)

    def replace(self, name: str, where: Match, document: Document) -> None:
        """The one document that `where` finds; Conflict where there is none."""
        self.replaces.setdefault(name, []).append((where, document))

    def change(self, name: str, where: Match, members: Document) -> None:
        """Set members of the one document that `where` finds; Conflict where there is none."""
        self.replaces.setdefault(name, []).append((where, {"$set": members}))

    def delete(self, name: str, where: Match) -> None:
        """The one document that `where` finds; Conflict where there is none."""
        self.deletes.setdefault(name, []).append(where)

    async def run(self, session: Session) -> None:
        """All of it. Raises Conflict and the driver's errors, both of which end the transaction."""
        documents = [document for group in self.inserts.values() for document in group]
        documents += [document for group in self.replaces.values() for _, document in group]
        count = len(documents) + sum(map(len, self.deletes.values()))
        size = sum(len(document.get("raw") or b"") for document in documents)
        if await self.database.has_bulk_write() and count <= MOST and size <= LARGEST:
            await self._at_once(session)
        else:
            await self._by_collection(session)

    async def _at_once(self, session: Session) -> None:
        places = {name: place for place, name in enumerate({**self.inserts, **self.replaces, **self.deletes})}
        operations: list[tuple[str, Document]] = []
        for name, group in self.inserts.items():
            operations += [(name, {"insert": places[name], "document": document}) for document in group]
        for name, replaced in self.replaces.items():
            operations += [(name, {"update": places[name], "filter": w, "updateMods": d}) for w, d in replaced]
        for name, removed in self.deletes.items():
            operations += [(name, {"delete": places[name], "filter": where}) for where in removed]
        answer = await self.database.bulk_write([operation for _, operation in operations], list(places), session)
        if answer["nErrors"]:
            failed = answer["cursor"]["firstBatch"][0]
            if failed["code"] == failures.DUPLICATE_KEY and operations[failed["idx"]][0] in self.contested:
                raise Conflict
            # Without its text, which quotes keys.
            raise OperationFailure("a write of several failed", failed["code"])
        if answer["nMatched"] != sum(map(len, self.replaces.values())):
            raise Conflict
        if answer["nDeleted"] != sum(map(len, self.deletes.values())):
            raise Conflict

    async def _by_collection(self, session: Session) -> None:
        for name, group in self.inserts.items():
            try:
                if len(group) == 1:
                    await self.database.collection(name).insert_one(group[0], session=session)
                else:
                    await self.database.collection(name).insert_many(group, session=session)
            except PyMongoError as error:
                if name not in self.contested or failures.code_of(error) != failures.DUPLICATE_KEY:
                    raise
                raise Conflict from None
        for name, replaced in self.replaces.items():
            requests = [_request(where, document) for where, document in replaced]
            result = await self.database.collection(name).bulk_write(requests, session=session)
            if result.matched_count != len(replaced):
                raise Conflict
        for name, removed in self.deletes.items():
            if all(where.keys() == {"_id"} for where in removed):
                ids = {"$in": [where["_id"] for where in removed]}
                if (
                    await self.database.collection(name).delete_many({"_id": ids}, session=session)
                ).deleted_count != len(removed):
                    raise Conflict
                continue
            for where in removed:
                deleted = await self.database.collection(name).delete_one(where, session=session)
                if deleted.deleted_count != 1:
                    raise Conflict


def _request(where: Match, document: Document) -> ReplaceOne[Document] | UpdateOne:
    return UpdateOne(where, document) if "$set" in document else ReplaceOne(where, document)
