"""Versions: what writes make of the state they find: new versions, superseded ones, tombstones.

https://hl7.org/fhir/R4/http.html#versions

No database calls but the one that loads that state.
"""

import secrets
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from fhir_server.caller import Access, Predicate, Verb, concern, to
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import EVERYTHING, Condition
from fhir_server.fhir.index import Entries, satisfies
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.relations import BY, wrote
from fhir_server.store.database import Database
from fhir_server.store.documents import current, entries_of, stored, superseded, tombstone
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.match import Match
from fhir_server.store.query.plan import IDS_AT_ONCE
from fhir_server.store.reads import absent, gone
from fhir_server.store.records import ANY_VERSION, Committed, Create, Delete, Method, Stored, Update, Write
from fhir_server.store.schema import history_of
from fhir_server.store.ties import TIED, Ties

LARGEST = 8_000_000
"""Bytes of one resource; what is larger does not belong into a document."""

_PROVENANCE = "Provenance"

Target = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Before:
    """The state that writes find: current documents, and for what is not there the last tombstone's version, instant
    and document."""

    documents: dict[Target, Document]
    tombstones: dict[Target, Document]

    def instant(self, clock: int) -> int:
        """Microseconds: now, but later than every version that will be replaced, whatever the clocks say."""
        latest = max((each["lu"] for each in (*self.documents.values(), *self.tombstones.values())), default=0)
        return max(clock, int(latest) + 1)

    def patients(self, writes: Iterable[Write]) -> set[str]:
        """Whom these writes are about, or what they replace was. Of a roster only those who join it."""
        found: set[str] = set()
        for write in writes:
            old = self.documents.get((write.type, write.id))
            held = set(old["pt"]) if old is not None else set()
            if write.type in TIED:
                found |= held
            if not isinstance(write, Delete) and (write.type in TIED or write.type == "Group"):
                found |= set(write.entries.pt) - (held if write.type == "Group" else set())
        return found


async def load(database: Database, session: Session, writes: Iterable[Write]) -> Before:
    """The state of everything these writes update or delete."""
    targets = [(write.type, write.id) for write in writes if not isinstance(write, Create)]
    if len(targets) == 1:
        [(resource_type, id)] = targets
        document = await database.collection(resource_type).find_one({"_id": id}, session=session)
        documents = {} if document is None else {targets[0]: document}
    else:
        documents = await _load_many(database, session, targets)
    missing = [target for target in targets if target not in documents]
    return Before(documents, await _last_tombstones(database, session, missing))


async def _load_many(database: Database, session: Session, targets: Sequence[Target]) -> dict[Target, Document]:
    found: dict[Target, Document] = {}
    for resource_type, ids in _grouped(targets):
        rows = await database.rows(resource_type, [{"$match": {"_id": {"$in": ids}}}], session)
        found.update({(resource_type, row["_id"]): row for row in rows})
    return found


async def _last_tombstones(database: Database, session: Session, targets: Sequence[Target]) -> dict[Target, Document]:
    found: dict[Target, Document] = {}
    for resource_type, ids in _grouped(targets):
        first: Match = {"rid": ids[0]} if len(ids) == 1 else {"rid": {"$in": ids}}
        pipeline: list[Match] = [{"$match": first}, {"$match": {"m": "DELETE"}}]
        for row in await database.rows(history_of(resource_type), pipeline, session):
            target = (resource_type, row["rid"])
            if target not in found or found[target]["vid"] < row["vid"]:
                found[target] = row
    return found


def _grouped(targets: Sequence[Target]) -> Iterable[tuple[str, list[str]]]:
    by_type: dict[str, list[str]] = {}
    for resource_type, id in targets:
        by_type.setdefault(resource_type, []).append(id)
    for resource_type, ids in by_type.items():
        for start in range(0, len(ids), IDS_AT_ONCE):
            yield resource_type, ids[start : start + IDS_AT_ONCE]


