"""https://hl7.org/fhir/R4/resourcelist.html"""

import pytest

from fhir_server.store import schema
from fhir_server.store.schema import ARRAYS, SchemaError
from fhir_server.store.store import Store
from profiles.definitions import RESOURCE_TYPES
from tests.store.conftest import Opener
from tests.store.world import ANYBODY, TYPES, create, patient


def test_no_index_spans_two_arrays() -> None:
    """MongoDB refuses such documents; the embedded engine takes them silently."""
    for keys in schema.layout(RESOURCE_TYPES).values():
        for key in keys:
            assert len(ARRAYS & set(key)) <= 1, key
            assert not any(part.startswith(("so", "$")) or "*" in part for part in key)


async def test_the_first_boot_makes_every_index(store: Store) -> None:
    assert await schema.differences(store.database, TYPES) == []
    await store.database.collection("Patient").drop_index("rk_1")
    [difference] = await schema.differences(store.database, TYPES)
    assert difference.startswith("Patient: missing [('rk',)]")
    description = await store.describe()
    assert description["indexesOk"] is False
    assert description["collections"] == len(TYPES) * 2 + len(schema.SYSTEM)
    assert description["engine"].startswith("SecantusDB")


async def test_all_types_have_their_collections_by_default(opened: Opener) -> None:
    store = await opened(types=None)
    assert store.types == RESOURCE_TYPES
    assert len(RESOURCE_TYPES) == 146
    assert (await store.describe())["indexesOk"] is True


async def test_a_second_open_makes_nothing(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await opened()
    await first.commit(*ANYBODY, [create("a", patient())])

    async def fail(*arguments: object) -> None:
        raise AssertionError("an index was made")

    monkeypatch.setattr(schema, "_make", fail)
    second = await opened()
    assert (await second.read(*ANYBODY, "Patient", "a")).version == 1


async def test_another_versions_database_is_refused(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    await opened()
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(SchemaError, match="has index list 3, this version of the server expects 4"):
        await opened()


async def test_an_earlier_versions_superfluous_indexes_are_dropped(opened: Opener) -> None:
    store = await opened(types=["Patient", "Group"])
    await store.commit(*ANYBODY, [create("a", patient())])
    meta = store.database.collection("meta")
    await store.database.collection("Group").create_index("st")
    await meta.update_one({"_id": "schema"}, {"$set": {"version": 1}})
    assert await schema.differences(store.database, ["Group"]) == ["Group: missing [], unknown [('st',)]"]
    again = await opened(types=["Patient", "Group"])
    assert await schema.differences(again.database, ["Patient", "Group"]) == []
    assert (await again.read(*ANYBODY, "Patient", "a")).version == 1
    assert (await meta.find_one({"_id": "schema"}))["version"] == schema.VERSION


async def test_no_index_is_made_on_data(opened: Opener) -> None:
    store = await opened(types=["Patient"])
    await store.database.collection("Group").insert_one({"_id": "a"})
    with pytest.raises(SchemaError, match="Group holds data but lacks indexes"):
        await opened(types=["Patient", "Group"])
