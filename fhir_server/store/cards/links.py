"""Links: SMART Health Links given out, their encrypted files, what is left of their limits, and who used them.

https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html

A document is {_id, p: patient, owner, made, exp, label, flags, pass, tries, uses, revoked, files: [{t, d}]}; `_id` is a
hash of the address, `d` is ciphertext: what is stored neither opens a link nor a file. Limits are counted down by the
database in one step each, so that they hold however many try at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir.outcome import refuse
from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.query.match import Match

LINKS, USES = "links", "link_uses"
_MOST_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link: `expires` in Unix seconds, `tries` and `uses` what is left (None: no limit), `passcode` a salted hash."""

    id: str
    patient: str
    made: int
    expires: int | None
    label: str | None
    flags: str
    passcode: bytes | None
    tries: int
    uses: int | None
    revoked: bool
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """An entry of a link's access log; `at` in microseconds since 1970."""

    at: int
    recipient: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Links:
    """The links of one database. All of it may raise FhirError 503."""

    database: Database

    async def add(self, link: StoredLink, owner: str) -> None:
        """Keep a new link. FhirError 413 where its files are more than a document holds."""
        document: Document = {
            "_id": link.id, "p": link.patient, "owner": owner, "made": link.made, "exp": link.expires,
            "label": link.label, "flags": link.flags, "pass": link.passcode, "tries": link.tries, "uses": link.uses,
            "revoked": link.revoked, "files": [{"t": kind, "d": data} for kind, data in link.files],
        }  # fmt: skip
        async with self.database.writing():
            await self.database.collection(LINKS).insert_one(document)

    async def find(self, id: str) -> StoredLink | None:
        """The link with this id, with its files, or None."""
        async with self.database.reading():
            found: Document | None = await self.database.collection(LINKS).find_one({"_id": id})
        return None if found is None else _link(found)

    async def of_patient(self, patient: str) -> list[StoredLink]:
        """A person's links without their files, newest first."""
        stages: list[Match] = [{"$match": {"p": patient}}, {"$sort": {"made": -1}}, {"$limit": _MOST_SHOWN}]
        async with self.database.reading():
            rows = await self.database.rows(LINKS, [*stages, {"$project": {"files": 0}}])
        return [_link(row) for row in rows]

    async def take_try(self, id: str) -> int | None:
        """Count a try at the passcode before it is looked at: how many are left then; None where none was."""
        return await self._count_down(id, "tries")

    async def give_back_try(self, id: str) -> None:
        """The passcode was right: that try does not count."""
        async with self.database.writing():
            await self.database.collection(LINKS).update_one({"_id": id}, {"$inc": {"tries": 1}})

    async def take_use(self, id: str) -> bool:
        """Count a retrieval of a limited link; whether there was one left."""
        return await self._count_down(id, "uses") is not None

    async def revoke(self, patient: str, id: str) -> None:
        """End a person's link and forget its files. FhirError 404 where they have none with this id."""
        ended: Mapping[str, Any] = {"$set": {"revoked": True, "files": []}}
        async with self.database.writing():
            done = await self.database.collection(LINKS).update_one({"_id": id, "p": patient}, ended)
        if done.matched_count != 1:
            raise refuse(404, "not-found", "unknown-link", "This person has no such link.", "id")

    async def record(self, id: str, use: Use) -> None:
        """Enter a use in the link's log."""
        entry = {"l": id, "at": use.at, "recipient": use.recipient, "outcome": use.outcome}
        async with self.database.writing():
            await self.database.collection(USES).insert_one(entry)

    async def uses(self, ids: Sequence[str]) -> dict[str, list[Use]]:
        """The newest entries of the logs of these links, newest first."""
        wanted: list[Match] = [{"$match": {"l": {"$in": list(ids)}}}, {"$sort": {"at": -1}}, {"$limit": _MOST_SHOWN}]
        async with self.database.reading():
            rows = await self.database.rows(USES, wanted)
        found: dict[str, list[Use]] = {}
        for row in rows:
            found.setdefault(row["l"], []).append(Use(int(row["at"]), row["recipient"], row["outcome"]))
        return found

    async def _count_down(self, id: str, what: str) -> int | None:
        # Compare and set, not find_one_and_update: the embedded engine's answer to that can show a count that another
        # call has taken already (the count itself stays right).
        links = self.database.collection(LINKS)
        async with self.database.writing():
            while True:
                found: Document | None = await links.find_one({"_id": id}, {what: 1})
                left = int(found[what] or 0) if found is not None else 0
                if left <= 0:
                    return None
                taken = await links.update_one({"_id": id, what: left}, {"$set": {what: left - 1}})
                if taken.matched_count == 1:
                    return left - 1


def _link(row: Document) -> StoredLink:
    return StoredLink(
        row["_id"],
        row["p"],
        int(row["made"]),
        row["exp"],
        row["label"],
        row["flags"],
        row["pass"],
        int(row["tries"]),
        row["uses"],
        row["revoked"],
        tuple((file["t"], bytes(file["d"])) for file in row.get("files", ())),
    )
