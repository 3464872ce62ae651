"""https://www.mongodb.com/docs/manual/reference/command/bulkWrite/

What a commit writes is the same in one command and collection by collection.
"""

import asyncio

import pytest

from fhir_server.fhir.outcome import FhirError
from fhir_server.store import bulk
from fhir_server.store.database import BULK_WRITE, Database
from fhir_server.store.records import Delete
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, patient, update


@pytest.fixture(params=["one command", "older database", "large"], autouse=True)
async def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "older database":
        monkeypatch.setattr(Database, "_wire_version", BULK_WRITE - 1)
    if request.param == "large":
        monkeypatch.setattr(bulk, "MOST", 0)


async def test_creates_updates_and_deletes_are_one_commit(store: Store) -> None:
    await store.commit(*ANYBODY, [create("a", patient(1)), create("b", patient(2))])
    await store.commit(*ANYBODY, [update("a", patient(3)), Delete("Patient", "b"), create("c", patient(4))])
    versions = {(row.id, row.version, row.raw is None) for row in (await store.history(*ANYBODY)).rows}
    assert versions == {("a", 1, False), ("b", 1, False), ("a", 2, False), ("b", 2, True), ("c", 1, False)}


async def test_a_taken_id_leaves_nothing_behind(one: Store) -> None:
    await one.commit(*ANYBODY, [create("a", patient(1))])
    with pytest.raises(FhirError) as caught:
        await one.commit(*ANYBODY, [create("b", patient(2)), create("a", patient(3))])
    assert (caught.value.status, caught.value.issues[0].detail) == (409, "duplicate-id")
    assert [(row.id, row.version) for row in (await one.history(*ANYBODY)).rows] == [("a", 1)]


async def test_somebody_who_is_known_before_they_come(one: Store) -> None:
    """A dose may be stored before its patient is: then something is known of whom a create takes for new."""
    dose = {"resourceType": "Immunization", "status": "completed", "patient": {"reference": "Patient/a"}}
    await one.commit(*ANYBODY, [create("d", dose)])
    [made] = await one.commit(*ANYBODY, [create("a", patient(1))])
    assert made.effect == "created"


async def test_those_who_change_the_same_resource_wait_for_each_other(one: Store) -> None:
    await one.commit(*ANYBODY, [create("a", patient(0))])
    await asyncio.gather(*(one.commit(*ANYBODY, [update("a", patient(n))]) for n in range(12)))
    assert (await one.read(*ANYBODY, "Patient", "a")).version == 13
