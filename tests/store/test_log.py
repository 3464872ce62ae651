"""https://hl7.org/fhir/R4/auditevent.html#search

Events of the access log, which stand together on sheets, are found as if each were a resource of its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import get_args

import pytest

from fhir_server.access import audit
from fhir_server.access.audit import Interaction
from fhir_server.caller import Access, Caller, Predicate, Verb
from fhir_server.fhir import json
from fhir_server.fhir.condition import EVERYTHING, NOTHING, All, Axis, Condition, Ids, Keys, Not, Range, Test, Updated
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.access_log import log, notes, sheets, trail
from fhir_server.store.access_log.notes import Note
from fhir_server.store.access_log.sheets import SLOT, Event
from fhir_server.store.driver import Document
from fhir_server.store.records import Selection, SortKey
from fhir_server.store.schema import LOG, SHEETS
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.events import BASE, CALLERS, HAPPENED, Wholes, conditions, expected, logged, on_sheets, put_singly
from tests.store.test_reindex import reindexed
from tests.store.world import ANYBODY, START, TYPES

DAY = 86_400_000_000
"""Microseconds."""
SORTS: tuple[tuple[SortKey, ...], ...] = (
    (),
    (SortKey("date"),),
    (SortKey("date", True),),
    (SortKey("_lastUpdated"),),
    (SortKey("_lastUpdated", True),),
    (SortKey("action"), SortKey("date", True)),
    (SortKey("patient", True),),
    (SortKey("_id"),),
)


def scattered(random: Random, count: int) -> list[list[Note]]:
    """Groups of events: years, seconds and nothing apart, before and after the clock, several of one moment."""
    groups = []
    for _ in range(count):
        begun = START + random.choice((-900 * DAY, -40 * DAY, -DAY, -3 * SLOT, 0, DAY)) + random.randrange(-5, 5) * SLOT
        group: list[Note] = []
        for _ in range(random.randrange(1, 7)):
            code, action, status, target, patients = random.choice(HAPPENED)
            moment = begun + random.choice((0, 0, 1, 400_000, SLOT))
            told = Interaction(random.choice(CALLERS), code, action, moment, status, target, "GET /", "request-1")
            group += audit.notes(told, patients, BASE)
        groups.append(group)
    return groups


async def filled(store: Store, random: Random) -> Wholes:
    """Events on sheets, and a few that are documents of their own."""
    groups = scattered(random, 40)
    singly = await put_singly(store, list(dict.fromkeys(note for group in groups[:3] for note in group)), False)
    for group in groups:
        await store.trail.append(group)
    return {**singly, **await on_sheets(store)}


def asked(random: Random, wholes: Wholes, keys: Sequence[Condition]) -> Condition:
    """A condition of any form, often one that an index or a window of time answers first."""
    moment, _ = random.choice(list(wholes.values()))
    text = json.instant(moment + random.choice((-1, 0, 0, 1)))[:-1]
    later = json.instant(moment + random.choice((1, 1_000, DAY)))[:-1]
    kind = random.randrange(9)
    if kind == 0:
        return Updated(random.choice(get_args(Test)), moment, moment + random.choice((1, SLOT, DAY)))
    if kind == 1:
        return Range("date", random.choice(get_args(Test)), text, later, random.choice(get_args(Axis)))
    if kind == 2:
        return Ids((*random.choices(list(wholes), k=3), "unknown", "0" * 32))
    if kind == 3:
        return Keys("pt", random.choice((("Patient/1",), ("Patient/3", "Patient/1"), ("Patient/9",))))
    if kind == 4:
        parts = tuple(asked(random, wholes, keys) for _ in range(random.randrange(1, 4)))
        return All(parts) if random.random() < 0.6 else AnyOf(parts)
    if kind == 5:
        return Not(asked(random, wholes, keys))
    return random.choice(keys)


async def paged(store: Store, who: tuple[Caller, Predicate], selection: Selection) -> list[str]:
    """The ids of all pages, one after the other."""
    found: list[str] = []
    while True:
        page = await store.search(*who, selection)
        found += [row.id for row in page.rows]
        if page.next is None:
            return found
        assert len(page.rows) == selection.limit
        selection = Selection(LOG, selection.where, selection.sort, selection.limit, page.next)


def in_order(wholes: Wholes, ids: Sequence[str], sort: tuple[SortKey, ...]) -> list[str]:
    """The ids as a sort asks for them; newest first where it asks for nothing."""
    found = sorted(ids)
    for key in reversed(sort or (SortKey("_lastUpdated", True),)):

        def value(id: str, name: str = key.parameter, last: bool = key.descending) -> str:
            moment, whole = wholes[id]
            if name in ("_id", "_lastUpdated"):
                return id if name == "_id" else str(moment)
            missing = {"a": chr(0x10FFFF), "z": ""}
            return whole.so.get(name, missing)["z" if last else "a"]

        found.sort(key=value, reverse=key.descending)
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_every_search_gives_what_single_resources_would(
    opened: Opener, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    store = await opened("motor" if seed else "pymongo", types=(*TYPES, LOG))
    wholes = await filled(store, random)
    keys = list(conditions(wholes))
    monkeypatch.setattr(log, "AT_ONCE", (200, 20, 8)[seed])
    for number in range((25, 25, 8)[seed]):
        seen = random.choice((EVERYTHING, EVERYTHING, Keys("pt", ("Patient/1",)), asked(random, wholes, keys)))

        def rules(verb: Verb | None, resource_type: str, seen: Condition = seen) -> Condition:
            return seen if resource_type == LOG else NOTHING

        who = Caller("limited"), Access(rules)
        where = asked(random, wholes, keys)
        wanted = expected(wholes, All((seen, where)))
        told = (number, seen, where)
        assert sorted(await store.ids(*who, LOG, where)) == wanted, told
        assert await store.count(*who, LOG, where) == len(wanted), told
        patients = {key for id in wanted for key in wholes[id][1].tk if key.startswith("patient␟")}
        assert await store.keys(*who, LOG, where, "patient␟") == patients, told
        sort = random.choice(SORTS)
        found = await paged(store, who, Selection(LOG, where, sort, random.choice((9, 50))))
        assert found == in_order(wholes, wanted, sort), (told, sort)


async def test_nothing_of_a_sheet_shows_but_what_exists_for_the_caller(opened: Opener) -> None:
    store = await opened(types=(*TYPES, LOG))
    await store.trail.append(list(logged()))
    wholes = await on_sheets(store)
    own = Keys("pt", ("Patient/1",))

    def rules(verb: Verb | None, resource_type: str) -> Condition:
        return own if resource_type == LOG else NOTHING

    ann = Caller("ann"), Access(rules)
    mine = expected(wholes, own)
    assert (len(mine), len(wholes)) == (8, 36)
    shown = [row.raw or b"" for row in (await store.search(*ann, Selection(LOG, EVERYTHING))).rows]
    assert len(shown) == len(mine) and not any(b"Patient/2" in raw or b"Patient/3" in raw for raw in shown)
    for hidden in (Keys("pt", ("Patient/2",)), Keys("tk", ("entity␟Patient/2",)), Keys("tk", ("entity␟Group/g",))):
        assert await store.count(*ann, LOG, hidden) == 0
        assert await store.ids(*ann, LOG, hidden) == []
        assert (await store.search(*ann, Selection(LOG, hidden))).rows == ()
    for id in wholes:
        if id in mine:
            read = await store.read(*ann, LOG, id)
            assert (read.id, read.version, read.updated) == (id, 1, wholes[id][0])
            assert await store.vread(*ann, LOG, id, 1) == read
            assert (await store.history(*ann, LOG, id)).rows == (read,)
        else:
            for call in (store.read, store.history):
                with pytest.raises(FhirError) as caught:
                    await call(*ann, LOG, id)
                assert caught.value.status == 404
            with pytest.raises(FhirError) as caught:
                await store.vread(*ann, LOG, id, 1)
            assert caught.value.status == 404
    assert [row.id for row in await store.read_many(*ann, [(LOG, id) for id in wholes])] == [
        id for id in wholes if id in mine
    ]


async def test_an_event_is_the_same_whenever_it_is_read_and_has_one_version(opened: Opener) -> None:
    store = await opened(types=(*TYPES, LOG))
    await store.trail.append(list(logged())[:1])
    [(id, (moment, _))] = (await on_sheets(store)).items()
    other = await opened("motor", types=(*TYPES, LOG))
    read = await store.read(*ANYBODY, LOG, id)
    assert await other.read(*ANYBODY, LOG, id) == read
    assert read.raw == (await store.search(*ANYBODY, Selection(LOG, EVERYTHING))).rows[0].raw
    for since, version in ((moment, 1), (moment + 1, 0)):
        assert len((await store.history(*ANYBODY, LOG, id, since=since)).rows) == version
    for at, version in (((moment, moment + 1), 1), ((moment - 1, moment), 0)):
        assert len((await store.history(*ANYBODY, LOG, id, at=at)).rows) == version
    assert (await store.history(*ANYBODY, LOG, id, after=(1,))).rows == ()
    for unknown in (id[:-1], id[:-1] + ("0" if id[-1] != "0" else "1"), "x"):
        with pytest.raises(FhirError) as caught:
            await store.read(*ANYBODY, LOG, unknown)
        assert caught.value.status == 404
    with pytest.raises(FhirError) as caught:
        await store.vread(*ANYBODY, LOG, id, 2)
    assert caught.value.status == 404


def test_what_a_record_of_the_first_format_comes_to_never_changes() -> None:
    document = {"_id": "00064763f3b94440" + "00" * 4, "n": 1, "k": [], "raw": FIRST}
    [event] = sheets.events(document)
    assert event.id == "00064763f3b9444000000000" + "01020304"
    assert notes.raw(event.note, event.id) == TOLD


FIRST = (
    b'\x01\x92\x91\x92\xc4\x0f"profile":["p"]\xc4\x0c"action":"R"\x91\x97\xc4\x04\x01\x02\x03\x04\x00'
    b"\xcf\x00\x06\x47\x63\xf3\xb9\x44\x40\xa1a\xaeImmunization/1\xa7GET /?a\xa1r"
)
TOLD = (
    b'{"resourceType":"AuditEvent","id":"00064763f3b944400000000001020304","meta":{"profile":["p"],"versionId":"1",'
    b'"lastUpdated":"@"},"action":"R","recorded":"@","entity":[{"what":{"reference":"Patient/a"},'
    b'"type":{"system":"http://terminology.hl7.org/CodeSystem/audit-entity-type","code":"1"},'
    b'"role":{"system":"http://terminology.hl7.org/CodeSystem/object-role","code":"1"}},'
    b'{"what":{"reference":"Immunization/1"},'
    b'"type":{"system":"http://terminology.hl7.org/CodeSystem/audit-entity-type","code":"2"},'
    b'"role":{"system":"http://terminology.hl7.org/CodeSystem/object-role","code":"4"}},'
    b'{"type":{"system":"http://terminology.hl7.org/CodeSystem/audit-entity-type","code":"2"},'
    b'"role":{"system":"http://terminology.hl7.org/CodeSystem/object-role","code":"24"},"query":"R0VUIC8/YQ=="},'
    b'{"what":{"identifier":{"value":"r"}},'
    b'"type":{"system":"https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType","code":"XrequestId"}}]}'
).replace(b"@", json.instant(0x00064763F3B94440).encode())


def test_a_format_of_a_later_version_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="unknown format"):
        sheets.events({"_id": "0" * 24, "n": 1, "k": [], "raw": b"\x02" + FIRST[1:]})


def test_no_sheet_lies_across_slots_and_ids_tell_no_number() -> None:
    told = [note._replace(moment=START // SLOT * SLOT + number) for number, note in enumerate(logged())]
    made = sheets.of([*told, *(note._replace(moment=note.moment + SLOT - 3) for note in told)])
    assert [each["n"] for each in made] == [39, 33]
    starts = [START // SLOT * SLOT, (START // SLOT + 1) * SLOT]
    assert [each["_id"][:14] for each in made] == [sheets.place(start) for start in starts]
    events = [event for each in made for event in sheets.events(each)]
    assert len({event.id for event in events}) == 72 and all(len(event.id) == 32 for event in events)
    assert [event.id for event in events] != sorted(event.id for event in events)


async def test_a_group_waits_for_what_is_under_way_and_for_nothing_else(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(types=(*TYPES, LOG))
    note = next(logged())
    monkeypatch.setattr(trail, "GATHER_SECONDS", 60.0)
    async with asyncio.timeout(20):
        await store.trail.append([note])
        assert await sizes(store) == [1]
        store.trail.expect()
        store.trail.expect()
        first = asyncio.create_task(store.trail.append([note, note]))
        await asyncio.sleep(0.2)
        store.trail.arrived()
        await asyncio.sleep(0.2)
        assert await sizes(store) == [1] and not first.done()
        store.trail.arrived()
        await store.trail.append([note])
        await first
        assert await sizes(store) == [1, 3]
        monkeypatch.setattr(trail, "GATHER_SECONDS", 0.01)
        store.trail.expect()
        await store.trail.append([note])
        assert await sizes(store) == [1, 1, 3]


async def test_a_group_waits_for_as_many_as_were_let_go_a_moment_before(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(types=(*TYPES, LOG))
    note = next(logged())

    async def together(number: int) -> None:
        await asyncio.gather(*(store.trail.append([note]) for _ in range(number)))

    monkeypatch.setattr(trail, "MOMENT", 60.0)
    monkeypatch.setattr(trail, "AGAIN_SECONDS", 60.0)
    async with asyncio.timeout(20):
        await together(3)
        first = asyncio.create_task(store.trail.append([note]))
        await asyncio.sleep(0.2)
        store.trail.expect()
        store.trail.arrived()
        assert not first.done()
        await together(2)
        await first
        assert await sizes(store) == [3, 3]
        # Who does not come again is waited for once, and nobody after it.
        monkeypatch.setattr(trail, "AGAIN_SECONDS", 0.02)
        await store.trail.append([note])
        monkeypatch.setattr(trail, "AGAIN_SECONDS", 60.0)
        await store.trail.append([note])
        await together(2)
        monkeypatch.setattr(trail, "MOMENT", 0.0)
        await store.trail.append([note])
        assert await sizes(store) == [1, 1, 1, 2, 3, 3]


async def sizes(store: Store) -> list[int]:
    """How many events the sheets have."""
    rows = await store.database.rows(SHEETS, [{"$match": {"_id": {"$gte": ""}}}])
    return sorted(row["n"] for row in rows)


def test_a_sheet_holds_only_so_much() -> None:
    note = next(logged())
    assert [each["n"] for each in sheets.of([note] * 1_001)] == [500, 500, 1]
    long = note._replace(query="?" * 400_000)
    assert [each["n"] for each in sheets.of([long, note, long, note, long, note])] == [5, 1]


def test_keys_of_the_first_format_never_change() -> None:
    told = Interaction(CALLERS[1], "read", "R", START, 200, "Immunization/9/_history/2", "GET", "request")
    [made] = sheets.of(audit.notes(told, ["1"], BASE))
    assert made["k"] == ["*", "Patient/1", "Immunization/9", "Practitioner/d"]
    [made] = sheets.of(audit.notes(replace(told, caller=CALLERS[0], target=""), [], BASE))
    assert made["k"] == ["*", "*|ann"]


async def test_sheets_of_somebody_alone_are_passed_over_where_they_are_left_out(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(types=(*TYPES, LOG))
    ann, doctor, aaron, zoe = (
        audit.notes(Interaction(caller, "read", "R", START, 200, request="r"), ["1"], BASE)
        for caller in (*CALLERS[:2], replace(CALLERS[0], subject="aaron"), replace(CALLERS[0], subject="zoe"))
    )
    for group in (ann, ann * 3, doctor, [*ann, *doctor], aaron, aaron * 2, zoe):
        await store.trail.append(group)
    looked_at: list[Event] = []

    def events(sheet: Document) -> list[Event]:
        found = sheets.events(sheet)
        looked_at.extend(found)
        return found

    monkeypatch.setattr(log, "events", events)
    of_ann = Keys("tk", ("altid␟*|ann",))
    for few in (10, 1):
        monkeypatch.setattr(log, "_FEW", few)
        for own in (EVERYTHING, Keys("pt", ("Patient/1",))):
            looked_at.clear()
            assert await store.count(*ANYBODY, LOG, All((own, Not(of_ann)))) == 6
            assert len(looked_at) == (7 if few == 10 else 11)
            assert await store.count(*ANYBODY, LOG, All((own, of_ann))) == 5


async def test_keys_are_derived_anew_by_a_rebuild(opened: Opener) -> None:
    store = await opened(types=(*TYPES, LOG))
    await store.trail.append(list(logged()))
    await store.trail.append([note._replace(moment=note.moment - 3 * DAY) for note in logged()])
    collection = store.database.collection(SHEETS)
    before = {row["_id"]: row for row in await store.database.rows(SHEETS, [{"$match": {"_id": {"$gte": ""}}}])}
    assert await store.count(*ANYBODY, LOG, Keys("pt", ("Patient/1",))) == 16
    await collection.update_many({"n": {"$gt": 0}}, {"$set": {"k": ["*", "Patient/other"]}})
    assert await store.count(*ANYBODY, LOG, Keys("pt", ("Patient/1",))) == 0
    await store.database.collection("meta").update_one({"_id": f"index/{LOG}"}, {"$set": {"labels": {}}})
    store = await opened(types=(*TYPES, LOG))
    assert LOG in store.incomplete()
    await reindexed(store, base=BASE)
    assert store.incomplete() == {}
    after = {row["_id"]: row for row in await store.database.rows(SHEETS, [{"$match": {"_id": {"$gte": ""}}}])}
    assert after == before
    assert await store.count(*ANYBODY, LOG, Keys("pt", ("Patient/1",))) == 16


async def test_processes_write_at_the_same_time(opened: Opener) -> None:
    stores = [await opened(types=(*TYPES, LOG)), await opened("motor", types=(*TYPES, LOG))]
    told = list(logged())
    await asyncio.gather(*(store.trail.append([note]) for note in told for store in stores))
    rows = await stores[0].database.rows(SHEETS, [{"$match": {"_id": {"$gte": ""}}}])
    assert sum(row["n"] for row in rows) == 72 and len(rows) < 72
    for store in stores:
        assert await store.count(*ANYBODY, LOG, EVERYTHING) == 72
        assert await store.count(*ANYBODY, LOG, Keys("pt", ("Patient/1",))) == 16


async def test_what_looks_at_too_many_events_is_refused(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(types=(*TYPES, LOG))
    await store.trail.append(list(logged()))
    monkeypatch.setattr(log, "LOOKED_AT", 10)
    assert await store.count(*ANYBODY, LOG, EVERYTHING) == 36
    assert await store.count(*ANYBODY, LOG, Keys("pt", ("Patient/1",))) == 8
    with pytest.raises(FhirError) as caught:
        await store.count(*ANYBODY, LOG, Keys("tk", ("action␟*|R",)))
    assert (caught.value.status, caught.value.issues[0].code) == (400, "too-costly")
