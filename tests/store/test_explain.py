"""https://hl7.org/fhir/R4/search.html

Every selective search begins with an index scan and looks at a bounded number of documents.
"""

from typing import Any

import pytest

from fhir_server.fhir.condition import All, Condition, Ids, Keys, Not, Prefix, Range
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.store.plan import NATURAL, candidates, remainder
from fhir_server.store.records import Selection
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, identifier, only, patient

COUNT = 600
BIRTH = ("1980-01-07T00:00:00.000000", "1980-01-08T00:00:00.000000")
MALE = Keys("tk", ("gender␟*|male",))


@pytest.fixture
async def crowd(one: Store) -> Store:
    """Patients of 60 families, born on 28 days, of 20 organizations."""
    people = [
        create(
            f"p{n}",
            patient(n, f"Family{n % 60:02}", f"o{n % 20}", gender="male", birthDate=f"1980-01-{1 + n % 28:02}"),
        )
        for n in range(COUNT)
    ]
    for start in range(0, COUNT, 200):
        await one.commit(*ANYBODY, people[start : start + 200])
    return one


async def examined(store: Store, pipeline: list[dict[str, Any]]) -> tuple[str, int]:
    """The stage the documents come from, and how many were looked at."""
    command = {"aggregate": "Patient", "pipeline": pipeline, "cursor": {}}
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
        (All((Not(identifier(1)), Range("birthdate", "lt", *BIRTH))), COUNT),
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
