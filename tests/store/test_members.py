"""https://hl7.org/fhir/R4/group-definitions.html#Group.member"""

from typing import Any

import msgspec
import pytest

from fhir_server.fhir import json
from fhir_server.fhir.condition import EVERYTHING, Keys, Not
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.groups import group
from fhir_server.store.records import Delete, Member, Selection, Stored
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, only, update

SUBSETTED = {"meta": {"tag": [group.SUBSETTED]}}


@pytest.fixture(autouse=True)
def ten_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "INLINE", 10)


def members(*numbers: int, ended: bool = False) -> list[Member]:
    found = []
    for number in numbers:
        entry: dict[str, Any] = {"entity": {"reference": f"Patient/{number}"}}
        if ended:
            entry["inactive"] = True
        found.append(Member(f"Patient/{number}", json.dump(entry)))
    return found


def roster(*numbers: int, **more: Any) -> dict[str, Any]:
    resource: dict[str, Any] = {"resourceType": "Group", "type": "person", "actual": True, **more}
    if numbers:
        resource["member"] = [{"entity": {"reference": f"Patient/{number}"}} for number in numbers]
    return resource


def content(stored: Stored) -> dict[str, Any]:
    assert stored.raw is not None
    found: dict[str, Any] = msgspec.json.decode(stored.raw)
    return found


async def groups_of(store: Store, number: int, key: str = "member␟Patient/{}") -> list[str]:
    where = Keys("tk", (key.format(number),))
    return sorted(row.id for row in (await store.search(*ANYBODY, Selection("Group", where))).rows)


async def listed(store: Store, id: str = "g", limit: int = 4) -> list[str]:
    found: list[str] = []
    after: int | None = None
    while True:
        page = await store.members(*ANYBODY, id, after, limit)
        found += [member.reference.removeprefix("Patient/") for member in page.members]
        if page.next is None:
            return found
        assert len(page.members) == limit
        after = page.next


async def test_few_members_stay_in_the_body(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(1))])
    added = await store.add_members(*ANYBODY, "g", members(2, 3))
    assert content(added)["member"] == roster(1, 2, 3)["member"]
    assert added.version == 2
    assert (await store.add_members(*ANYBODY, "g", members(2, 1))).version == 2
    assert await groups_of(store, 3) == ["g"]
    assert await listed(store) == ["1", "2", "3"]


async def test_many_members_live_out_of_line(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(1)), create("other", roster(5))])
    for numbers in (range(2, 9), range(9, 16), range(16, 30)):
        added = await store.add_members(*ANYBODY, "g", members(*numbers))
    body = content(added)
    assert "member" not in body
    assert body["quantity"] == 29
    assert body["meta"]["tag"] == [group.SUBSETTED]
    assert await listed(store) == [str(n) for n in range(1, 30)]
    assert await groups_of(store, 5) == ["g", "other"]
    assert await groups_of(store, 5, "member␟*/{}") == ["g", "other"]
    assert await groups_of(store, 29) == ["g"]
    assert await groups_of(store, 30) == []
    without = Not(Keys("tk", ("member␟Patient/29",)))
    assert [row.id for row in (await store.search(*ANYBODY, Selection("Group", without))).rows] == ["other"]
    assert await store.count(*ANYBODY, "Group", Keys("hs", ("member",))) == 2


async def test_adding_again_changes_nothing_and_a_changed_member_is_replaced(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(*range(20)))])
    before = await store.read(*ANYBODY, "Group", "g")
    assert await store.add_members(*ANYBODY, "g", members(*range(20))) == before
    after = await store.add_members(*ANYBODY, "g", members(3, 4, ended=True))
    assert after.version == before.version + 1
    assert content(after)["quantity"] == 20
    found = await store.find_members(*ANYBODY, "g", ["Patient/3", "Patient/5", "Patient/99"])
    assert {reference: b"inactive" in member.raw for reference, member in found.items()} == {
        "Patient/3": True,
        "Patient/5": False,
    }
    assert len(await listed(store)) == 20


