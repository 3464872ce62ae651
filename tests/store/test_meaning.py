"""https://hl7.org/fhir/R4/search.html

One meaning: what MongoDB finds is what satisfies the condition in memory, whichever way the rows are found.
"""

from random import Random
from typing import get_args

import pytest

from fhir_server.fhir.condition import All, Axis, Condition, Contains, Ids, Keys, Not, Prefix, Range, Test, Updated
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.index import Entries, Span, satisfies
from fhir_server.store.query import search, ways
from fhir_server.store.records import Create, Selection, SortKey
from fhir_server.store.store import Store
from tests.store.world import ANYBODY, only

IDS = [f"r{n}" for n in range(120)]
TOKENS = ["a␟s|1", "a␟*|1", "a␟|1", "b␟$ne", "has␟a", "identifier␟s|9", "patient␟Patient/1"]
STRINGS = [
    "family␟smith",
    "family␟smithson",
    "family␟sm",
    "given␟élan",
    "given␟[.*",
    "given␟\ud7ff",
    "given␟\U0010ffff",
]
INSTANTS = [f"2024-03-0{day}T{hour:02}:00:00.000000" for day in (1, 2, 3) for hour in (0, 5, 23)]
LABELS = ["date", "period", "value␟mg"]


def entries_of(random: Random) -> Entries:
    spans: list[Span] = []
    for _ in range(random.randrange(3)):
        lo, hi = sorted(random.sample(INSTANTS, 2))
        a, z = lo[:10] + "T00:00:00.000000", hi[:10] + "T00:00:00.000000"
        if a == z:
            z = a[:9] + str(int(a[9]) + 1) + a[10:]
        spans.append({"p": random.choice(LABELS), "lo": lo, "hi": hi, "a": a, "z": z})
    return Entries(
        tk=random.sample(TOKENS, random.randrange(4)),
        hs=random.sample(["a", "b"], random.randrange(3)),
        st=random.sample(STRINGS, random.randrange(3)),
        rk=[key for span in spans for key in (f"{span['p']}␟a{span['lo']}", f"{span['p']}␟z{span['hi']}")],
        d=spans,
        so={"family": {"a": random.choice("abc"), "z": random.choice("cde")}} if random.random() < 0.7 else {},
        pt=random.sample(["Patient/1", "Patient/2"], random.randrange(2)),
        org=random.sample(["Organization/1"], random.randrange(2)),
        lb=random.sample(["s|R"], random.randrange(2)),
    )


def condition_of(random: Random, stored: dict[str, tuple[Entries, int]], depth: int = 2) -> Condition:
    kind = random.randrange(10 if depth else 7)
    if kind == 0:
        return Keys("tk", tuple(random.sample(TOKENS, random.randrange(1, 4))))
    if kind == 1:
        return Prefix("st", random.choice(STRINGS)[: random.randrange(8, 13)])
    if kind == 2:
        return random.choice(
            [
                Contains("st", "family␟", "mith"),
                Contains("st", "given␟", "[."),
                Contains("st", "given␟", "la"),
                Contains("st", "family␟", "s"),
                Contains("tk", "a␟", "1"),
            ]
        )
    if kind == 3:
        lo, hi = sorted(random.sample(INSTANTS, 2))
        return Range(random.choice(LABELS), random.choice(get_args(Test)), lo, hi, random.choice(get_args(Axis)))
    if kind == 4:
        return Ids(tuple(random.sample(IDS, random.randrange(1, 30))))
    if kind == 5:
        field, key = random.choice([("hs", "a"), ("pt", "Patient/1"), ("org", "Organization/1"), ("lb", "s|R")])
        return Keys(field, (key,))  # type: ignore[arg-type] # one of the fields
    if kind == 6:
        instant = stored[random.choice(IDS)][1]
        return Updated(random.choice(get_args(Test)), instant, instant + random.choice([1, 5_000]))
    if kind == 7:
        return Not(condition_of(random, stored, depth - 1))
    parts = tuple(condition_of(random, stored, depth - 1) for _ in range(random.randrange(4)))
    return All(parts) if kind == 8 else AnyOf(parts)


async def filled(store: Store, random: Random) -> dict[str, tuple[Entries, int]]:
    stored: dict[str, tuple[Entries, int]] = {}
    for start in range(0, len(IDS), 40):
        writes = [
            Create("Patient", id, b'{"resourceType":"Patient"}', entries_of(random)) for id in IDS[start : start + 40]
        ]
        for write, outcome in zip(writes, await store.commit(*ANYBODY, writes), strict=True):
            assert outcome.stored is not None
            stored[write.id] = (write.entries, outcome.stored.updated)
    return stored


@pytest.mark.parametrize("small", [2_000, 0], ids=["few", "many"])
async def test_the_database_finds_what_satisfies_the_condition(
    one: Store, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(search, "SMALL", small)
    if not small:
        # Decided by the database alone; otherwise also in memory.
        monkeypatch.setattr(ways, "FEW", 0)
        monkeypatch.setattr(ways, "WINDOW", 0)
    random = Random(20260102)
    stored = await filled(one, random)
    sorts = [
        (),
        (SortKey("family"),),
        (SortKey("_lastUpdated", True),),
        (SortKey("_lastUpdated"), SortKey("family", True)),
        (SortKey("_id", True),),
    ]
    for number in range(150):
        where = condition_of(random, stored)
        expected = {id for id, (entries, updated) in stored.items() if satisfies(entries, id, updated, where)}
        found: list[str] = []
        selection = Selection("Patient", where, random.choice(sorts), random.choice([7, 200]))
        while True:
            page = await one.search(*ANYBODY, selection)
            found += [row.id for row in page.rows]
            if page.next is None:
                break
            assert len(page.rows) == selection.limit, (number, where)
            selection = Selection("Patient", where, selection.sort, selection.limit, page.next)
        assert len(found) == len(set(found)), (number, where)
        assert set(found) == expected, (number, where)
        assert await one.count(*ANYBODY, "Patient", where) == len(expected), (number, where)


async def test_a_limited_caller_finds_what_satisfies_both(one: Store) -> None:
    random = Random(7)
    stored = await filled(one, random)
    for number in range(60):
        where, visible = condition_of(random, stored), condition_of(random, stored)
        page = await one.search(*only("Patient", visible), Selection("Patient", where, limit=200))
        both = All((where, visible))
        expected = {id for id, (entries, updated) in stored.items() if satisfies(entries, id, updated, both)}
        assert {row.id for row in page.rows} == expected, (number, where, visible)


async def test_every_walk_is_the_same_walk(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may be found another way than the one before it."""
    random = Random(3)
    await filled(one, random)
    found: list[str] = []
    selection = Selection("Patient", Keys("tk", ("has␟a",)), limit=3)
    while True:
        monkeypatch.setattr(search, "SMALL", random.choice([0, 2_000]))
        monkeypatch.setattr(ways, "FEW", random.choice([0, 64]))
        monkeypatch.setattr(ways, "WINDOW", random.choice([0, 200]))
        page = await one.search(*ANYBODY, selection)
        found += [row.id for row in page.rows]
        if page.next is None:
            break
        selection = Selection("Patient", selection.where, limit=3, after=page.next)
    assert len(found) == len(set(found)) == await one.count(*ANYBODY, "Patient", selection.where)
    assert ways.BUDGET == 20_000
