"""Relations: which organizations have a relationship with a patient, why, and the keys that open the record to them.

https://hl7.org/fhir/R4/security.html

A patient's relationships are one document {_id: "Patient/x", o: [{o, r, by, at}], x, t, due}: `o` the organization's
id, `r` the reason, `by` the resource it was learnt from, `at` when; `x` the active Consents not to share; `t` the types
that hold something about the patient. They are learnt in the transaction of the write that shows them, and stand as
`sees` keys in the entries of everything about the patient, where the access predicate finds them by an index. What was
stored before a relationship began gets its keys right after that transaction, and once more after `due`: by then every
write has ended that began without knowing of it (docs/decisions/0028-relationships.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import UpdateOne

from fhir_server.fhir.entries import Entries
from fhir_server.fhir.params import compartments
from fhir_server.fhir.relations import ACTIVE, BY, DO_NOT_SHARE, SEES, TREATMENTS, UNTIED, sees
from fhir_server.store.bulk import Bulk
from fhir_server.store.database import Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.plan import IDS_AT_ONCE, KEYS_AT_ONCE
from fhir_server.store.schema import history_of

RELATIONS = "relations"
TIED = frozenset(compartments()["Patient"]) - UNTIED
"""The types whose resources a relationship with their patient opens."""
LATER = 20_000_000
"""Microseconds after which no write goes on that began before."""
SWEPT_AT_ONCE = 500

_OWN = "Organization/"


@dataclass
class Ties:
    """The relationships of the patients that one transaction's writes are about: as found, and as learnt."""

    documents: dict[str, Document]
    now: int
    found: frozenset[str] = frozenset()
    changed: set[str] = field(default_factory=set)
    widened: set[str] = field(default_factory=set)
    """Patients with whom something was stored before whose keys are others now."""
    created: set[str] = field(default_factory=set)

    def keys(self, patients: Iterable[str]) -> list[str]:
        """The keys of those who have a relationship with any of these patients. Where a patient does not want the
        record shared, only of those who registered them."""
        found: dict[str, None] = {}
        for patient in patients:
            document = self.documents.get(patient)
            if document is not None:
                for tie in document["o"]:
                    if not document["x"] or tie["r"] == "registered":
                        found[sees(tie["o"])] = None
        return sorted(found)

    def is_tied(self, patient: str, organization: str) -> bool:
        """Whether the organization with this id has a relationship with the patient that opens the record."""
        return sees(organization) in self.keys((patient,))

    def stamp(self, resource_type: str, entries: Entries, submitter: Sequence[str]) -> None:
        """Complete the entries of a resource: who sees it, and who submitted it (keys)."""
        entries.org = [*self._plain(entries.org), *submitter]
        if resource_type in TIED:
            entries.org += self.keys(entries.pt)

    def stamped(self, resource_type: str, document: Document) -> list[str]:
        """What `org` of this document should be."""
        held = document["org"]
        rest = [key for key in held if not key.startswith(SEES)]
        return rest + self.keys(document["pt"]) if resource_type in TIED else held

    def register(self, patient: str, organizations: Iterable[str], submitter: str) -> None:
        """A Patient that comes new: who manages and who submitted it, registered it."""
        self.created.add(patient)
        for organization in {*organizations, *([submitter] if submitter else ())}:
            self.tie(patient, organization, "registered", patient)

    def learn(self, resource_type: str, id: str, entries: Entries, before: Sequence[str]) -> None:
        """What a resource shows that is now stored; `before` are the patients its last version was about."""
        owners = [key.removeprefix(_OWN) for key in entries.org if key.startswith(_OWN)]
        if resource_type == "Group":
            for patient in set(entries.pt) - set(before):
                for organization in owners:
                    self.tie(patient, organization, "roster", f"Group/{id}")
            return
        if resource_type not in TIED:
            return
        for patient in entries.pt:
            document = self._of(patient)
            if resource_type not in document["t"]:
                document["t"].append(resource_type)
                self.changed.add(patient)
            if resource_type == "Consent":
                self._share(patient, id, not (DO_NOT_SHARE in entries.tk and ACTIVE in entries.tk))
            for organization in owners:
                if resource_type in TREATMENTS:
                    self.tie(patient, organization, "treated", f"{resource_type}/{id}")
                elif resource_type == "Patient" and patient == f"Patient/{id}":
                    self.tie(patient, organization, "registered", patient)

    def forget(self, resource_type: str, id: str, patients: Iterable[str]) -> None:
        """A resource about these patients is deleted, or no longer about them. Relationships stay."""
        if resource_type == "Consent":
            for patient in patients:
                self._share(patient, id, True)

    def tie(self, patient: str, organization: str, reason: str, by: str) -> None:
        """This organization has a relationship with the patient, for this reason."""
        document = self._of(patient)
        if self.has(patient, organization, reason):
            return
        before = self.keys((patient,))
        document["o"].append({"o": organization, "r": reason, "by": by, "at": self.now})
        self._note(patient, before)

    def has(self, patient: str, organization: str, reason: str) -> bool:
        """Whether this is known already."""
        known = self.documents.get(patient, {"o": ()})["o"]
        return any(tie["o"] == organization and tie["r"] == reason for tie in known)

    def _share(self, patient: str, consent: str, may: bool) -> None:
        document = self._of(patient)
        if may == (consent not in document["x"]):
            return
        before = self.keys((patient,))
        if may:
            document["x"].remove(consent)
        else:
            document["x"].append(consent)
        self._note(patient, before)

    def _note(self, patient: str, before: list[str]) -> None:
        self.changed.add(patient)
        if self.keys((patient,)) != before and patient not in self.created:
            self.widened.add(patient)
            self.documents[patient]["due"] = self.now + LATER

    def _of(self, patient: str) -> Document:
        found = self.documents.get(patient)
        if found is None:
            found = self.documents[patient] = {"_id": patient, "o": [], "x": [], "t": [], "due": 0}
        return found

    @staticmethod
    def _plain(keys: Iterable[str]) -> list[str]:
        return [key for key in keys if not key.startswith((SEES, BY))]


