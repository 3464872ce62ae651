"""https://hl7.org/fhir/R4/auditevent.html#search

Events of the access log are found by the keys that only their kind has, exactly as if they had them themselves.
"""

import pytest

from fhir_server.caller import Access, Caller, Verb
from fhir_server.fhir.condition import EVERYTHING, Condition, Keys, Prefix
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.access_log.kinds import KIND
from fhir_server.store.documents import indexed
from fhir_server.store.rebuild.built import labelled
from fhir_server.store.records import Selection, SortKey
from fhir_server.store.schema import LOG
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.events import BASE, Wholes, conditions, expected, logged, on_sheets, put_singly
from tests.store.test_reindex import reindexed
from tests.store.world import ANYBODY, TYPES


async def filled(store: Store) -> Wholes:
    """All events: every fifth one as it was before there were kinds, every fifth on a sheet, the others with kinds;
    each with all of its entries."""
    told = list(logged())
    await store.trail.append(told[1::5])
    with_kinds = [note for number, note in enumerate(told) if number % 5 > 1]
    kept = {**await put_singly(store, told[::5], False), **await put_singly(store, with_kinds, True)}
    return {**kept, **await on_sheets(store)}


async def test_every_search_finds_the_same_events_as_without_kinds(opened: Opener) -> None:
    types = (*TYPES, LOG)
    store = await opened(types=types)
    wholes = await filled(store)
    rows = await store.database.rows(LOG, [{"$match": {"h": {"$gte": 0}}}])
    having = {row["_id"] for row in rows if any(key.startswith(KIND) for key in row["tk"])}
    assert (len(wholes), len(rows), len(having)) == (36, 29, 21)
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
    assert len(rows) == 29
    for row in rows:
        assert sorted(row["tk"]) == sorted(indexed(wholes[row["_id"]][1])["tk"])
    for condition in list(conditions(wholes))[::11]:
        assert sorted(await store.ids(*ANYBODY, LOG, condition)) == expected(wholes, condition), condition
