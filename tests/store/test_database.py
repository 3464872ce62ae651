"""https://www.mongodb.com/docs/manual/core/indexes/index-types/index-multikey/multikey-index-bounds/"""

import pytest

from fhir_server.fhir.condition import Prefix
from fhir_server.store.database import Database
from fhir_server.store.query.match import Match, starting
from fhir_server.store.records import Selection
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, identifier, patient


async def test_mongodb_is_told_that_both_bounds_are_of_one_element(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    database, bounds = one.database, starting("family␟smith")
    others: list[Match] = [
        {"tk": "a␟1", "h": {"$gte": 0, "$lt": 9}},
        {"_id": {"$in": ["a"]}},
        {"lu": {"$gte": 1}},
        {"tk": {"$in": []}},
    ]
    assert await database.is_embedded()
    assert await database.bounded({"tk": bounds}) == {"tk": bounds}

    async def no(self: Database) -> bool:
        return False

    monkeypatch.setattr(Database, "is_embedded", no)
    assert await database.bounded({"tk": bounds}) == {"tk": {"$elemMatch": bounds}}
    assert [await database.bounded(each) for each in others] == others
    # What it then asks has the same meaning.
    await one.commit(*ANYBODY, [create("a", patient(1)), create("b", patient(2, "Smits"))])
    for where in (Prefix("st", "family␟smith"), identifier(1)):
        page = await one.search(*ANYBODY, Selection("Patient", where))
        assert [row.id for row in page.rows] == ["a"]