async def test_a_put_of_the_whole_list_replaces_it(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(*range(20)))])
    await store.commit(*ANYBODY, [update("g", roster(*range(10, 40)))])
    assert await listed(store) == [str(n) for n in range(10, 40)]
    assert await groups_of(store, 5) == []
    assert await groups_of(store, 35) == ["g"]
    await store.commit(*ANYBODY, [update("g", roster(7))])
    assert content(await store.read(*ANYBODY, "Group", "g"))["member"] == roster(7)["member"]
    assert await groups_of(store, 35) == []
    assert await groups_of(store, 7) == ["g"]
    assert await store.database.collection("members").count_documents({}) == 0


async def test_a_put_of_what_was_read_keeps_the_members(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(*range(20)))])
    read = content(await store.read(*ANYBODY, "Group", "g"))
    [put] = await store.commit(*ANYBODY, [update("g", {**read, "name": "Staff"}, expected=1)])
    assert put.stored is not None
    assert content(put.stored)["name"] == "Staff"
    assert content(put.stored)["meta"]["tag"] == [group.SUBSETTED]
    assert await listed(store) == [str(n) for n in range(20)]
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [update("g", roster(1, **SUBSETTED))])
    assert (caught.value.status, caught.value.issues[0].detail) == (400, "subsetted-members")


async def test_the_other_bytes_of_the_body_stay(one: Store) -> None:
    write = create("g", roster(*range(20), name="é", quantity=3))
    await one.commit(*ANYBODY, [write])
    stored = await one.read(*ANYBODY, "Group", "g")
    assert stored.raw is not None
    assert '"type":"person","actual":true,"name":"é","quantity":20,"meta":'.encode() in stored.raw


async def test_deleting_takes_the_members_along(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(*range(20)))])
    await store.commit(*ANYBODY, [Delete("Group", "g")])
    assert await groups_of(store, 5) == []
    assert await store.database.collection("members").count_documents({}) == 0
    with pytest.raises(FhirError) as caught:
        await store.members(*ANYBODY, "g")
    assert caught.value.status == 410
    await store.commit(*ANYBODY, [update("g", roster(*range(30, 50)))])
    assert await groups_of(store, 35) == ["g"]


async def test_a_refused_write_leaves_no_rows(store: Store) -> None:
    await store.commit(*ANYBODY, [create("g", roster(1))])
    with pytest.raises(FhirError):
        await store.commit(*ANYBODY, [update("g", roster(*range(20)), expected=9)])
    assert await store.database.collection("members").count_documents({}) == 0
    with pytest.raises(FhirError) as caught:
        await store.add_members(*ANYBODY, "g", members(2), expected=7)
    assert caught.value.status == 412
    with pytest.raises(FhirError) as caught:
        await store.add_members(*ANYBODY, "none", members(2))
    assert caught.value.status == 404


async def test_a_patient_sees_the_groups_they_belong_to(store: Store) -> None:
    await store.commit(
        *ANYBODY, [create("large", roster(*range(20))), create("small", roster(5)), create("not", roster(99))]
    )
    caller = only("Group", Keys("pt", ("Patient/5",)))
    found = (await store.search(*caller, Selection("Group", EVERYTHING))).rows
    assert sorted(row.id for row in found) == ["large", "small"]
    assert (await store.read(*caller, "Group", "large")).version == 1
    assert {row.id for row in (await store.history(*caller, "Group")).rows} == {"large", "small"}
    stranger = only("Group", Keys("pt", ("Patient/77",)))
    for call in (
        store.read(*stranger, "Group", "large"),
        store.members(*stranger, "large"),
        store.find_members(*stranger, "large", ["Patient/1"]),
        store.add_members(*stranger, "large", members(50)),
    ):
        with pytest.raises(FhirError) as caught:
            await call
        assert caught.value.status == 404
    [outcome] = await store.commit(*stranger, [Delete("Group", "large")])
    assert outcome.effect == "unchanged"
    assert len(await listed(store, "large")) == 20


async def test_five_thousand_members(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    await one.commit(*ANYBODY, [create("g", roster(1))])
    added = await one.add_members(*ANYBODY, "g", members(*range(2_000)))
    added = await one.add_members(*ANYBODY, "g", members(*range(5_000)))
    assert content(added)["quantity"] == 5_000
    assert await groups_of(one, 4_321) == ["g"]
    page = await one.members(*ANYBODY, "g", 3_999, 1_000)
    assert (len(page.members), page.next) == (1_000, None)
