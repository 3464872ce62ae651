"""https://hl7.org/fhir/R4/auditevent.html#search

Events of the access log are found by the keys that only their kind has, exactly as if they had them themselves.
"""

from collections.abc import Iterator
from itertools import product

import pytest

from fhir_server.access import audit
from fhir_server.access.audit import Interaction
from fhir_server.caller import Access, Caller, Verb
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import EVERYTHING, SEPARATOR, All, Condition, Contains, Keys, Not, Prefix
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.satisfies import satisfies
from fhir_server.store.built import labelled
from fhir_server.store.documents import indexed
from fhir_server.store.kinds import KIND, LOG, Event
from fhir_server.store.records import Selection, SortKey
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.test_reindex import reindexed
from tests.store.world import ANYBODY, START, TYPES

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
    ("search-type", "E", 200, "", []),
    ("search-type", "E", 200, "", ["1", "2", "3"]),
    ("delete", "D", 403, "Group/g", []),
)

Wholes = dict[str, tuple[int, Entries]]


def logged() -> Iterator[tuple[Event, int]]:
    for number, (caller, (code, action, status, target, patients)) in enumerate(product(CALLERS, HAPPENED)):
        moment = START + number * 1_000_000
        request = f"request-{number}" if number % 2 else ""
        told = Interaction(caller, code, action, moment, status, target, f"GET /{target}", request)
        for event in audit.events(told, patients, BASE):
            yield event, moment


async def filled(store: Store) -> Wholes:
    """All events, every fifth one stored as it would be without kinds; each with all of its entries."""
    found: Wholes = {}
    for number, (event, moment) in enumerate(logged()):
        whole = index.entries(json.parse(event.raw), BASE)
        found[event.id] = moment, whole
        await store.trail.append([event if number % 5 else Event(event.id, event.raw, whole)], moment)
    return found


def conditions(wholes: Wholes) -> Iterator[Condition]:
    """Every key there is, none that there is, and what can be made of them."""
    keys = {(name, key) for _, whole in wholes.values() for name in ("tk", "st", "hs") for key in getattr(whole, name)}
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
    return sorted(id for id, (moment, whole) in wholes.items() if satisfies(whole, id, moment, condition))


async def test_every_search_finds_the_same_events_as_without_kinds(opened: Opener) -> None:
    types = (*TYPES, LOG)
    store = await opened(types=types)
    wholes = await filled(store)
    rows = await store.database.rows(LOG, [{"$match": {"h": {"$gte": 0}}}])
    having = {row["_id"] for row in rows if any(key.startswith(KIND) for key in row["tk"])}
    assert len(rows) == len(wholes) == 32 and len(having) == 25
    own = {labelled(key) for row in rows if row["_id"] in having for key in row["tk"]}
    assert own == {"agent", "entity", "patient", "kind"}
    assert not any(row["st"] or row["hs"] for row in rows if row["_id"] in having)
    # Another process has made none of the kinds.
    other = await opened("motor", types=types)
    for condition in conditions(wholes):
        wanted = expected(wholes, condition)
        assert sorted(await other.ids(*ANYBODY, LOG, condition)) == wanted, condition
        if isinstance(condition, Keys | Prefix):
            page = await other.search(*ANYBODY, Selection(LOG, condition, (SortKey("date", True),), limit=10))
            newest = sorted(wanted, key=lambda id: (-wholes[id][0], id))[:10]
            assert [row.id for row in page.rows] == newest, condition
        else:
            assert await other.count(*ANYBODY, LOG, condition) == len(wanted), condition
    for name in ("action", "outcome", "subtype", "agent", "entity-role", "_profile"):
        page = await other.search(*ANYBODY, Selection(LOG, EVERYTHING, (SortKey(name),)))
        assert [row.id for row in page.rows] == sorted(wholes, key=lambda id: (_lowest(wholes[id][1], name), id))


def _lowest(whole: Entries, name: str) -> str:
    return whole.so[name]["a"] if name in whole.so else chr(0x10FFFF)


async def test_a_scope_with_a_search_reaches_what_it_reaches_without_kinds(opened: Opener) -> None:
    store = await opened(types=(*TYPES, LOG))
    wholes = await filled(store)
    reach = Keys("tk", ("action␟*|R",))

    def rules(verb: Verb | None, resource_type: str) -> Condition | None:
        return reach if resource_type == LOG else None

    limited = Caller("limited"), Access(rules)
    reached = expected(wholes, reach)
    assert sorted(await store.ids(*limited, LOG, EVERYTHING)) == reached
    for id in wholes:
        if id in reached:
            assert (await store.read(*limited, LOG, id)).id == id
            assert [row.version for row in (await store.history(*limited, LOG, id)).rows] == [1]
        else:
            for call in (store.read(*limited, LOG, id), store.history(*limited, LOG, id)):
                with pytest.raises(FhirError) as caught:
                    await call
                assert caught.value.status == 404


async def test_an_event_indexed_anew_needs_no_kind(opened: Opener) -> None:
    store = await opened(types=(*TYPES, LOG))
    wholes = await filled(store)
    await store.database.collection(LOG).update_many({"h": {"$gte": 0}}, {"$set": {"ix": 0}})
    await store.database.collection("meta").update_one({"_id": f"index/{LOG}"}, {"$set": {"labels": {}}})
    store = await opened(types=(*TYPES, LOG))
    await reindexed(store, base=BASE)
    rows = await store.database.rows(LOG, [{"$match": {"h": {"$gte": 0}}}])
    assert {row["_id"]: sorted(row["tk"]) for row in rows} == {
        id: sorted(indexed(each)["tk"]) for id, (_, each) in wholes.items()
    }
    for condition in list(conditions(wholes))[::11]:
        assert sorted(await store.ids(*ANYBODY, LOG, condition)) == expected(wholes, condition), condition