@dataclass
class Versions:
    """What one transaction will write, grouped by collection; `changes` are [type, id, version, method] in order."""

    before: Before
    predicate: Predicate
    updated: int
    ties: Ties
    inserts: dict[str, list[Document]] = field(default_factory=dict)
    replaces: dict[str, list[Document]] = field(default_factory=dict)
    deletes: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    changes: list[list[str | int]] = field(default_factory=list)
    effects: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    """What was done: version, action, and whom it is about."""
    written: list[tuple[str, str, Entries, list[str]]] = field(default_factory=list)
    """Type, id and entries of the new versions, and whom their last ones were about."""

    def register(self, writes: Iterable[Write]) -> None:
        """Note who registers the Patients that come new, before anything else is looked at."""
        for write in writes:
            if write.type == "Patient" and not isinstance(write, Delete) and (write.type, write.id) not in self.known:
                owners = [key.removeprefix("Organization/") for key in write.entries.org if key.startswith("Organiz")]
                self.ties.register(f"Patient/{write.id}", owners, self._organization)
                for tie in write.ties:
                    self.ties.tie(f"Patient/{write.id}", tie.organization, tie.reason, tie.by)

    def complete(self) -> None:
        """Add the Provenance of what was done; learn what all of it shows, and give it the keys that come of that."""
        self._testify()
        for resource_type, id, entries, before in self.written:
            self.ties.learn(resource_type, id, entries, before)
        for resource_type in TIED & {*self.inserts, *self.replaces}:
            for document in (*self.inserts.get(resource_type, ()), *self.replaces.get(resource_type, ())):
                document["org"] = self.ties.stamped(resource_type, document)

    def add(self, write: Write) -> Committed:
        """What this write comes to. FhirError 403, 404, 410, 412 or 413 where it is not to be."""
        if not isinstance(write, Delete):
            # Also where nothing comes of it.
            self._concern(write, write.entries.pt)
        match write:
            case Create():
                return Committed(self._first(write, 1, "POST"), "created")
            case Update():
                return self._update(write)
            case Delete():
                return self._delete(write)

    def _update(self, write: Update) -> Committed:
        old = self.before.documents.get((write.type, write.id))
        if old is not None:
            self._require_visible(write, old)
            self._concern(write, old["pt"])
            _require_version(write, old["vid"])
            if not write.may_replace:
                raise _present(write)
            self._require_allowed("u", write, old)
            version = self._stamped(write, old["vid"] + 1, write.method, old)
            self.replaces.setdefault(write.type, []).append(current(version, write.entries))
            self._keep(write.type, superseded(old))
            return Committed(version, "updated")
        grave = self.before.tombstones.get((write.type, write.id))
        if write.expected is not None:
            raise stale(write.type, write.id, write.expected, None)
        if not write.may_create or not self._may_place(write.type):
            raise gone(write.type, write.id) if self._may_know(write, grave) else absent(write.type, write.id)
        return Committed(self._first(write, grave["vid"] + 1 if grave is not None else 1, write.method), "created")

    def _delete(self, write: Delete) -> Committed:
        old = self.before.documents.get((write.type, write.id))
        if old is None or not self._is_visible(write, old):
            if write.expected is not None:
                raise stale(write.type, write.id, write.expected, None)
            return Committed(None, "unchanged")
        self._concern(write, old["pt"])
        _require_version(write, old["vid"])
        self._require_allowed("d", write, old)
        self.ties.forget(write.type, write.id, old["pt"])
        grave = tombstone(old, old["vid"] + 1, self.updated)
        self._keep(write.type, superseded(old))
        self._keep(write.type, grave)
        self.deletes.setdefault(write.type, []).append((write.id, old["vid"]))
        version = stored(write.type, grave)
        self._change(version)
        self._note(version, "DELETE", _concerned(write.type, (), old["pt"]))
        return Committed(version, "deleted")

    def _first(self, write: Create | Update, number: int, method: Method) -> Stored:
        version = self._stamped(write, number, method)
        self.inserts.setdefault(write.type, []).append(current(version, write.entries))
        return version

    def _stamped(self, write: Create | Update, number: int, method: Method, old: Document | None = None) -> Stored:
        held = old["org"] if old is not None else [wrote(self._organization)] if self._organization else []
        self.ties.stamp(write.type, write.entries, [key for key in held if key.startswith(BY)])
        before = old["pt"] if old is not None else []
        self._require_within_reach("c" if old is None else "u", write, before)
        self.ties.forget(write.type, write.id, set(before) - set(write.entries.pt))
        self.written.append((write.type, write.id, write.entries, before))
        raw = json.stamp(write.body, write.id, number, self.updated)
        if len(raw) > LARGEST:
            text = f"A resource of {len(raw):,} bytes is too large; {LARGEST:,} are possible."
            raise refuse(413, "too-long", "resource-too-large", text, write.type)
        version = Stored(write.type, write.id, number, self.updated, raw, method, created=old is None)
        self._change(version)
        self._note(version, "CREATE" if old is None else "UPDATE", _concerned(write.type, write.entries.pt, before))
        return version

    def _testify(self) -> None:
        """One Provenance for everything that was done alike about the same patients: it tells none of another."""
        access = self.predicate
        if not isinstance(access, Access) or access.witness is None:
            return
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for target, action, patients in self.effects:
            alike.setdefault((action, patients), []).append(target)
            concern(access, patients)
        for (action, patients), targets in alike.items():
            id = secrets.token_hex(16)
            told = access.witness(targets, action, json.instant(self.updated))
            found = index.entries(told, "", id)
            found.pt = list(patients)
            self.ties.stamp(_PROVENANCE, found, [wrote(self._organization)] if self._organization else [])
            version = Stored(_PROVENANCE, id, 1, self.updated, json.stamp(json.dump(told), id, 1, self.updated), "POST")
            self.inserts.setdefault(_PROVENANCE, []).append(current(version, found))
            self.written.append((_PROVENANCE, id, found, []))
            self._change(version)

    def _concern(self, write: Write, patients: Iterable[str]) -> None:
        # Of a roster only those who join it are told, when that is done.
        if write.type != "Group":
            concern(self.predicate, patients)

    def _note(self, version: Stored, action: str, patients: Iterable[str]) -> None:
        if version.type not in (_PROVENANCE, "AuditEvent"):
            target = f"{version.type}/{version.id}/_history/{version.version}"
            self.effects.append((target, action, tuple(patients)))

    def _keep(self, resource_type: str, document: Document) -> None:
        self.inserts.setdefault(history_of(resource_type), []).append(document)

    def _change(self, version: Stored) -> None:
        self.changes.append([version.type, version.id, version.version, version.method])

    def _is_visible(self, write: Update | Delete, document: Document) -> bool:
        return _holds(to(self.predicate, None)(write.type), write.id, entries_of(document), int(document["lu"]))

    def _may_know(self, write: Update, grave: Document | None) -> bool:
        return grave is not None and self._is_visible(write, grave)

    def _require_visible(self, write: Update, document: Document) -> None:
        if not self._is_visible(write, document):
            raise absent(write.type, write.id)

    def _require_allowed(self, verb: Verb, write: Update | Delete, old: Document) -> None:
        """What one may see one need not be allowed to change."""
        if not _holds(to(self.predicate, verb)(write.type), write.id, entries_of(old), int(old["lu"])):
            text = (
                f"{write.type}/{write.id} may be changed by who submitted it, or by a steward of the registry. "
                "To propose a correction, create a Task with the resource as its focus."
            )
            raise refuse(403, "forbidden", "not-submitter", text, write.type)

    def _require_within_reach(self, verb: Verb, write: Create | Update, before: Sequence[str]) -> None:
        """Nobody writes a resource that would then not exist for them, or that is about others than it was (`before`)
        with whom they have nothing to do: into another's compartment."""
        allowed = _holds(to(self.predicate, verb)(write.type), write.id, write.entries, self.updated)
        if not allowed or self._strangers(write, before) or self._takes_over(write):
            raise beyond(write.type)

    def _takes_over(self, write: Create | Update) -> bool:
        """Whether a Patient would be managed by another organization than before: stewards decide that. Who manages a
        patient sees the record also where it is not to be shared."""
        old = self.before.documents.get((write.type, write.id))
        if write.type != "Patient" or old is None or not self._organization:
            return False
        managing = {key for key in write.entries.org if key.startswith("Organization/")}
        return not managing <= set(old["org"])

    def _strangers(self, write: Create | Update, before: Sequence[str]) -> set[str]:
        """Those whom the resource is newly about, and the caller has nothing to do with."""
        access = self.predicate
        if not isinstance(access, Access) or (access.patients is None and not access.organization):
            return set()
        known = access.patients or frozenset()
        others = {patient for patient in write.entries.pt if patient not in known and patient not in before}
        if access.organization:
            return {patient for patient in others if not self.ties.is_tied(patient, access.organization)}
        return others

    def _may_place(self, resource_type: str) -> bool:
        """Whether an update may create: it would tell whether there is a resource that the caller may not see."""
        return not isinstance(self.predicate, Access) or resource_type in self.predicate.places

    @property
    def _organization(self) -> str:
        return self.predicate.organization if isinstance(self.predicate, Access) else ""

    @property
    def known(self) -> Container[Target]:
        """What is there already."""
        return self.before.documents


