"""https://hl7.org/fhir/R4/search.html#errors

Legal searches that select little walk in windows: on a type of up to 20,000 resources they are answered, never refused.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fhir_server.fhir import query
from fhir_server.fhir.condition import Condition
from fhir_server.store.query.ways import BUDGET
from fhir_server.store.records import Selection, SortKey
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, create, patient

RARE = 500
"""One in so many is not male, and one in so many has died."""


async def test_searches_that_select_little_are_answered(one: Store) -> None:
    await answered(one, BUDGET // 10)


@pytest.mark.long
async def test_searches_that_select_little_are_answered_up_to_the_budget(
    one: Store, measured: Callable[[str], None]
) -> None:
    await answered(one, BUDGET)
    measured(f"{BUDGET:,} patients: everything, newest first, :not, :missing and counts answered")


async def answered(store: Store, count: int) -> None:
    """Store so many patients; every row of every search is found once, whatever finds it."""
    for start in range(0, count, 500):
        await store.commit(*ANYBODY, [create(f"p{n}", person(n)) for n in range(start, start + 500)])
    everybody = {f"p{n}" for n in range(count)}
    rare = {f"p{n}" for n in range(0, count, RARE)}
    asked: dict[str, tuple[set[str], int]] = {
        "": (everybody, 1_000),
        "gender=male": (everybody - rare, 1_000),
        "gender:not=male": (rare, 10),
        "gender:not=female": (everybody - rare, 1_000),
        "death-date:missing=false": (rare, 10),
        "death-date:missing=true": (everybody - rare, 1_000),
        "family:contains=mit": (everybody, 1_000),
        "family:contains=nobody": (set(), 10),
    }
    for text, (expected, page) in asked.items():
        found = await rows(store, text, page)
        assert len(found) == len(expected), text
        assert set(found) == expected, text
        assert await store.count(*ANYBODY, "Patient", where_of(text)) == len(expected), text
    for descending in (True, False):
        newest = await rows(store, "", 1_000, (SortKey("_lastUpdated", descending),))
        batches = [int(id[1:]) // 500 for id in newest]
        assert len(newest) == count
        assert batches == sorted(batches, reverse=descending)
    assert set(await rows(store, "gender:not=male", 10, (SortKey("_lastUpdated", True),))) == rare


async def rows(store: Store, text: str, limit: int, sort: tuple[SortKey, ...] = ()) -> list[str]:
    """The ids of all pages."""
    where = where_of(text)
    found: list[str] = []
    after = None
    while True:
        page = await store.search(*ANYBODY, Selection("Patient", where, sort, limit, after))
        found += [row.id for row in page.rows]
        after = page.next
        if after is None:
            return found


def where_of(text: str) -> Condition:
    """What a search asks for."""
    return query.parse("Patient", parse_qsl(text), False, "").where


def person(number: int) -> dict[str, Any]:
    if number % RARE == 0:
        return patient(number, gender="female", deceasedDateTime="2020-01-01")
    return patient(number, gender="male")
