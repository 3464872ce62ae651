"""https://hl7.org/fhir/R4/search.html#Paging"""

from typing import Any

import pytest

from fhir_server.fhir.condition import EVERYTHING, NOTHING, All, Condition, Contains, Keys, Not, Prefix
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.relations import sees
from fhir_server.store.database import Database
from fhir_server.store.documents import hash_of
from fhir_server.store.query import search, statistics, ways
from fhir_server.store.query.plan import COUNTED
from fhir_server.store.records import Delete, Selection, SortKey
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, identifier, patient, update

COUNT = 60


async def crowd(store: Store) -> None:
    """Sixty patients; every fifth without a name."""
    people = []
    for n in range(COUNT):
        person = patient(n, f"Family{n % 7}", gender="female" if n % 2 else "male")
        if n % 5 == 0:
            del person["name"]
        people.append(create(f"p{n:02}", person))
    await store.commit(*ANYBODY, people)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents each call of the database gave."""
    looked: list[int] = []
    find = Database.find

    async def counted(self: Database, name: str, *more: Any) -> Any:
        found = await find(self, name, *more)
        looked.append(len(found))
        return found

    monkeypatch.setattr(Database, "find", counted)
    return looked


async def every_id(store: Store, selection: Selection) -> list[str]:
    found: list[str] = []
    while True:
        page = await store.search(*ANYBODY, selection)
        found += [row.id for row in page.rows]
        if page.next is None:
            return found
        assert len(page.rows) == selection.limit
        selection = Selection(selection.type, selection.where, selection.sort, selection.limit, page.next)


@pytest.mark.parametrize("small", [0, 2_000])
@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_pages_hold_every_row_once(one: Store, monkeypatch: pytest.MonkeyPatch, limit: int, small: int) -> None:
    monkeypatch.setattr(search, "SMALL", small)
    await crowd(one)
    everybody = {f"p{n:02}" for n in range(COUNT)}
    sorts = [(), (SortKey("family"),), (SortKey("family", True), SortKey("gender")), (SortKey("_lastUpdated", True),)]
    for sort in sorts:
        found = await every_id(one, Selection("Patient", EVERYTHING, sort, limit))
        assert len(found) == COUNT
        assert set(found) == everybody


async def test_rows_without_the_value_come_last_either_way(store: Store) -> None:
    await crowd(store)
    nameless = {f"p{n:02}" for n in range(0, COUNT, 5)}
    for descending in (False, True):
        found = await every_id(store, Selection("Patient", EVERYTHING, (SortKey("family", descending),), 10))
        assert set(found[-len(nameless) :]) == nameless
        families = [int(id[1:]) % 7 for id in found[: -len(nameless)]]
        assert families == sorted(families, reverse=descending)


async def test_newest_and_oldest_changes_first(store: Store) -> None:
    for n in range(8):
        await store.commit(*ANYBODY, [create(f"p{n}", patient(n))])
    await store.commit(*ANYBODY, [update("p3", patient(3))])
    oldest = ["p0", "p1", "p2", "p4", "p5", "p6", "p7", "p3"]
    for limit in (3, 100):
        sort = (SortKey("_lastUpdated"),)
        assert await every_id(store, Selection("Patient", EVERYTHING, sort, limit)) == oldest
        sort = (SortKey("_lastUpdated", True),)
        assert await every_id(store, Selection("Patient", EVERYTHING, sort, limit)) == oldest[::-1]


async def test_pages_stay_whole_while_others_write(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SMALL", 0)
    await crowd(one)
    found: list[str] = []
    selection = Selection("Patient", EVERYTHING, limit=4)
    for number in range(100):
        page = await one.search(*ANYBODY, selection)
        found += [row.id for row in page.rows]
        if page.next is None:
            break
        await one.commit(*ANYBODY, [create(f"new{number}", patient(number)), update("p33", patient(number))])
        selection = Selection("Patient", EVERYTHING, limit=4, after=page.next)
    assert len(found) == len(set(found))
    assert {f"p{n:02}" for n in range(COUNT)} <= set(found)


async def test_a_type_that_has_grown_since_it_was_counted_is_read_in_narrow_windows(
    one: Store, looked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "SIZE_SECONDS", 600.0)
    rows = Database.rows

    async def unsorted(self: Database, name: str, pipeline: Any, *more: Any) -> Any:
        assert name != "Patient" or pipeline[-1] == COUNTED, "sorting a window that holds everything"
        return await rows(self, name, pipeline, *more)

    monkeypatch.setattr(Database, "rows", unsorted)
    await one.commit(*ANYBODY, [create("p000", patient(0))])
    assert await every_id(one, Selection("Patient", EVERYTHING, limit=20)) == ["p000"]
    await one.commit(*ANYBODY, [create(f"p{n:03}", patient(n)) for n in range(1, 900)])
    looked.clear()
    found = await every_id(one, Selection("Patient", EVERYTHING, limit=20))
    assert len(found) == 900 and set(found) == {f"p{n:03}" for n in range(900)}
    assert sorted(found, key=lambda id: (hash_of(id), id)) == found
    # A page pays for the wrong count once.
    assert sum(looked) < 45 * (2 * ways.WINDOW + 100)


async def test_a_frequent_name_is_read_in_windows(one: Store, looked: list[int]) -> None:
    """Of 200 Smiths a page looks at about a page, and no Smithson and nobody of both names is lost or doubled."""
    people = [create(f"s{n:03}", patient(n, "Smith", gender="male" if n % 2 else "female")) for n in range(200)]
    people += [create(f"l{n:03}", patient(1000 + n, "Smithson", gender="male")) for n in range(12)]
    both = [{"family": "Smith"}, {"family": "Smithers"}, {"family": "SMITH"}]
    people += [create(f"b{n}", patient(2000 + n, name=both, gender="male")) for n in range(3)]
    people += [create(f"o{n:03}", patient(3000 + n, "Smits", gender="male")) for n in range(100)]
    await one.commit(*ANYBODY, people)
    smiths = {write.id for write in people if write.id[0] in "slb"}
    men = {id for id in smiths if id[0] in "lb" or int(id[1:]) % 2}
    family, male = Prefix("st", "family␟smith"), Keys("tk", ("gender␟*|male",))
    for where, expected in ((family, smiths), (All((family, male)), men)):
        for limit in (5, 9):
            selection = Selection("Patient", where, limit=limit)
            assert set(found := await every_id(one, selection)) == expected
            assert found == sorted(expected, key=lambda id: (hash_of(id), id))
    looked.clear()
    await one.search(*ANYBODY, Selection("Patient", family, limit=9))
    assert sum(looked) < 60


async def test_whom_an_organization_may_see_is_read_in_windows(
    one: Store, looked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By any of three keys, of which most have two: a page looks at about a page for each, and nobody is lost."""
    people = [create(f"n{n:03}", patient(n, organization="north", gender="male")) for n in range(200)]
    people += [create(f"s{n:03}", patient(1000 + n, organization="south", gender="male")) for n in range(200)]
    people += [create(f"e{n:03}", patient(2000 + n, organization="east", gender="male")) for n in range(200)]
    await one.commit(*ANYBODY, people)
    expected = {write.id for write in people if write.id[0] in "ns"}
    visible = Keys("org", ("Organization/north", sees("north"), sees("south")))
    for where in (visible, All((Not(Keys("tk", ("gender␟*|female",))), visible))):
        for limit in (5, 9):
            assert set(found := await every_id(one, Selection("Patient", where, limit=limit))) == expected
            assert found == sorted(expected, key=lambda id: (hash_of(id), id))
    looked.clear()
    # What finds everything and sorts it is not asked.
    monkeypatch.delattr(ways, "gather")
    await one.search(*ANYBODY, Selection("Patient", visible, limit=9))
    assert 0 < sum(looked) < 150


