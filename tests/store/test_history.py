"""https://hl7.org/fhir/R4/http.html#history"""

import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.records import Delete, Page, Write
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, patient, update

Version = tuple[str, int, str]


def versions(page: Page) -> list[Version]:
    return [(row.id, row.version, row.method) for row in page.rows]


async def a_past(store: Store) -> list[tuple[Version, int]]:
    """Ten changes of three patients and an observation, oldest first, each with its instant."""
    observation = {"resourceType": "Observation", "status": "final"}
    past: list[tuple[Version, int]] = []
    steps: list[list[Write]] = [
        [create("a", patient(1)), create("b", patient(2))],
        [update("a", patient(3))],
        [create("o", observation), Delete("Patient", "b")],
        [update("b", patient(4)), update("a", patient(5))],
        [create("c", patient(6))],
        [Delete("Patient", "a"), update("c", patient(7))],
    ]
    for writes in steps:
        for outcome in await store.commit(*ANYBODY, writes):
            assert outcome.stored is not None
            past.append(((outcome.stored.id, outcome.stored.version, outcome.stored.method), outcome.stored.updated))
    return past


async def test_newest_first_for_one_a_type_and_all(store: Store) -> None:
    past = [version for version, _ in await a_past(store)][::-1]
    assert versions(await store.history(*ANYBODY)) == past
    patients = [version for version in past if version[0] != "o"]
    assert versions(await store.history(*ANYBODY, "Patient")) == patients
    for id in "abc":
        page = await store.history(*ANYBODY, "Patient", id)
        assert versions(page) == [version for version in past if version[0] == id]
        assert page.next is None
    deletion = (await store.history(*ANYBODY, "Patient", "a")).rows[0]
    assert (deletion.raw, deletion.method) == (None, "DELETE")


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
async def test_pages_hold_every_version_once(one: Store, limit: int) -> None:
    past = [version for version, _ in await a_past(one)][::-1]
    for resource_type, id, expected in (
        (None, None, past),
        ("Patient", None, [version for version in past if version[0] != "o"]),
        ("Patient", "a", [version for version in past if version[0] == "a"]),
    ):
        found: list[Version] = []
        after: tuple[str | int, ...] | None = None
        while True:
            page = await one.history(*ANYBODY, resource_type, id, limit=limit, after=after)
            found += versions(page)
            if page.next is None:
                break
            assert len(page.rows) == limit
            after = page.next
            await one.commit(*ANYBODY, [update("z", patient(9))])
        assert len(found) == len(set(found))
        assert [version for version in found if version[0] != "z"] == expected


async def test_since_is_when_a_change_was_numbered(one: Store) -> None:
    await a_past(one)
    before = versions(await one.history(*ANYBODY))
    mark = one.database.clock()
    [late] = await one.commit(*ANYBODY, [update("b", patient(8))])
    assert late.stored is not None
    assert versions(await one.history(*ANYBODY, since=mark)) == [("b", 4, "PUT")]
    assert versions(await one.history(*ANYBODY, "Patient", since=mark)) == [("b", 4, "PUT")]
    assert versions(await one.history(*ANYBODY, "Patient", "b", since=mark)) == [("b", 4, "PUT")]
    assert versions(await one.history(*ANYBODY, since=0)) == [("b", 4, "PUT"), *before]
    assert versions(await one.history(*ANYBODY, since=one.database.clock() + 10**9)) == []


async def test_at_selects_what_was_current_then(one: Store) -> None:
    past = dict(await a_past(one))
    moment = past["c", 1, "POST"]
    current = [("c", 1, "POST"), ("a", 3, "PUT"), ("b", 3, "PUT")]
    assert versions(await one.history(*ANYBODY, "Patient", at=(moment, moment + 1))) == current
    assert versions(await one.history(*ANYBODY, at=(moment, moment + 1))) == [*current, ("o", 1, "POST")]
    assert versions(await one.history(*ANYBODY, "Patient", "a", at=(moment, moment + 1))) == [("a", 3, "PUT")]
    first = past["a", 1, "POST"]
    assert versions(await one.history(*ANYBODY, "Patient", "a", at=(first + 1, past["a", 2, "PUT"] + 1))) == [
        ("a", 2, "PUT"),
        ("a", 1, "POST"),
    ]
    assert versions(await one.history(*ANYBODY, "Patient", "a", at=(0, first))) == []


async def test_what_never_was_has_no_history(store: Store) -> None:
    with pytest.raises(FhirError) as caught:
        await store.history(*ANYBODY, "Patient", "none")
    assert caught.value.status == 404
    empty = await store.history(*ANYBODY, "Immunization")
    assert (empty.rows, empty.next) == ((), None)


async def test_followers_get_every_change_in_order(one: Store) -> None:
    past = [version for version, _ in await a_past(one)]
    await one.history(*ANYBODY)
    found: list[Version] = []
    number = 0
    while True:
        page = await one.follow(*ANYBODY, number, limit=4)
        if not page.rows:
            break
        found += versions(page)
        assert page.next is not None
        number = int(page.next[0])
    assert found == past
    assert number == len(past)
    assert not await one.wait_for_change(number, 0.01)
    await one.commit(*ANYBODY, [update("z", patient(9))])
    assert await one.wait_for_change(number, 5)
    assert versions(await one.follow(*ANYBODY, number)) == [("z", 1, "PUT")]
