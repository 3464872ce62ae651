"""https://hl7.org/fhir/R4/search.html

Every selective search begins with an index scan and looks at a bounded number of documents.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhir import numbers
from fhir_server.fhir.condition import All, Condition, Contains, Ids, Keys, Not, Prefix, Range
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.store.database import Database
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.query import ways
from fhir_server.store.query.plan import COUNTED, NATURAL, candidates, remainder
from fhir_server.store.records import Selection, SortKey
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, TYPES, Clock, create, identifier, only, patient

COUNT = 600
EARLY = ("1980-01-02T00:00:00.000000", "1980-01-03T00:00:00.000000")
LATE = ("1980-01-27T00:00:00.000000", "1980-01-28T00:00:00.000000")
BIRTH = ("1980-01-07T00:00:00.000000", "1980-01-08T00:00:00.000000")
MALE = Keys("tk", ("gender␟*|male",))


@pytest.fixture(scope="module")
async def crowd(embedded: EmbeddedDatabase) -> AsyncIterator[Store]:
    """Patients of 60 families, born on 28 days, of 20 organizations and 50 practitioners, each with a weight."""
    name = f"test-{secrets.token_hex(6)}"
    store = await Store.open(embedded.uri, database=name, types=TYPES, clock=Clock())
    people = [
        create(
            f"p{n}",
            patient(
                n,
                f"Family{n % 60:02}",
                f"o{n % 20}",
                gender="male",
                birthDate=f"1980-01-{1 + n % 28:02}",
                generalPractitioner=[{"reference": f"Practitioner/d{n % 50}"}],
                meta={"profile": [f"http://example.org/profile{n % 40}"]},
                **({"deceasedDateTime": "2020-01-01"} if n % 100 == 0 else {}),
            ),
        )
        for n in range(COUNT)
    ]
    weights = [create(f"w{n}", weight(n)) for n in range(COUNT)]
    for start in range(0, COUNT, 200):
        await store.commit(*ANYBODY, people[start : start + 200])
        await store.commit(*ANYBODY, weights[start : start + 200])
    yield store
    await store.close()


def weight(n: int) -> dict[str, Any]:
    """An Observation of a patient: 40 to 99 kg."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/p{n}"},
        "valueQuantity": {"value": 40 + n % 60, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


async def examined(store: Store, pipeline: Sequence[Mapping[str, Any]], collection: str = "Patient") -> tuple[str, int]:
    """The stage the documents come from, and how many were looked at."""
    command = {"aggregate": collection, "pipeline": list(pipeline), "cursor": {}}
    database = store.database.client.get_database(store.database.name)
    told = await database.command("explain", command, verbosity="executionStats")
    cursor = told["stages"][0]["$cursor"]
    plan = cursor["queryPlanner"]["winningPlan"]
    return plan.get("inputStage", plan)["stage"], cursor["executionStats"]["totalDocsExamined"]


@pytest.mark.parametrize(
    ("where", "most"),
    [
        (identifier(77), 1),
        (All((MALE, identifier(77))), 1),
        (Prefix("st", "family␟family07"), 10),
        (All((MALE, Prefix("st", "family␟family07"))), 10),
        (AnyOf((Prefix("st", "family␟family07"), identifier(5))), 10),
        (Ids(("p1", "p2")), 2),
        (Keys("pt", ("Patient/p9",)), 1),
        (Keys("org", ("Organization/o3",)), 30),
        (Range("birthdate", "eq", *BIRTH, "day"), 5 * 22),
        (Range("birthdate", "eq", *LATE, "day"), 4 * 22),
        (Range("birthdate", "ge", *LATE, "day"), 4 * 22),
        (Range("birthdate", "sa", *LATE, "day"), 4 * 22),
        (Range("birthdate", "lt", *EARLY, "day"), 4 * 22),
        (Range("birthdate", "eb", *EARLY, "day"), 4 * 22),
        (All((Not(identifier(1)), Range("birthdate", "le", *EARLY))), 4 * 22),
        (AnyOf((identifier(1), identifier(2))), 2),
        (Keys("tk", ("identifier␟urn:test|1", "identifier␟urn:test|2")), 2),
        (Keys("tk", ("general-practitioner␟Practitioner/d7",)), 12),
        (Keys("tk", ("_profile␟http://example.org/profile9",)), 15),
        (Prefix("tk", "_profile␟http://example.org/profile9"), 15),
        (Keys("st", ("family␟family07␟Family07",)), 10),
        (Keys("st", ("family␟family07␟Family07", "family␟family08␟Family08")), 20),
        (All((Contains("st", "family␟", "mily"), identifier(3))), 1),
        (All((Keys("pt", ("Patient/p9",)), MALE, Range("birthdate", "ge", *BIRTH, "day"))), 1),
    ],
)
async def test_selective_searches_scan_an_index(crowd: Store, where: Condition, most: int) -> None:
    chosen = candidates(where)[0]
    for first in chosen.firsts:
        pipeline = [{"$match": first}, *remainder(where, chosen), *NATURAL.stages(None, 21, {"raw": 1})]
        stage, documents = await examined(crowd, pipeline)
        assert stage == "IXSCAN"
        assert documents <= most


async def test_windows_of_h_scan_an_index(crowd: Store) -> None:
    for equality in ({}, MALE_FIRST):
        window = {**equality, "h": {"$gte": 0, "$lt": 2**32 // 20}}
        stage, documents = await examined(crowd, [{"$match": window}, *NATURAL.stages(None, 21, {"raw": 1})])
        assert stage == "IXSCAN"
        assert documents < COUNT / 10


MALE_FIRST = {"tk": "gender␟*|male"}


async def test_a_limited_caller_begins_with_what_is_theirs(crowd: Store) -> None:
    caller = only("Patient", Keys("pt", ("Patient/p9",)))
    page = await crowd.search(*caller, Selection("Patient", MALE))
    assert [row.id for row in page.rows] == ["p9"]
    chosen = candidates(All((All((MALE, Keys("pt", ("Patient/p9",)))),)))[0]
    assert chosen.firsts == ({"pt": "Patient/p9"},)


@pytest.mark.parametrize(
    ("where", "most"),
    [
        (Range("value-quantity", "eq", numbers.ordered(Decimal("49.5")), numbers.ordered(Decimal("50.5"))), 10),
        (Range("value-quantity␟*|kg", "ge", *numbers.point(Decimal(97))), 30),
        (Range("value-quantity␟http://unitsofmeasure.org|kg", "lt", *numbers.point(Decimal(42))), 30),
        (Keys("tk", ("subject␟Patient/p77",)), 1),
        (All((Keys("tk", ("code␟*|29463-7",)), Keys("tk", ("patient␟Patient/p77",)))), 1),
        (Keys("tk", tuple(f"subject␟Patient/p{n}" for n in range(20))), 20),
    ],
)
async def test_quantities_and_references_scan_an_index(crowd: Store, where: Condition, most: int) -> None:
    chosen = candidates(where)[0]
    for first in chosen.firsts:
        pipeline = [{"$match": first}, *remainder(where, chosen), *NATURAL.stages(None, 21, {"raw": 1})]
        stage, documents = await examined(crowd, pipeline, "Observation")
        assert stage == "IXSCAN"
        assert 0 < documents <= most


async def test_what_a_search_really_asks_scans_indexes(crowd: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands between a selection and the database: its pipelines are listened to, and explained."""
    asked: list[tuple[str, Sequence[Mapping[str, Any]]]] = []
    rows, find = Database.rows, Database.find

    async def listen(self: Database, name: str, pipeline: Any, session: Any = None) -> Any:
        asked.append((name, pipeline))
        return await rows(self, name, pipeline, session)

    async def listen_to_finds(self: Database, name: str, predicate: Any, *more: Any) -> Any:
        asked.append((name, [{"$match": predicate}]))
        return await find(self, name, predicate, *more)

    monkeypatch.setattr(Database, "rows", listen)
    monkeypatch.setattr(Database, "find", listen_to_finds)
    family = Prefix("st", "family␟family07")
    page = await crowd.search(*ANYBODY, Selection("Patient", family, (SortKey("birthdate", True),), limit=5))
    assert len(page.rows) == 5
    rest = await crowd.search(*ANYBODY, Selection("Patient", family, (SortKey("birthdate", True),), 5, page.next))
    assert len(rest.rows) == 5
    assert await crowd.count(*ANYBODY, "Patient", family) == 10
    ids = await crowd.ids(*ANYBODY, "Patient", family)
    assert len(ids) == 10
    of_them = Keys("tk", tuple(f"subject␟Patient/{id}" for id in ids))
    assert len(await crowd.keys(*ANYBODY, "Observation", of_them, "subject␟Patient/")) == 10
    await crowd.history(*ANYBODY, "Patient", "p7")
    asked = [each for each in asked if each[1] != [{"$match": {}}, COUNTED]]
    assert len(asked) > 5
    for name, pipeline in asked:
        if name in crowd.types:
            # A find looks where an aggregation does that has nothing but its predicate.
            stage, documents = await examined(crowd, pipeline, name)
            assert stage in ("IXSCAN", "IDHACK"), pipeline
            assert documents <= 10, pipeline


async def test_pages_look_at_what_they_need(crowd: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By each way, one predicate at a time: no find looks at a whole collection, none gives more than it must."""
    given: list[tuple[Mapping[str, Any], int]] = []
    find = Database.find

    async def listen(self: Database, name: str, predicate: Any, *more: Any) -> Any:
        found = await find(self, name, predicate, *more)
        given.append((predicate, len(found)))
        return found

    monkeypatch.setattr(Database, "find", listen)
    cases: list[tuple[Condition, int]] = [
        (Prefix("st", "family␟family07"), 10 + 6),
        (Keys("tk", ("_profile␟http://example.org/profile9",)), 4 + 15 + 6),
        (All((MALE, Prefix("st", "family␟family07"))), 4 + 10 + 6),
        (MALE, 40),
        (All(()), 40),
    ]
    for few in (64, 3):
        monkeypatch.setattr(ways, "FEW", few)
        for where, most in cases:
            selection = Selection("Patient", where, limit=5)
            await crowd.search(*ANYBODY, selection)
            given.clear()
            page = await crowd.search(*ANYBODY, selection)
            assert len(page.rows) == 5
            assert 0 < sum(count for _, count in given) <= most, where
            for predicate, _ in given:
                stage, documents = await examined(crowd, [{"$match": predicate}])
                assert stage in ("IXSCAN", "IDHACK")
                assert documents <= most


async def test_a_page_of_everything_looks_at_about_a_page(crowd: Store) -> None:
    """`GET /Patient`, newest changes, and a frequent token are walked in windows."""
    newest = {"lu": {"$gte": 0}}
    stage, _ = await examined(crowd, [{"$match": newest}, *NATURAL.stages(None, 21, {"raw": 1})])
    assert stage == "IXSCAN"
    for page in range(3):
        low = 2**32 * page // 30
        window = {"h": {"$gte": low, "$lt": low + 2**32 // 30}}
        stage, documents = await examined(crowd, [{"$match": window}, *NATURAL.stages(None, 21, {"raw": 1})])
        assert stage == "IXSCAN"
        assert documents < 3 * COUNT / 30