async def test_a_name_of_which_much_is_longer_is_found_whole(one: Store) -> None:
    people = [create(f"p{n:03}", patient(n, f"Ann{'e' * (n % 3)}")) for n in range(300)]
    await one.commit(*ANYBODY, people)
    found = await every_id(one, Selection("Patient", Prefix("st", "family␟ann"), limit=10))
    assert sorted(found) == [write.id for write in people]


async def test_deleted_resources_are_not_found(store: Store) -> None:
    await crowd(store)
    await store.commit(*ANYBODY, [Delete("Patient", "p07")])
    assert (await store.search(*ANYBODY, Selection("Patient", identifier(7)))).rows == ()
    assert await store.count(*ANYBODY, "Patient", EVERYTHING) == COUNT - 1


async def test_parts_of_names_and_what_is_not_said(store: Store) -> None:
    await crowd(store)
    assert len(await every_id(store, Selection("Patient", Prefix("st", "family␟family3"), limit=50))) == 7
    assert len(await every_id(store, Selection("Patient", Contains("st", "family␟", "mily3"), limit=50))) == 7
    nameless = Selection("Patient", Not(Keys("hs", ("name",))), limit=50)
    assert await every_id(store, nameless) == await every_id(
        store, Selection("Patient", All((nameless.where, Not(NOTHING))), limit=5)
    )
    assert await store.count(*ANYBODY, "Patient", nameless.where) == 12
    assert await every_id(store, Selection("Patient", NOTHING)) == []
    assert (await store.search(*ANYBODY, Selection("Patient", EVERYTHING, limit=0))).rows == ()


