"""https://hl7.org/fhir/R4/security.html

A database that was filled before relationships were kept learns them: what is then stored is what would have been.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from fhir_server.fhir import edition, json
from fhir_server.store import failures, relations
from fhir_server.store.groups import group
from fhir_server.store.rebuild import learning
from fhir_server.store.records import Create, Member, Tie
from fhir_server.store.schema import history_of
from fhir_server.store.store import Store
from tests.store.conftest import Opener
from tests.store.test_reindex import reindexed
from tests.store.world import ANYBODY, TYPES, create, patient, update

ALL = (*TYPES, "Consent", "Encounter")
CATEGORY = "https://fhir-server.example/fhir/CodeSystem/consent-category"
CLINIC, PLANT = {"reference": "Organization/clinic"}, {"reference": "Organization/plant"}
LARGE = 30
"""Members of a roster that are kept out of line."""


@pytest.fixture(autouse=True)
def ten_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "INLINE", 10)


State = dict[tuple[str, str], Any]


def unrelated(resource_type: str) -> Mapping[str, str]:
    """The rules of an earlier version, which knew no relationships."""
    return MappingProxyType({name: each for name, each in edition.digests(resource_type).items() if name != ":sees"})


def about(kind: str, person: str, **more: Any) -> dict[str, Any]:
    subject = {"patient": {"reference": f"Patient/{person}"}}
    bodies: dict[str, dict[str, Any]] = {
        "Immunization": {"status": "completed", "vaccineCode": {"text": "x"}, "occurrenceString": "then", **subject},
        "Observation": {"status": "final", "code": {"text": "x"}, "subject": subject["patient"]},
        "Encounter": {"status": "finished", "class": {"code": "AMB"}, "subject": subject["patient"]},
        "Consent": {
            "status": "active", "scope": {"text": "x"}, **subject,
            "category": [{"coding": [{"system": CATEGORY, "code": "do-not-share"}]}],
        },
    }  # fmt: skip
    return {"resourceType": kind, **bodies[kind], **more}


def roster(*people: str) -> dict[str, Any]:
    members = [{"entity": {"reference": f"Patient/{each}"}} for each in people]
    return {"resourceType": "Group", "type": "person", "actual": True, "managingEntity": PLANT, "member": members}


def world() -> list[list[Create]]:
    """ann: registered by south, treated by the clinic. ben: on a roster. cat: as ann, and does not share. Many: on a
    large roster."""
    people = [create(each, patient(1, organization="south")) for each in ("ann", "ben", "cat")]
    many = [create(f"p{number}", patient(number)) for number in range(LARGE)]
    records = [
        create("early", about("Observation", "ann")),
        create("dose", about("Immunization", "ann", performer=[{"actor": CLINIC}])),
        create("dose-cat", about("Immunization", "cat", performer=[{"actor": CLINIC}])),
        create("visit", about("Encounter", "ben", serviceProvider=PLANT)),
        create("late", about("Observation", "ann")),
        create("many", about("Observation", "p7")),
    ]
    rosters = [create("small", roster("ben")), create("large", roster(*(f"p{number}" for number in range(LARGE))))]
    return [people, many, records, rosters, [create("silence", about("Consent", "cat"))]]


async def filled(store: Store) -> None:
    for writes in world():
        await store.commit(*ANYBODY, writes)
    await store.commit(*ANYBODY, [update("early", about("Observation", "ann", status="amended"))])


async def state(store: Store) -> State:
    """Who has which relationship with whom, and to whom everything is open, versions in the history included."""
    found: State = {}
    for row in await store.database.rows("relations", [{"$match": {}}]):
        ties = sorted((tie["o"], tie["r"], tie["by"]) for tie in row["o"])
        found["relations", row["_id"]] = (ties, sorted(row["x"]), sorted(row["t"]))
    for name in (*ALL, *map(history_of, ALL)):
        for row in await store.database.rows(name, [{"$match": {}}, {"$project": {"org": 1}}]):
            found[name, row["_id"]] = sorted(row["org"])
    return found


async def forgotten(opened: Opener) -> Store:
    """An earlier version that has the same data, and no relationships."""
    store = await opened(rules=unrelated, types=ALL)
    await store.database.collection("relations").delete_many({"_id": {"$gte": ""}})
    for name in (*ALL, *map(history_of, ALL)):
        for row in await store.database.rows(name, [{"$match": {}}, {"$project": {"org": 1}}]):
            kept = [key for key in row["org"] if not key.startswith("sees")]
            if kept != row["org"]:
                await store.database.collection(name).update_one({"_id": row["_id"]}, {"$set": {"org": kept}})
    return store


def sees(state: State, name: str, id: str) -> set[str]:
    return {key.removeprefix("sees␟Organization/") for key in state[name, id] if key.startswith("sees")}


async def test_relationships_are_learnt_of_what_was_stored_before(opened: Opener) -> None:
    store = await opened(types=ALL)
    assert store.incomplete() == {}, "a new database needs nothing"
    await filled(store)
    expected = await state(store)
    assert sees(expected, "Observation", "early") == {"south", "clinic"}
    assert sees(expected, "Observation_history", "early/1") == {"south", "clinic"}
    assert sees(expected, "Immunization", "dose-cat") == {"south"}
    assert sees(expected, "Patient", "ben") == {"south", "plant"}
    assert sees(expected, "Observation", "many") == sees(expected, "Patient", f"p{LARGE - 1}") == {"plant"}
    await forgotten(opened)
    assert not any(name == "relations" for name, _ in await state(store))
    store = await opened(types=ALL)
    assert store.incomplete() == {"Patient": [":sees"]}
    assert (await store.read(*ANYBODY, "Patient", "ann")).version == 1, "nothing is refused meanwhile"
    await reindexed(store)
    assert store.incomplete() == {}
    assert await state(store) == expected
    again = await opened("motor", types=ALL)
    assert again.incomplete() == {}
    assert await reindexed(again) == 0


async def test_it_goes_on_where_it_was_stopped(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(types=ALL)
    await filled(store)
    expected = await state(store)
    await forgotten(opened)
    seen: list[str] = []
    window = learning.Learning._window

    async def watched(self: learning.Learning, resource_type: str, low: int, high: int) -> None:
        seen.append(resource_type)
        await window(self, resource_type, low, high)

    monkeypatch.setattr(learning.Learning, "_window", watched)
    store = await opened(types=ALL)
    steps = store.reindex()
    async for step in steps:
        if step.type == learning.OPENING and "Encounter" in seen:
            break
    await steps.aclose()
    assert store.incomplete() == {"Patient": [":sees"]}
    seen.clear()
    store = await opened(types=ALL)
    assert store.incomplete() == {"Patient": [":sees"]}
    await reindexed(store)
    assert "Consent" not in seen and seen[-1] == "Group"
    assert await state(store) == expected


async def test_an_earlier_version_that_writes_again_is_noticed(opened: Opener) -> None:
    store = await opened(types=ALL)
    await store.commit(*ANYBODY, [create("ann", patient(1, organization="south"))])
    await forgotten(opened)
    await reindexed(await opened(types=ALL))
    old = await opened(rules=unrelated, types=ALL)
    assert old.incomplete() == {}
    store = await opened(types=ALL)
    assert store.incomplete() == {"Patient": [":sees"]}
    await reindexed(store)
    assert store.incomplete() == {}


async def test_a_patient_may_come_with_relationships_and_nothing_is_left_to_be_opened(opened: Opener) -> None:
    store = await opened(types=ALL)
    ties = (Tie("plant", "roster", "Group/line"), Tie("plant", "roster", "Group/line"))
    new, held = create("new", patient(1)), create("held", patient(2))
    again, put = update("held", patient(2, "Again")), update("put", patient(3))
    dose = create("dose", about("Immunization", "new"))
    await store.commit(*ANYBODY, [held])
    await store.commit(*ANYBODY, [replace(new, ties=ties), dose, replace(again, ties=ties), replace(put, ties=ties)])
    found = await state(store)
    listed: tuple[list[tuple[str, str, str]], list[str]] = ([("plant", "roster", "Group/line")], [])
    assert [found["relations", f"Patient/{id}"][:2] for id in ("new", "put")] == [listed, listed]
    assert [sees(found, "Patient", id) for id in ("new", "put", "held")] == [{"plant"}, {"plant"}, set()]
    assert sees(found, "Immunization", "dose") == {"plant"}
    assert await store.database.rows("relations", [{"$match": {"due": {"$gt": 0}}}]) == []


async def test_what_is_written_meanwhile_is_opened_too(opened: Opener) -> None:
    store = await opened(types=ALL)
    await filled(store)
    await forgotten(opened)
    store, writer = await opened(types=ALL), await opened("motor", types=ALL)
    ended = asyncio.Event()
    written: list[str] = []

    async def write() -> None:
        while not ended.is_set():
            id = f"new{len(written)}"
            dose = about("Immunization", "ann", performer=[{"actor": {"reference": f"Organization/o{len(written)}"}}])
            await writer.commit(*ANYBODY, [create(id, dose), create(id, about("Observation", "ben"))])
            written.append(id)

    writing = asyncio.create_task(write())
    await reindexed(store, rest=0.2)
    ended.set()
    await writing
    assert len(written) > 5
    # The second look, after the writes that began beside it have ended.
    store.database.clock.time += 30_000_000  # type: ignore[attr-defined] # the test's own clock
    await store.settle_relations()
    found = await state(store)
    everybody = {"south", "clinic", *(f"o{number}" for number in range(len(written)))}
    for id in ("dose", *written):
        assert sees(found, "Immunization", id) == everybody
    for id in written:
        assert sees(found, "Observation", id) == {"south", "plant"}


async def test_a_database_that_is_away_is_waited_for(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(types=ALL)
    await filled(store)
    expected = await state(store)
    await forgotten(opened)
    learn, failing = relations.learn, [True, True, False, True]

    async def sometimes(*arguments: Any) -> set[str]:
        if failing and failing.pop(0):
            raise failures.unavailable()
        return await learn(*arguments)

    monkeypatch.setattr(relations, "learn", sometimes)
    store = await opened(types=ALL)
    await reindexed(store)
    assert not failing
    assert await state(store) == expected


async def test_who_joins_a_large_roster_later_is_opened(opened: Opener) -> None:
    store = await opened(types=ALL)
    await filled(store)
    joining = [Member(f"Patient/{each}", json.dump({"entity": {"reference": f"Patient/{each}"}})) for each in ("ann",)]
    await store.add_members(*ANYBODY, "large", joining)
    found = await state(store)
    assert sees(found, "Observation", "early") == {"south", "clinic", "plant"}
    assert ("plant", "roster", "Group/large") in found["relations", "Patient/ann"][0]
