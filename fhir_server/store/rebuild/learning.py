"""Learning: the relationships that what is stored shows, for a database that was filled before they were kept.

https://hl7.org/fhir/R4/security.html

A part of reindex.py, which knows by the label `:sees` of Patients whether it is to be done. Types are walked in windows
of `h`, each learnt in one transaction; what the relationships open is then opened patient by patient. How far it is
stands in `meta` as {_id: "relationships", rev, at: [stage, place]}, `rev` being that of the Patients' record. Until it
is done records are closed to those whose relationships are not learnt yet: the Consents that close them come first.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from fhir_server.fhir import references
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.relations import TREATMENTS
from fhir_server.store import relations
from fhir_server.store.database import Database
from fhir_server.store.documents import HASHES
from fhir_server.store.driver import Document
from fhir_server.store.groups import group
from fhir_server.store.groups.generations import ROWS_AT_ONCE, Generations
from fhir_server.store.query.match import Match
from fhir_server.store.rebuild.built import META
from fhir_server.store.ties import TIED, Ties

AT_ONCE = 200
"""Resources in a window, about, and patients opened at a time."""
OPENING = "relationships"
"""What the last stage is called, which goes from patient to patient."""

_RECORD = {"_id": "relationships"}
_OWN = "Organization/"
_FIRST = ("Consent", "Patient", *sorted(TREATMENTS))
ORDER = (*_FIRST, *sorted(TIED - {*_FIRST}), "Group")
"""The types that show relationships, or what there is to be opened."""


Reached = tuple[float, str]
"""The share of a stage that is done, and the place reached, at which it goes on."""


@dataclass
class Learning:
    """Learns the relationships of one database. `base` is the server's own base URL."""

    database: Database
    base: str

    async def run(self, rev: int) -> AsyncIterator[float]:
        """Learn all of it, from where it was stopped under the same `rev`; yields the share that is done. FhirError 503
        where the database is away."""
        stages = (*ORDER, OPENING)
        stage, place = await self._at(rev)
        for number in range(stages.index(stage), len(stages)):
            each = stages[number]
            async for share, reached in self._open(place) if each == OPENING else self._learn(each, place):
                await self._reached(rev, each, reached)
                yield (number + share) / len(stages)
            place = ""

    async def _learn(self, resource_type: str, place: str) -> AsyncIterator[Reached]:
        low, size = int(place or 0), await self._size(resource_type)
        width = max(1, HASHES * AT_ONCE // max(size, 1))
        while low < HASHES:
            high = min(low + width, HASHES)
            await self._window(resource_type, low, high)
            low = high
            yield low / HASHES, str(low)

    async def _window(self, resource_type: str, low: int, high: int) -> None:
        keep: Match = {"pt": 1, "org": 1, **({"tk": 1} if resource_type in ("Consent", "Group") else {})}
        stages: list[Match] = [{"$match": {"h": {"$gte": low, "$lt": high}}}, {"$project": keep}]
        async with self.database.reading():
            rows = await self.database.rows(resource_type, stages)
        # A roster is about a thousand patients, or more.
        at_once = 1 if resource_type == "Group" else AT_ONCE
        for start in range(0, len(rows), at_once):
            await self._note(resource_type, rows[start : start + at_once])
        for row in rows if resource_type == "Group" else ():
            await self._roster(row)

    async def _note(self, resource_type: str, rows: Sequence[Document]) -> None:
        def act(ties: Ties) -> None:
            for row in rows:
                shown = Entries(tk=row.get("tk", []), pt=row["pt"], org=row["org"])
                ties.learn(resource_type, row["_id"], shown, ())

        await self._kept({patient for row in rows for patient in row["pt"]}, act)

    async def _roster(self, row: Document) -> None:
        """What a Group shows whose members are out of line."""
        generation = next((key for key in row["tk"] if key.startswith(group.GENERATION)), None)
        owners = [key.removeprefix(_OWN) for key in row["org"] if key.startswith(_OWN)]
        if generation is None or not owners:
            return
        generations, start = Generations(self.database, self.base), 0
        while True:
            async with self.database.reading():
                stretch = await generations.stretch(generation.removeprefix(group.GENERATION), start, ROWS_AT_ONCE)
            if not stretch:
                return
            found = (references.local(each["r"], self.base) for each in stretch)
            patients = {str(each) for each in found if each is not None and each.type == "Patient"}

            def act(ties: Ties, patients: Iterable[str] = frozenset(patients)) -> None:
                for patient in patients:
                    for organization in owners:
                        ties.tie(patient, organization, "roster", f"Group/{row['_id']}")

            await self._kept(patients, act)
            start += ROWS_AT_ONCE

    async def _kept(self, patients: set[str], act: relations.Act) -> None:
        if patients:
            async with self.database.writing(len(patients)):
                await relations.learn(self.database, patients, act)

    async def _open(self, place: str) -> AsyncIterator[Reached]:
        opened, size = 0, max(1, await self._size(relations.RELATIONS))
        while True:
            behind: list[Match] = [{"$match": {"_id": {"$gt": place}}}, {"$sort": {"_id": 1}}, {"$limit": AT_ONCE}]
            async with self.database.reading():
                rows = await self.database.rows(relations.RELATIONS, [*behind, {"$project": {"due": 1}}])
            if not rows:
                return
            async with self.database.writing(len(rows)):
                await relations.sweep(self.database, [row["_id"] for row in rows])
            place, opened = rows[-1]["_id"], opened + len(rows)
            yield min(1.0, opened / size), place

    async def _at(self, rev: int) -> tuple[str, str]:
        async with self.database.reading():
            record: Document | None = await self.database.collection(META).find_one({**_RECORD, "rev": rev})
        stage, place = record["at"] if record is not None else (ORDER[0], "")
        return stage, place

    async def _reached(self, rev: int, stage: str, place: str) -> None:
        record = {**_RECORD, "rev": rev, "at": [stage, place]}
        async with self.database.writing():
            await self.database.collection(META).replace_one(_RECORD, record, upsert=True)

    async def _size(self, name: str) -> int:
        async with self.database.reading():
            return int(await self.database.collection(name).estimated_document_count())
