"""Events of the access log for the store's tests: what happened, and the documents that earlier versions made of it."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import product
from typing import Any

from fhir_server.access import audit
from fhir_server.access.audit import Interaction
from fhir_server.caller import Caller
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import SEPARATOR, All, Condition, Contains, Keys, Not, Prefix
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.satisfies import satisfies
from fhir_server.store.access_log import notes, sheets
from fhir_server.store.access_log.kinds import KIND
from fhir_server.store.access_log.notes import Note
from fhir_server.store.documents import current
from fhir_server.store.rebuild.built import labelled
from fhir_server.store.records import Stored
from fhir_server.store.schema import LOG, SHEETS
from fhir_server.store.store import Store
from tests.store.world import START

BASE = "http://own/fhir"
CALLERS = (
    Caller("ann", frozenset({"recipient"}), "app", patients=frozenset({"1"})),
    Caller("nora", frozenset({"provider"}), "ehr", practitioner="d", organization="north"),
    Caller("nora", frozenset({"provider"}), "ehr", practitioner="d", organization="north", purpose="unconscious"),
    Caller("registry", frozenset({"registry"}), "registry"),
)
HAPPENED: tuple[tuple[str, str, int, str, list[str]], ...] = (
    ("read", "R", 200, "Patient/1", ["1"]),
    ("read", "R", 404, "Immunization/9", ["2"]),
    ("vread", "R", 200, "Immunization/9/_history/2", ["2"]),
    ("search-type", "E", 200, "", []),
    ("search-type", "E", 200, "", ["1", "2", "3"]),
    ("delete", "D", 403, "Group/g", []),
)

Wholes = dict[str, tuple[int, Entries]]
"""By id: when an event was recorded, and the entries of the whole resource."""


def logged() -> Iterator[Note]:
    """Everything that happened, a second apart; what an exchange did to several patients at once."""
    for number, (caller, (code, action, status, target, patients)) in enumerate(product(CALLERS, HAPPENED)):
        moment = START + number * 1_000_000
        request = f"request-{number}" if number % 2 else ""
        told = Interaction(caller, code, action, moment, status, target, f"GET /{target}", request)
        yield from audit.notes(told, patients, BASE)


def whole(raw: bytes) -> Entries:
    """The entries of an event as any other resource's."""
    return index.entries(json.parse(raw), BASE)


async def put_singly(store: Store, told: Iterable[Note], with_kinds: bool) -> Wholes:
    """Store events as documents of their own, as earlier versions did."""
    found: Wholes = {}
    for note in told:
        id = blake2b(repr((note, with_kinds)).encode(), digest_size=16).hexdigest()
        raw = notes.raw(note, id)
        found[id] = note.moment, whole(raw)
        kept = whole(raw)
        if with_kinds:
            common = [key for key in kept.tk if labelled(key) not in ("entity", "patient", "agent")]
            kind: dict[str, Any] = {"tk": common, "st": kept.st, "hs": kept.hs}
            name = blake2b(json.dump(kind), digest_size=9).hexdigest()
            meta = {"_id": f"kind/{name}"}
            await store.database.collection("meta").replace_one(meta, {**meta, **kind}, upsert=True)
            kept.tk = [*(key for key in kept.tk if key not in common), KIND + name]
            kept.st, kept.hs = [], []
        document = current(Stored(LOG, id, 1, note.moment, raw, "POST"), kept)
        await store.database.collection(LOG).insert_one(document)
    return found


async def on_sheets(store: Store) -> Wholes:
    """What the sheets of this store hold."""
    rows = await store.database.rows(SHEETS, [{"$match": {"_id": {"$gte": ""}}}])
    events = [event for row in rows for event in sheets.events(row)]
    return {id: (note.moment, whole(notes.raw(note, id))) for id, note in events}


def conditions(wholes: Wholes) -> Iterator[Condition]:
    """Every key there is, none that there is, and what can be made of them."""
    keys = {(name, key) for _, each in wholes.values() for name in ("tk", "st", "hs") for key in getattr(each, name)}
    for name, key in sorted(keys):
        asked = Keys(name, (key,))  # type: ignore[arg-type] # one of the three
        yield asked
        yield Not(asked)
        if name == "st":
            label, _, text = key.partition(SEPARATOR)
            yield Prefix("st", key[:-2])
            yield Contains("st", f"{label}{SEPARATOR}", text[2:6])
    read, deleted = Keys("tk", ("action␟*|R",)), Keys("tk", ("subtype␟*|delete",))
    refused, ours = Keys("tk", ("outcome␟*|4", "outcome␟*|8")), Keys("tk", ("agent␟Organization/north",))
    yield from (Keys("tk", ("action␟*|X",)), Not(Keys("tk", ("action␟*|X",))), Prefix("tk", "type␟"), refused)
    yield from (All((read, ours)), All((refused, Not(ours))), AnyOf((deleted, All((read, Not(refused))))))
    yield from (All((read, Keys("pt", ("Patient/1",)))), Not(All((read, ours))))


def expected(wholes: Wholes, condition: Condition) -> list[str]:
    """The ids of what satisfies the condition."""
    return sorted(id for id, (moment, each) in wholes.items() if satisfies(each, id, moment, condition))