async def load(database: Database, session: Session | None, patients: Iterable[str], now: int) -> Ties:
    """The relationships of these patients."""
    asked = list(dict.fromkeys(patients))
    found: dict[str, Document] = {}
    for start in range(0, len(asked), IDS_AT_ONCE):
        part = asked[start : start + IDS_AT_ONCE]
        first: dict[str, Any] = {"_id": part[0] if len(part) == 1 else {"$in": part}}
        rows = await database.rows(RELATIONS, [{"$match": first}], session)
        found.update({row["_id"]: row for row in rows})
    return Ties(found, now, frozenset(found))


def keep(bulk: Bulk, ties: Ties) -> None:
    """Have stored what was learnt. Conflict where another learnt something of the same patients meanwhile."""
    bulk.contested.add(RELATIONS)
    new = [ties.documents[patient] for patient in sorted(ties.changed - ties.found)]
    if new:
        bulk.insert(RELATIONS, new)
    for patient in sorted(ties.changed & ties.found):
        bulk.replace(RELATIONS, {"_id": patient}, ties.documents[patient])


async def relate(database: Database, organization: str, patients: Iterable[str], reason: str, by: str) -> None:
    """Record that the Organization with this id has a relationship with these patients (`Patient/1`), for one of
    `REASONS`, learnt from the resource `by`; and open what is stored about them. Safe to repeat."""
    asked = sorted(set(patients))
    for start in range(0, len(asked), IDS_AT_ONCE):
        part = asked[start : start + IDS_AT_ONCE]
        widened: set[str] = set()

        async def learn(session: Session, part: Sequence[str] = part, widened: set[str] = widened) -> bool:
            ties = await load(database, session, part, database.clock())
            for patient in part:
                ties.tie(patient, organization, reason, by)
            if ties.changed:
                bulk = Bulk(database)
                keep(bulk, ties)
                await bulk.run(session)
            widened.clear()
            widened.update(ties.widened)
            return True

        async def landed(result: bool, part: Sequence[str] = part) -> bool:
            ties = await load(database, None, part, 0)
            return all(ties.has(patient, organization, reason) for patient in part)

        await database.transaction(learn, landed)
        await sweep(database, widened)


async def sweep(database: Database, patients: Iterable[str]) -> None:
    """Give everything that is stored about these patients the keys it should have. Safe to repeat."""
    asked = sorted(patients)
    for start in range(0, len(asked), KEYS_AT_ONCE):
        part = asked[start : start + KEYS_AT_ONCE]
        ties = await load(database, None, part, 0)
        by_type: dict[str, list[str]] = {}
        for document in ties.documents.values():
            for resource_type in document["t"]:
                by_type.setdefault(resource_type, []).append(document["_id"])
        for resource_type, about in by_type.items():
            await _restamp(database, ties, resource_type, {"pt": about[0] if len(about) == 1 else {"$in": about}})


async def finish(database: Database, limit: int = SWEPT_AT_ONCE) -> int:
    """Look once more after the patients whose `due` has come; how many those were."""
    due: Mapping[str, Any] = {"due": {"$gt": 0, "$lte": database.clock()}}
    rows = await database.rows(RELATIONS, [{"$match": due}, {"$limit": limit}, {"$project": {"due": 1}}])
    await sweep(database, [row["_id"] for row in rows])
    done = [UpdateOne({"_id": row["_id"], "due": row["due"]}, {"$set": {"due": 0}}) for row in rows]
    if done:
        await database.collection(RELATIONS).bulk_write(done, ordered=False)
    return len(rows)


async def _restamp(database: Database, ties: Ties, resource_type: str, first: Mapping[str, Any]) -> None:
    keep_: Mapping[str, Any] = {"$project": {"vid": 1, "org": 1, "pt": 1}}
    rows = await database.rows(resource_type, [{"$match": first}, keep_])
    await _restamp_rows(database, ties, resource_type, resource_type, rows)
    revised = [row["_id"] for row in rows if row["vid"] > 1]
    for start in range(0, len(revised), IDS_AT_ONCE):
        past: Mapping[str, Any] = {"rid": {"$in": revised[start : start + IDS_AT_ONCE]}}
        older = await database.rows(history_of(resource_type), [{"$match": past}, keep_])
        await _restamp_rows(database, ties, resource_type, history_of(resource_type), older)


async def _restamp_rows(
    database: Database, ties: Ties, resource_type: str, collection: str, rows: Sequence[Document]
) -> None:
    strangers = {patient for row in rows for patient in row["pt"]} - ties.documents.keys()
    if strangers:
        ties.documents.update((await load(database, None, strangers, 0)).documents)
    updates = list(_updates(ties, resource_type, rows))
    if updates:
        await database.collection(collection).bulk_write(updates, ordered=False)


def _updates(ties: Ties, resource_type: str, rows: Sequence[Document]) -> Iterator[UpdateOne]:
    for row in rows:
        wanted = ties.stamped(resource_type, row)
        if set(wanted) != set(row["org"]):
            yield UpdateOne({"_id": row["_id"], "vid": row["vid"]}, {"$set": {"org": wanted}})
