"""Built: which search parameters every stored document of a type has entries for.

https://hl7.org/fhir/R4/search.html#errors

Collection `meta`, a record for each type: {_id: "index/Patient", rev, labels: {family: digest, ...}, ix, at}. `labels`
holds what is true of every document, whoever wrote it. So whoever opens the database with other rules
(fhir/edition.py) first strikes out what differs: documents written from then on have entries by those other rules. Only
a finished rebuild (reindex.py) puts a label back; until then a search that needs it is refused, because it could miss
rows. `at` is how far the rebuild to the edition `ix` is, as a value of `h`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pymongo.errors import BulkWriteError

from fhir_server.fhir import edition
from fhir_server.fhir.condition import EVERYTHING, SEPARATOR, All, Condition, Contains, Keys, Not, Prefix, Range
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.store.database import Database
from fhir_server.store.driver import Document
from fhir_server.store.failures import RETRY_AFTER
from fhir_server.store.schema import LOG, SHEETS

META = "meta"
Rules = Callable[[str], Mapping[str, str]]
"""The digests of a type's rules by label."""


def record_id(resource_type: str) -> str:
    """The `_id` of a type's record."""
    return f"index/{resource_type}"


def labels(condition: Condition) -> set[str]:
    """What entries must be there to decide on the condition: names of parameters, and `:pt`, `:org`, `:lb`."""
    match condition:
        case Keys("pt" | "org" | "lb" as access, _) | Prefix("pt" | "org" | "lb" as access, _):
            return {f":{access}"}
        case Keys("hs", names):
            return set(names)
        case Keys(_, keys):
            return {labelled(key) for key in keys}
        case Prefix(_, prefix) | Contains(_, prefix, _):
            return {labelled(prefix)}
        case Range(label):
            return {label.partition(SEPARATOR)[0]}
        case Not(inner):
            return labels(inner)
        case All(parts) | AnyOf(parts):
            return {label for part in parts for label in labels(part)}
    return set()


def labelled(key: str) -> str:
    """The parameter that made a key: `family` for `family␟smith` and `family:exact␟Smith`."""
    return key.partition(SEPARATOR)[0].partition(":")[0]


@dataclass
class Built:
    """What the code indexes by, and by type the labels that some documents lack. Those are empty but for the time
    between an upgrade and the end of its rebuild."""

    database: Database
    rules: Rules
    missing: dict[str, frozenset[str]] = field(default_factory=dict)

    async def compare(self, types: Iterable[str]) -> None:
        """Record what is new, strike out what differs. To be done before anything is written."""
        records = await self._records()
        fresh = []
        for resource_type in sorted(types):
            wanted = self.rules(resource_type)
            record = records.get(record_id(resource_type))
            if record is None:
                known = {} if await self._holds(resource_type) else dict(wanted)
                fresh.append(self._record(resource_type, known, 0))
            else:
                await self._strike(resource_type, record, wanted)
        if fresh:
            try:
                await self.database.collection(META).insert_many(fresh, ordered=False)
            except BulkWriteError:
                # Another process was faster with some of them: theirs hold.
                await self.compare(types)
                return
        records = await self._records()
        for resource_type in types:
            self._note(resource_type, records[record_id(resource_type)])

    async def require(self, resource_type: str, condition: Condition, *more: str) -> None:
        """FhirError 400 naming the first parameter that the condition (or `more`) needs and some documents lack; 503
        where it is one that access is decided by."""
        if resource_type not in self.missing or (condition == EVERYTHING and not more):
            return
        needed = labels(condition).union(more)
        if needed & self.missing[resource_type]:
            # The rebuild may have ended meanwhile, in whichever process.
            record = await self.database.collection(META).find_one({"_id": record_id(resource_type)})
            self._note(resource_type, record)
            lacking = needed & self.missing.get(resource_type, frozenset())
            if lacking:
                raise _incomplete(resource_type, min(lacking))

    async def finish(self, resource_type: str, rev: int) -> bool:
        """Every document has been indexed by our rules; False where others have struck out something since `rev`."""
        return await self._replace(self._record(resource_type, dict(self.rules(resource_type)), rev + 1), rev)

    async def _strike(self, resource_type: str, record: Document, wanted: Mapping[str, str]) -> None:
        """Leave only what is true of the documents there are and of those that we are going to write."""
        known = {label: digest for label, digest in record["labels"].items() if wanted.get(label) == digest}
        if known == record["labels"] and record["ix"] == edition.number(wanted):
            # Complete, or on its way.
            return
        if not await self._holds(resource_type):
            known = dict(wanted)
        if not await self._replace(self._record(resource_type, known, record["rev"] + 1), record["rev"]):
            await self.compare([resource_type])

    async def _replace(self, record: Document, rev: int) -> bool:
        where = {"_id": record["_id"], "rev": rev}
        done = await self.database.collection(META).replace_one(where, record)
        return bool(done.matched_count == 1)

    async def _holds(self, resource_type: str) -> bool:
        names = (resource_type, SHEETS) if resource_type == LOG else (resource_type,)
        found = [await self.database.collection(name).find_one({}, {"_id": 1}) for name in names]
        return any(each is not None for each in found)

    async def _records(self) -> dict[str, Document]:
        span = {"_id": {"$gte": "index/", "$lt": "index0"}}
        return {row["_id"]: row for row in await self.database.rows(META, [{"$match": span}])}

    def _record(self, resource_type: str, known: dict[str, str], rev: int) -> Document:
        ix = edition.number(self.rules(resource_type))
        return {"_id": record_id(resource_type), "rev": rev, "labels": known, "ix": ix, "at": 0}

    def _note(self, resource_type: str, record: Document) -> None:
        known = record["labels"]
        lacking = {label for label, digest in self.rules(resource_type).items() if known.get(label) != digest}
        if lacking:
            self.missing[resource_type] = frozenset(lacking)
        else:
            self.missing.pop(resource_type, None)


def _incomplete(resource_type: str, label: str) -> FhirError:
    again = "After an upgrade resources are indexed again: by the running server, or by `fhir-server reindex`."
    if label.startswith(":"):
        text = f"Who may see which {resource_type} resources is not known of all of them yet. {again}"
        return FhirError(503, (Issue("transient", "index-incomplete", text),), {"Retry-After": RETRY_AFTER})
    text = f"The search parameter {label} does not find all {resource_type} resources yet. {again}"
    return refuse(400, "not-supported", "index-incomplete", text, label)