def _concerned(resource_type: str, now: Iterable[str], before: Iterable[str]) -> Iterable[str]:
    """The patients whom a write is about: of a roster those who join it, not the thousands who are on it already."""
    if resource_type != "Group":
        return now or before
    return sorted(set(now) - set(before))


def beyond(resource_type: str) -> FhirError:
    """403: what would be stored is out of the caller's reach."""
    text = f"You may not store this {resource_type}: it would belong to somebody beyond your access."
    return refuse(403, "forbidden", "beyond-access", text, resource_type)


def _holds(condition: Condition, id: str, entries: Entries, updated: int) -> bool:
    return condition == EVERYTHING or satisfies(entries, id, updated, condition)


def _require_version(write: Update | Delete, version: int) -> None:
    if write.expected not in (None, ANY_VERSION, version):
        raise stale(write.type, write.id, write.expected, version)


def _present(write: Update) -> FhirError:
    if write.unless is not None:
        text = f"There is a {write.type}/{write.id} already, which does not satisfy the criteria."
        return refuse(409, "conflict", "duplicate-id", text, f"{write.type}.id")
    text = f"{write.type}/{write.id} is there already; If-None-Match: * asks for it to be new."
    return refuse(412, "conflict", "already-present", text, "If-None-Match")


def stale(resource_type: str, id: str, expected: int | None, version: int | None) -> FhirError:
    """412: the version `expected`, named by If-Match, is not the current one (None: there is no current one)."""
    if expected == ANY_VERSION:
        text = f"{resource_type}/{id} does not exist; If-Match: * asks for one that does."
        return refuse(412, "conflict", "not-present", text, "If-Match")
    now = f"is now version {version}" if version is not None else "does not exist now"
    text = f"{resource_type}/{id} {now}, not version {expected}. Read it again and repeat your change on that."
    return refuse(412, "conflict", "stale-version", text, "If-Match")
