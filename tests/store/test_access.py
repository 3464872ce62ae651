"""https://hl7.org/fhir/R4/security.html

What the predicate hides does not exist, on every path that reads.
"""

from collections.abc import Awaitable, Callable

import pytest

from fhir_server.caller import Caller, Predicate
from fhir_server.fhir.condition import EVERYTHING, Keys, Not
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.records import Claim, Delete, Selection, SortKey
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, claim, create, identifier, only, patient, patient_of, update

MINE = patient_of("mine")


async def two_worlds(store: Store) -> None:
    """`own` and `other`, both with a second version; `own-gone` and `other-gone`, deleted."""
    for id, organization in (("own", "mine"), ("other", "theirs"), ("own-gone", "mine"), ("other-gone", "theirs")):
        await store.commit(*ANYBODY, [create(id, patient(1, organization=organization))])
        await store.commit(*ANYBODY, [update(id, patient(1, "Again", organization))])
    await store.commit(*ANYBODY, [Delete("Patient", "own-gone"), Delete("Patient", "other-gone")])


def answer(error: FhirError, id: str) -> tuple[int, str]:
    """What the client sees, with the id taken out."""
    return error.status, str(error.issues).replace(id, "ID")


async def test_foreign_and_absent_look_alike(store: Store) -> None:
    await two_worlds(store)
    calls: list[Callable[[str], Awaitable[object]]] = [
        lambda id: store.read(*MINE, "Patient", id),
        lambda id: store.vread(*MINE, "Patient", id, 1),
        lambda id: store.vread(*MINE, "Patient", id, 2),
        lambda id: store.vread(*MINE, "Patient", id, 3),
        lambda id: store.history(*MINE, "Patient", id),
        lambda id: store.commit(*MINE, [update(id, patient(1, organization="mine"), may_create=False)]),
        lambda id: (
            store.commit(*MINE, [update(id, patient(1, organization="mine"), expected=2)])
            if "gone" in id
            else store.commit(*MINE, [update(id, patient(1, organization="mine"), expected=2, may_create=False)])
        ),
        lambda id: store.commit(*MINE, [Delete("Patient", id, expected=2)]),
    ]
    for number, call in enumerate(calls):
        answers = set()
        for id in ("other", "absent", "other-gone"):
            if number == 6 and id != "other":
                continue
            with pytest.raises(FhirError) as caught:
                await call(id)
            answers.add(answer(caught.value, id))
        assert len(answers) == 1, (number, answers)
    assert (await store.commit(*MINE, [Delete("Patient", "other")]))[0].effect == "unchanged"
    assert (await store.read(*ANYBODY, "Patient", "other")).version == 2


async def test_a_deletion_is_told_only_to_those_who_could_see_it(store: Store) -> None:
    await two_worlds(store)
    for id, status in (("own-gone", 410), ("other-gone", 404)):
        with pytest.raises(FhirError) as caught:
            await store.read(*MINE, "Patient", id)
        assert caught.value.status == status


async def test_hidden_resources_are_in_no_result(store: Store) -> None:
    await two_worlds(store)
    assert [row.id for row in (await store.search(*MINE, Selection("Patient", EVERYTHING))).rows] == ["own"]
    for sort in (SortKey("family"), SortKey("_lastUpdated", True), SortKey("_id")):
        page = await store.search(*MINE, Selection("Patient", identifier(1), (sort,)))
        assert [row.id for row in page.rows] == ["own"]
    negated = await store.search(*MINE, Selection("Patient", Not(Keys("tk", ("gender␟*|male",)))))
    assert [row.id for row in negated.rows] == ["own"]
    assert await store.count(*MINE, "Patient", EVERYTHING) == 1
    assert await store.count(*MINE, "Patient", identifier(1)) == 1
    assert await store.ids(*MINE, "Patient", identifier(1)) == ["own"]
    assert await store.keys(*MINE, "Patient", EVERYTHING, "organization␟Organization/") == {
        "organization␟Organization/mine"
    }
    wanted = [("Patient", id) for id in ("other", "own", "own-gone", "other-gone", "absent")]
    assert [row.id for row in await store.read_many(*MINE, wanted)] == ["own"]


async def test_hidden_versions_are_in_no_history(store: Store) -> None:
    await two_worlds(store)
    for page in (
        await store.history(*MINE, "Patient"),
        await store.history(*MINE),
        await store.history(*MINE, since=0),
        await store.history(*MINE, "Patient", at=(0, 2**62)),
        await store.follow(*MINE, 0, 100),
    ):
        assert sorted((row.id, row.version) for row in page.rows) == [
            ("own", 1),
            ("own", 2),
            ("own-gone", 1),
            ("own-gone", 2),
            ("own-gone", 3),
        ]
    assert [row.version for row in (await store.history(*MINE, "Patient", "own-gone")).rows] == [3, 2, 1]


async def test_who_lost_sight_of_a_resource_lost_its_versions(store: Store) -> None:
    label = {"security": [{"system": "s", "code": "R"}]}
    await store.commit(*ANYBODY, [create("a", patient())])
    await store.commit(*ANYBODY, [update("a", patient(meta=label))])
    unlabelled = only("Patient", Not(Keys("lb", ("s|R",))))
    for reading in (
        store.read(*unlabelled, "Patient", "a"),
        store.vread(*unlabelled, "Patient", "a", 1),
        store.history(*unlabelled, "Patient", "a"),
    ):
        with pytest.raises(FhirError) as caught:
            await reading
        assert caught.value.status == 404
    assert (await store.history(*unlabelled, "Patient")).rows == ()
    await store.commit(*ANYBODY, [update("a", patient())])
    assert [row.version for row in (await store.history(*unlabelled, "Patient", "a")).rows] == [3, 1]


async def test_nobody_moves_a_resource_beyond_their_own_reach(store: Store) -> None:
    await two_worlds(store)
    for write in (update("own", patient(1, organization="theirs")), create("new", patient(2, organization="theirs"))):
        with pytest.raises(FhirError) as caught:
            await store.commit(*MINE, [write])
        assert (caught.value.status, caught.value.issues[0].detail) == (403, "beyond-access")
    assert (await store.read(*ANYBODY, "Patient", "own")).version == 2


async def test_a_hidden_match_counts_as_none(store: Store) -> None:
    def mine(number: int) -> Claim:
        return Claim(claim(number).criteria, claim(number).where, "mine")

    await store.commit(*ANYBODY, [create("other", patient(1, organization="theirs"))])
    [made] = await store.commit(*MINE, [create("new", patient(1, organization="mine"), mine(1))])
    assert made.effect == "created"
    [again] = await store.commit(*MINE, [create("newer", patient(1, organization="mine"), mine(1))])
    assert (again.effect, again.stored and again.stored.id) == ("matched", "new")


def test_a_predicate_is_a_function_of_the_type() -> None:
    caller, predicate = MINE
    checked: tuple[Caller, Predicate] = (caller, predicate)
    assert checked[1]("Observation") == EVERYTHING
