"""https://hl7.org/fhir/R4/http.html#ccreate"""

from dataclasses import replace

import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.store.records import ClaimTaken, Delete
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, claim, create, patient, update


async def test_none_creates_one_matches_several_refuse(store: Store) -> None:
    [made] = await store.commit(*ANYBODY, [create("a", patient(1), claim(1))])
    assert made.effect == "created"
    [found] = await store.commit(*ANYBODY, [create("b", patient(1), claim(1))])
    assert (found.effect, found.stored) == ("matched", made.stored)
    await store.commit(*ANYBODY, [create("c", patient(1))])
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [create("d", patient(1), claim(1))])
    assert (caught.value.status, caught.value.issues[0].code) == (412, "multiple-matches")


async def test_a_match_written_plainly_counts(store: Store) -> None:
    await store.commit(*ANYBODY, [create("plain", patient(1))])
    [found] = await store.commit(*ANYBODY, [create("a", patient(1), claim(1))])
    assert (found.effect, found.stored and found.stored.id) == ("matched", "plain")


async def test_a_claim_does_not_outlive_its_truth(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient(1), claim(1))])
    await store.commit(*ANYBODY, [Delete("Patient", "a")])
    [again] = await store.commit(*ANYBODY, [create("b", patient(1), claim(1))])
    assert again.effect == "created"
    await store.commit(*ANYBODY, [update("b", patient(2))])
    [third] = await store.commit(*ANYBODY, [create("c", patient(1), claim(1))])
    assert third.effect == "created"
    [found] = await store.commit(*ANYBODY, [create("d", patient(1), claim(1))])
    assert (found.effect, found.stored and found.stored.id) == ("matched", "c")


async def test_a_commit_that_must_create_writes_nothing_when_it_cannot(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient(1), claim(1))])
    with pytest.raises(ClaimTaken):
        await store.commit(*ANYBODY, [create("x", patient(7)), create("b", patient(1), claim(1), must_create=True)])
    assert await store.read_many(*ANYBODY, [("Patient", "x"), ("Patient", "b")]) == []


async def test_matched_and_written_in_one_commit(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient(1), claim(1))])
    outcomes = await store.commit(
        *ANYBODY, [create("b", patient(1), claim(1)), create("c", patient(2), claim(2)), create("d", patient(3))]
    )
    assert [outcome.effect for outcome in outcomes] == ["matched", "created", "created"]
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [create("e", patient(5), claim(5)), create("f", patient(5), claim(5))])
    assert (caught.value.status, caught.value.issues[0].detail) == (400, "duplicate-identity")


async def test_a_refused_commit_leaves_no_claim(store: Store) -> None:
    with pytest.raises(FhirError):
        await store.commit(*ANYBODY, [create("a", patient(1), claim(1)), update("none", patient(2), may_create=False)])
    [made] = await store.commit(*ANYBODY, [create("b", patient(1), claim(1))])
    assert made.effect == "created"


async def test_a_conditional_update_under_a_clients_id_creates_once(store: Store) -> None:
    first = replace(update("mine", patient(1)), unless=claim(1))
    [made] = await store.commit(*ANYBODY, [first])
    assert (made.effect, made.stored and made.stored.id) == ("created", "mine")
    [found] = await store.commit(*ANYBODY, [replace(update("yours", patient(1)), unless=claim(1))])
    assert (found.effect, found.stored and found.stored.id) == ("matched", "mine")
    with pytest.raises(ClaimTaken):
        await store.commit(*ANYBODY, [replace(update("yours", patient(1)), unless=claim(1), must_create=True)])
