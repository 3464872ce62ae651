"""https://hl7.org/fhir/R4/http.html#versions"""

from dataclasses import replace

import msgspec
import pytest

from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.records import Create, Delete
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, START, create, patient, update


def refusal(status: int, detail: str, caught: pytest.ExceptionInfo[FhirError]) -> None:
    assert (caught.value.status, caught.value.issues[0].detail) == (status, detail)


async def test_what_comes_in_goes_out_with_id_and_meta_stamped(store: Store) -> None:
    body = b'{"resourceType":"Patient","extension":[{"url":"u","valueDecimal":1.10}],"birthDate":"1980-01"}'
    resource = msgspec.json.decode(body)
    await store.commit(*ANYBODY, [Create("Patient", "a", body, create("a", resource).entries)])
    stored = await store.read(*ANYBODY, "Patient", "a")
    assert stored.raw == (
        b'{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"'
        + json.instant(stored.updated).encode()
        + b'"},"extension":[{"url":"u","valueDecimal":1.10}],"birthDate":"1980-01"}'
    )
    assert (stored.type, stored.id, stored.version, stored.method) == ("Patient", "a", 1, "POST")
    assert START < stored.updated < START + 1_000_000


async def test_every_update_keeps_the_version_it_replaces(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient(1, "First"))])
    [second] = await store.commit(*ANYBODY, [update("a", patient(1, "Second"), expected=1)])
    assert second.effect == "updated"
    assert second.stored is not None
    assert second.stored.version == 2
    first = await store.vread(*ANYBODY, "Patient", "a", 1)
    assert first.raw is not None
    assert b"First" in first.raw
    assert (await store.vread(*ANYBODY, "Patient", "a", 2)).raw == second.stored.raw
    with pytest.raises(FhirError) as caught:
        await store.vread(*ANYBODY, "Patient", "a", 3)
    refusal(404, "unknown-version", caught)


async def test_a_put_to_a_new_id_creates_where_it_may(store: Store) -> None:
    [made] = await store.commit(*ANYBODY, [update("a", patient())])
    assert made.effect == "created"
    assert made.stored is not None
    assert (made.stored.version, made.stored.method) == (1, "PUT")
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [update("b", patient(), may_create=False)])
    refusal(404, "unknown-resource", caught)


async def test_a_stale_version_changes_nothing(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient())])
    for write in (update("a", patient(), expected=2), update("new", patient(), expected=1), Delete("Patient", "a", 7)):
        with pytest.raises(FhirError) as caught:
            await store.commit(*ANYBODY, [create("other", patient(2)), write])
        refusal(412, "stale-version", caught)
    assert (await store.read(*ANYBODY, "Patient", "a")).version == 1
    assert await store.read_many(*ANYBODY, [("Patient", "other"), ("Patient", "new")]) == []


async def test_deleted_is_gone_but_its_versions_stay_and_go_on(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient())])
    [deleted] = await store.commit(*ANYBODY, [Delete("Patient", "a", expected=1)])
    assert deleted.effect == "deleted"
    assert deleted.stored is not None
    assert (deleted.stored.version, deleted.stored.raw, deleted.stored.method) == (2, None, "DELETE")
    for reading in (store.read(*ANYBODY, "Patient", "a"), store.vread(*ANYBODY, "Patient", "a", 2)):
        with pytest.raises(FhirError) as caught:
            await reading
        refusal(410, "deleted", caught)
    assert (await store.vread(*ANYBODY, "Patient", "a", 1)).version == 1
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [update("a", patient(), may_create=False)])
    refusal(410, "deleted", caught)
    [again] = await store.commit(*ANYBODY, [Delete("Patient", "a")])
    assert (again.effect, again.stored) == ("unchanged", None)
    [back] = await store.commit(*ANYBODY, [update("a", patient())])
    assert back.stored is not None
    assert (back.effect, back.stored.version) == ("created", 3)
    assert (await store.read(*ANYBODY, "Patient", "a")).version == 3


async def test_last_updated_rises_with_every_version_whatever_the_clock_says(store: Store) -> None:
    times = []
    await store.commit(*ANYBODY, [create("a", patient())])
    for _ in range(3):
        store.database.clock = lambda: START - 5_000_000
        await store.commit(*ANYBODY, [update("a", patient())])
        times.append((await store.read(*ANYBODY, "Patient", "a")).updated)
    [deleted] = await store.commit(*ANYBODY, [Delete("Patient", "a")])
    [back] = await store.commit(*ANYBODY, [update("a", patient())])
    assert deleted.stored is not None
    assert back.stored is not None
    times += [deleted.stored.updated, back.stored.updated]
    assert times == sorted(set(times))


async def test_all_writes_of_a_commit_or_none(store: Store) -> None:
    await store.commit(*ANYBODY, [create("taken", patient())])
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [create("x", patient(2)), create("taken", patient(3)), create("y", patient(4))])
    refusal(409, "duplicate-id", caught)
    assert [row.id for row in await store.read_many(*ANYBODY, [("Patient", id) for id in ("x", "taken", "y")])] == [
        "taken"
    ]
    outcomes = await store.commit(
        *ANYBODY,
        [create("x", patient(2)), update("taken", patient(3)), Delete("Patient", "none"), create("y", patient(4))],
    )
    assert [outcome.effect for outcome in outcomes] == ["created", "updated", "unchanged", "created"]
    assert len({outcome.stored.updated for outcome in outcomes if outcome.stored}) == 1


async def test_two_writes_to_one_resource_are_refused(store: Store) -> None:
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [update("a", patient()), Delete("Patient", "a")])
    refusal(400, "duplicate-identity", caught)


async def test_many_writes_are_grouped_and_answered_in_order(one: Store) -> None:
    await one.commit(*ANYBODY, [create(f"p{n}", patient(n)) for n in range(0, 700, 2)])
    writes = [update(f"p{n}", patient(n, "Again")) for n in range(700)]
    outcomes = await one.commit(*ANYBODY, writes)
    assert [outcome.stored.id for outcome in outcomes if outcome.stored] == [f"p{n}" for n in range(700)]
    assert [outcome.effect for outcome in outcomes] == ["updated", "created"] * 350
    deletes = await one.commit(*ANYBODY, [Delete("Patient", f"p{n}") for n in range(700)])
    assert {outcome.effect for outcome in deletes} == {"deleted"}


async def test_a_resource_too_large_for_a_document_is_413(one: Store) -> None:
    large = patient(text={"status": "generated", "div": "x" * 8_000_001})
    with pytest.raises(FhirError) as caught:
        await one.commit(*ANYBODY, [create("a", large)])
    refusal(413, "resource-too-large", caught)


async def test_a_call_without_caller_or_predicate_is_a_mistake(one: Store) -> None:
    with pytest.raises(TypeError):
        await one.read(None, None, "Patient", "a")  # type: ignore[arg-type] # the mistake itself
    with pytest.raises(TypeError):
        await one.commit(ANYBODY[0], None, [create("a", patient())])  # type: ignore[arg-type] # the mistake itself


async def test_a_put_that_must_be_new_replaces_nothing(store: Store) -> None:
    write = update("a", patient())
    only_new = replace(write, may_replace=False)
    [made] = await store.commit(*ANYBODY, [only_new])
    assert made.effect == "created"
    with pytest.raises(FhirError) as caught:
        await store.commit(*ANYBODY, [only_new])
    assert caught.value.status == 412
    assert (await store.read(*ANYBODY, "Patient", "a")).version == 1
