"""https://hl7.org/fhir/R4/search.html"""

from typing import Any

import pytest

from fhir_server.fhir.condition import (
    EVERYTHING,
    NOTHING,
    All,
    Condition,
    Contains,
    Ids,
    Keys,
    Not,
    Prefix,
    Range,
    Updated,
)
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.store.query.match import Translation, starting, successor
from fhir_server.store.query.plan import NATURAL, candidates, order, remainder
from fhir_server.store.records import SortKey

DAY = ("2024-03-01T00:00:00.000000", "2024-03-02T00:00:00.000000")
IDENTIFIER = Keys("tk", ("identifier␟s|1",))
STATUS = Keys("tk", ("status␟*|completed",))
FAMILY = Prefix("st", "family␟smith")


def first(condition: Condition) -> tuple[dict[str, Any], ...]:
    found = candidates(condition)
    return found[0].firsts if found else ()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (IDENTIFIER, ({"tk": "identifier␟s|1"},)),
        (FAMILY, ({"tk": {"$gte": "family␟smith", "$lt": "family␟smiti"}},)),
        (Keys("st", ("family␟smith␟Smith",)), ({"tk": "family␟smith"},)),
        (Ids(("a",)), ({"_id": "a"},)),
        (Keys("pt", ("Patient/1",)), ({"pt": "Patient/1"},)),
        (Keys("org", ("Organization/1",)), ({"org": "Organization/1"},)),
        (Updated("ge", 5, 6), ({"lu": {"$gte": 5}},)),
        (AnyOf((FAMILY, IDENTIFIER)), ({"tk": starting("family␟smith")}, {"tk": "identifier␟s|1"})),
    ],
)
def test_a_selective_predicate_stands_alone_in_the_first_stage(condition: Condition, expected: object) -> None:
    assert first(condition) == expected
    assert first(All((Not(STATUS), condition, EVERYTHING))) == expected


@pytest.mark.parametrize(
    "condition",
    [
        EVERYTHING,
        Not(IDENTIFIER),
        Keys("lb", ("s|R",)),
        Contains("st", "family␟", "x"),
        Updated("ne", 1, 2),
        Range("date", "ne", *DAY),
        AnyOf((IDENTIFIER, Not(STATUS))),
    ],
)
def test_what_no_index_answers_begins_nowhere(condition: Condition) -> None:
    assert candidates(condition) == []


def test_the_most_promising_comes_first() -> None:
    parts = (STATUS, Range("date", "ge", *DAY), FAMILY, Keys("org", ("Organization/1",)), IDENTIFIER, Ids(("a", "b")))
    fields = [next(iter(candidate.firsts[0])) for candidate in candidates(All(parts))]
    assert fields == ["_id", "tk", "tk", "tk", "rk", "org"]


def test_the_access_predicate_may_be_the_beginning() -> None:
    assert first(All((STATUS, Keys("pt", ("Patient/1",))))) == ({"pt": "Patient/1"},)


def test_long_lists_are_asked_in_parts() -> None:
    tokens = first(Keys("tk", tuple(f"patient␟Patient/{n}" for n in range(250))))
    assert [len(part["tk"]["$in"]) for part in tokens] == [100, 100, 50]
    ids = first(Ids(tuple(str(n) for n in range(1_001))))
    assert [len(part["_id"]["$in"]) for part in ids] == [500, 500, 1]


def test_the_whole_condition_is_repeated_behind_the_first_stage() -> None:
    chosen = candidates(All((FAMILY, IDENTIFIER)))[0]
    assert remainder(All((FAMILY, IDENTIFIER)), chosen) == [
        {"$match": {"$and": [{"st": {"$elemMatch": starting("family␟smith")}}, {"tk": "identifier␟s|1"}]}}
    ]


def test_what_begins_with_a_string_is_that_string_or_longer() -> None:
    [chosen] = candidates(FAMILY)
    assert chosen.halves is not None
    whole, longer = chosen.halves
    assert whole.firsts == ({"tk": "family␟smith"},)
    assert whole.exact == FAMILY
    assert longer.firsts == ({"tk": {"$gt": "family␟smith", "$lt": "family␟smiti"}},)
    for each in (chosen, longer):
        [stage] = remainder(FAMILY, each)
        assert stage["$match"]["$and"] == [
            {"tk": {"$elemMatch": each.firsts[0]["tk"]}},
            {"st": {"$elemMatch": starting("family␟smith")}},
        ]


