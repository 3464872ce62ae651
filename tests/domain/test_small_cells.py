"""Nobody can tell a small count: not by subtraction within a table, between measures, between days or phases."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.domain import planning
from fhir_server.domain.criteria import AgeRange
from fhir_server.domain.facts import BirthDate, Fact, Facts, Source
from fhir_server.domain.phases import Group, Policy
from fhir_server.domain.planning import Tally
from fhir_server.domain.small_cells import Shown, published, shown

LIMIT = 11
MUCH = 10**9

Bounds = dict[str, tuple[int, int]]


@pytest.mark.parametrize(("count", "expected"), [(0, None), (10, None), (11, 11), (21, 11), (22, 22), (1_000, 990)])
def test_a_count_is_rounded_down_or_withheld(count: int, expected: int | None) -> None:
    assert shown(count, LIMIT) == expected


def test_a_limit_of_one_shows_everything() -> None:
    assert published(4, {"county": {"a": 1, "b": 3}}, 1) == (4, {"county": {"a": 1, "b": 3}})


def attack(total: int | None, tables: Iterable[Shown]) -> list[Bounds]:
    """All that sums tell of each row, by narrowing bounds until nothing moves. A single withheld row is small; of
    several one may be withheld for the others' sake, where they cannot all be small; with the total all may be."""
    whole = (0, MUCH) if total is None else (total, total + LIMIT - 1)
    most = MUCH if total is None else LIMIT - 1
    found = [{row: _start(count, most) for row, count in rows.items()} for rows in tables]
    for _ in range(20):
        for number, (rows, bounds) in enumerate(zip(tables, found, strict=True)):
            found[number], whole = _narrowed(rows, bounds, whole)
    return found


def _start(count: int | None, most: int) -> tuple[int, int]:
    return (0, most) if count is None else (count, count + LIMIT - 1)


def _narrowed(rows: Shown, bounds: Bounds, whole: tuple[int, int]) -> tuple[Bounds, tuple[int, int]]:
    if sum(high for _, high in bounds.values()) < whole[0]:
        bounds = {row: _start(count, MUCH) for row, count in rows.items()}
    low, high = (sum(bound[end] for bound in bounds.values()) for end in (0, 1))
    whole = max(whole[0], low), min(whole[1], high)
    tight = {
        row: (max(least, whole[0] - (high - most)), min(most, whole[1] - (low - least)))
        for row, (least, most) in bounds.items()
    }
    return tight, whole


def require_hidden(counts: dict[str, dict[str, int]], total: int) -> None:
    whole, tables = published(total, counts, LIMIT)
    for name, bounds in zip(tables, attack(whole, list(tables.values())), strict=True):
        for row, (low, high) in bounds.items():
            assert low <= counts[name][row] <= high, "the attack itself is sound"
            if tables[name][row] is None:
                assert min(high, LIMIT - 1) - low + 1 > LIMIT // 2, (name, row, low, high)


def test_roundings_that_add_up_do_not_betray_the_small_row() -> None:
    """Ten rows of 21 show 110 of 220, which leaves at least ten for the eleventh, and it has at most ten."""
    counts = {f"c{number}": 21 for number in range(10)} | {"small": 10}
    whole, tables = published(220, {"county": counts}, LIMIT)
    assert whole == 220
    assert [tables["county"]["small"], tables["county"]["c0"]] == [None, None]
    require_hidden({"county": counts}, 220)


def test_a_measure_of_nothing_but_full_small_rows_is_withheld() -> None:
    counts = {f"c{number}": 10 for number in range(11)}
    assert published(110, {"county": counts, "age": {"all": 110}}, LIMIT) == (
        None,
        {"county": dict.fromkeys(counts), "age": {"all": None}},
    )


@given(st.lists(st.lists(st.integers(0, 45), min_size=1, max_size=6), min_size=1, max_size=1))
def test_random_tables(tables: list[list[int]]) -> None:
    counts = {str(number): {str(row): count for row, count in enumerate(rows)} for number, rows in enumerate(tables)}
    require_hidden(counts, sum(tables[0]))


def test_random_populations_in_three_dimensions() -> None:
    chance = random.Random(6)
    for _ in range(300):
        people = [[chance.choice("abcdef"[:width]) for width in (2, 4, 6)] for _ in range(chance.randint(0, 150))]
        counts = {
            str(number): {row: sum(1 for person in people if person[number] == row) for row in "abcdef"[:width]}
            for number, width in enumerate((2, 4, 6))
        }
        require_hidden(counts, len(people))


def test_the_complement_is_not_told_either() -> None:
    """Of 40 people 37 are eligible: that three are not follows neither from the row nor from the total."""
    _, registered = published(100, {"county": {"a": 40, "b": 60}}, LIMIT)
    _, eligible = published(57, {"county": {"a": 37, "b": 20}}, LIMIT)
    all_of_a, some_of_a = registered["county"]["a"], eligible["county"]["a"]
    assert (all_of_a, some_of_a) == (33, 33)


SOME = Group("Group/1", "elders", Policy("plan"), "1", (AgeRange(65),), date(2021, 1, 1))


def _asked(people: list[Facts], group: Group, day: date) -> dict[tuple[str, str], int | None]:
    tally = Tally()
    opened = planning.if_open([group], day)
    for known in people:
        traits = {"county": "37183", "age": planning.age_band(known, day), "race": "unknown"}
        tally.add(planning.verdict(known, opened, day, None), traits)
    counts = {name: {row: cell["eligible"] for row, cell in rows.items()} for name, rows in tally.rows.items()}
    total, tables = published(tally.total["eligible"], counts, LIMIT)
    found = {(name, row): count for name, rows in tables.items() for row, count in rows.items()}
    return found | {("total", ""): total}


def test_two_days_or_two_phases_do_not_differ_by_a_small_count() -> None:
    chance = random.Random(7)
    births = [date(1956, 1, 1) + timedelta(days=chance.randint(-3_000, 3_000)) for _ in range(300)]
    people = [Facts.of([Fact("birth-date", BirthDate(born, born), Source("record"))]) for born in births]
    days = [date(2021, 1, 1) + timedelta(days=number) for number in range(25)]
    answers = [_asked(people, SOME, day) for day in days]
    answers += [_asked(people, replace(SOME, criteria=(AgeRange(age),)), days[0]) for age in (64, 66, 67)]
    assert len({answer["total", ""] for answer in answers}) > 2, "something changes"
    for one in answers:
        for other in answers:
            for cell in one.keys() & other.keys():
                difference = abs((one[cell] or 0) - (other[cell] or 0))
                assert difference % LIMIT == 0, (cell, one[cell], other[cell])