async def test_ids_and_keys_are_never_cut_off(store: Store) -> None:
    await crowd(store)
    assert len(await store.ids(*ANYBODY, "Patient", EVERYTHING, COUNT)) == COUNT
    keys = await store.keys(*ANYBODY, "Patient", EVERYTHING, "identifier␟urn:test|", COUNT)
    assert keys == {f"identifier␟urn:test|{n}" for n in range(COUNT)}
    for call in (
        store.ids(*ANYBODY, "Patient", EVERYTHING, COUNT - 1),
        store.keys(*ANYBODY, "Patient", EVERYTHING, "identifier␟", COUNT - 1),
    ):
        with pytest.raises(FhirError) as caught:
            await call
        issue = caught.value.issues[0]
        assert (caught.value.status, issue.code, issue.detail) == (400, "too-costly", "unselective-chain")


NOWHERE: Condition = Contains("st", "family␟", "zzz")


@pytest.mark.parametrize(
    ("where", "sort"),
    [(NOWHERE, ()), (EVERYTHING, (SortKey("family"),)), (Not(identifier(1)), (SortKey("gender"),))],
)
async def test_beyond_the_budget_a_search_is_refused_and_says_what_to_add(
    one: Store, monkeypatch: pytest.MonkeyPatch, where: Condition, sort: tuple[SortKey, ...]
) -> None:
    await crowd(one)
    monkeypatch.setattr(search, "SMALL", 1)
    monkeypatch.setattr(search, "ALLOWED", 20)
    monkeypatch.setattr(ways, "ALLOWED", 20)
    with pytest.raises(FhirError) as caught:
        await one.search(*ANYBODY, Selection("Patient", where, sort, limit=5))
    issue = caught.value.issues[0]
    assert (caught.value.status, issue.code, issue.detail) == (400, "too-costly", "unselective-search")
    assert "Add a parameter" in issue.text
    assert len((await one.search(*ANYBODY, Selection("Patient", EVERYTHING, limit=5))).rows) == 5


async def test_counting_too_many_is_refused(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await crowd(one)
    monkeypatch.setattr(search, "FOUND", 20)
    monkeypatch.setattr(search, "SMALL", 10)
    with pytest.raises(FhirError) as caught:
        await one.count(*ANYBODY, "Patient", NOWHERE)
    assert (caught.value.status, caught.value.issues[0].code) == (400, "too-costly")
    assert await one.count(*ANYBODY, "Patient", identifier(3)) == 1


async def test_a_long_list_counts_every_match_once(one: Store) -> None:
    await crowd(one)
    keys = tuple(f"identifier␟urn:test|{n}" for n in range(250))
    either = Keys("tk", (*keys, "gender␟*|male"))
    assert await one.count(*ANYBODY, "Patient", either) == COUNT
    assert len(await every_id(one, Selection("Patient", either, limit=7))) == COUNT