@pytest.mark.parametrize("axis", ["exact", "day"])
@pytest.mark.parametrize("test", ["eq", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
def test_a_range_on_an_array_is_repeated_as_elem_match(test: Any, axis: Any) -> None:
    condition = Range("date", test, *DAY, axis)
    [chosen] = candidates(condition)
    [stage] = remainder(condition, chosen)
    assert chosen.firsts[0].keys() == {"rk"}
    bounds = chosen.firsts[0]["rk"]
    assert stage["$match"]["$and"][0] == {"rk": {"$elemMatch": bounds}}
    assert "$elemMatch" in str(stage["$match"]["$and"][1])
    low, high = min(bounds.values()), max(bounds.values())
    assert low.startswith(("date␟a", "date␟z"))
    assert high <= successor(low[:6])


def test_calendar_days_are_looked_for_two_days_wider() -> None:
    [chosen] = candidates(Range("date", "eq", *DAY, "day"))
    assert chosen.firsts == (
        {"rk": {"$gte": "date␟a2024-02-28T00:00:00.000000", "$lt": "date␟a2024-03-04T00:00:00.000000"}},
    )
    [open_ended] = candidates(Range("date", "ge", "0001-01-01T00:00:00.000000", DAY[1], "day"))
    assert open_ended.firsts[0]["rk"]["$gt"] == "date␟z0001-01-01T00:00:00.000000"


def test_the_end_of_a_prefix_is_its_last_code_point_plus_one() -> None:
    assert successor("abc") == "abd"
    assert successor("a\U0010ffff") == "b"
    assert successor("a\ud7ff") == "a\ue000"
    assert successor("né") == "nê"


HOSTILE = ["$where", "$ne", "a.*b", "[", "(?i)x", "$$ROOT", "{$gt: ''}", "a\\", "'; db", "$literal"]


@pytest.mark.parametrize("text", HOSTILE)
def test_user_text_is_only_ever_a_value(text: str) -> None:
    conditions: list[Condition] = [
        Keys("tk", (f"code␟{text}",)),
        Prefix("st", f"family␟{text}"),
        Contains("st", "family␟", text),
        Ids((text,)),
        Range("date", "eq", text, text),
    ]
    translation = Translation()
    for condition in conditions:
        found = str(translation.match(condition))
        assert "$regex" not in found
        assert "$expr" not in found
    assert {"$literal": text} == translation.computed["c0"]["$anyElementTrue"][0]["$map"]["in"]["$and"][1]["$gte"][0][
        "$indexOfCP"
    ][1]


def test_nothing_and_everything() -> None:
    assert Translation().match(NOTHING) == {"_id": {"$in": []}}
    assert Translation().match(EVERYTHING) == {}
    assert remainder(All((EVERYTHING, EVERYTHING))) == []


def test_pages_go_on_behind_a_position() -> None:
    assert NATURAL.behind((7, "x")) == {"$or": [{"h": {"$gt": 7}}, {"h": 7, "_id": {"$gt": "x"}}]}
    asked = order((SortKey("family", descending=True), SortKey("_lastUpdated")))
    assert asked.fields == (("s0", -1), ("lu", 1), ("_id", 1))
    assert asked.behind(("z", 5, "x")) == {
        "$or": [
            {"s0": {"$lt": "z"}},
            {"s0": "z", "lu": {"$gt": 5}},
            {"s0": "z", "lu": 5, "_id": {"$gt": "x"}},
        ]
    }


def test_sort_and_limit_are_never_followed_by_a_projection_of_the_id_alone() -> None:
    for asked in (NATURAL, order((SortKey("_id"),)), order((SortKey("family"),))):
        [*_, projection] = asked.stages(None, 10, {"vid": 1})
        assert len(projection["$project"]) >= 1
        assert set(projection["$project"]) != {"_id"}
