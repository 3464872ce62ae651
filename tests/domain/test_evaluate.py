"""What CDSi knows and no COVID-19 schedule uses, on small schedules of our own; and single steps of evaluation."""

from datetime import date
from typing import Any

import pytest

from fhir_server.domain.assessment import Forecast
from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import GivenDose, History, Observation
from fhir_server.domain.knowledge_bases import read

BORN = date(2000, 1, 31)
TODAY = date(2025, 1, 15)
Row = dict[str, Any]


def target(**more: Any) -> Row:
    """A target dose that takes the product A, and B as allowable."""
    return {"preferable": [{"cvx": "A", "forecast": True}], "allowable": [{"cvx": "B"}]} | more


def series(*doses: Row, **more: Any) -> Row:
    return {"name": "one", "type": "standard", "group": "1", "priority": "A", "preference": 1, "doses": doses} | more


def apply(*rows: Row, doses: tuple[tuple[str, str], ...] = (), **more: Any) -> Forecast:
    """The forecast for those series. `observations`, `gender`, `country`, `on` are the person's; the rest the
    schedule's."""
    observations = tuple(one if isinstance(one, Observation) else Observation(one) for one in more.pop("seen", ()))
    gender, country, on = more.pop("gender", None), more.pop("country", None), more.pop("on", TODAY)
    schedule = {
        "authority": "TEST",
        "disease": "Testing",
        "version": "1",
        "in_force": {"from": "2000-01-01", "to": "2030-12-31"},
        "vaccines": ["A", "B", "C", "X"],
        "unspecified": ["X"],
        "conflicts": [],
        "contraindications": {"disease": [], "vaccine": []},
        "immunity": {"findings": [], "births": []},
        "series": rows,
    } | more
    given = tuple(GivenDose(date.fromisoformat(day), cvx, str(n)) for n, (day, cvx) in enumerate(doses))
    return forecast(History(BORN, given, observations, gender, country), on, read(schedule))


def said(found: Forecast) -> list[tuple[str, str]]:
    return [(one.status, one.reasons[0].code) for one in found.evaluations]


def test_an_interval_from_a_target_dose() -> None:
    rows = (
        target(),
        target(intervals=[{"from": "previous", "absolute": "4 weeks", "minimum": "4 weeks"}]),
        target(
            intervals=[
                {"from": "previous", "absolute": "8 weeks", "minimum": "8 weeks"},
                {"from": 1, "absolute": "16 weeks", "minimum": "16 weeks"},
            ]
        ),
    )
    first = (("2024-01-01", "A"), ("2024-01-29", "A"))
    assert apply(series(*rows), doses=first).earliest == date(2024, 4, 22)
    assert said(apply(series(*rows), doses=(*first, ("2024-04-21", "A"))))[2] == ("not-valid", "too-soon")
    assert apply(series(*rows), doses=(*first, ("2024-04-22", "A"))).status == "complete"


def test_an_interval_from_an_observation() -> None:
    row = target(intervals=[{"from": {"observation": "9"}, "absolute": "3 months", "minimum": "3 months"}])
    transfusion = Observation("9", date(2024, 11, 30))
    assert apply(series(row), seen=[transfusion]).earliest == date(2025, 3, 1)
    assert said(apply(series(row), seen=[transfusion], doses=(("2025-01-01", "A"),))) == [("not-valid", "too-soon")]
    assert said(apply(series(row), seen=["9"], doses=(("2025-01-01", "A"),))) == [("valid", "preferable")]


def test_an_allowable_interval_saves_a_dose() -> None:
    strict = {"from": "previous", "absolute": "8 weeks", "minimum": "8 weeks"}
    lenient = {"from": "previous", "absolute": "4 weeks"}
    rows = series(target(), target(intervals=[strict], allowable_intervals=[lenient]))
    found = apply(rows, doses=(("2024-01-01", "A"), ("2024-01-29", "A")))
    assert [one.code for one in found.evaluations[1].reasons] == ["preferable", "allowable-interval"]
    assert said(apply(rows, doses=(("2024-01-01", "A"), ("2024-01-28", "A"))))[1] == ("not-valid", "too-soon")


def test_rows_hold_from_their_effective_to_their_cessation_date() -> None:
    row = target(
        ages=[
            {"absolute": "25 years", "minimum": "25 years", "effective": "2024-06-01"},
            {"absolute": "18 years", "minimum": "18 years", "cessation": "2024-05-31"},
        ]
    )
    assert said(apply(series(row), doses=(("2024-05-31", "A"),))) == [("valid", "preferable")]
    assert said(apply(series(row), doses=(("2024-06-01", "A"),))) == [("not-valid", "too-young")]
    assert apply(series(row), on=date(2024, 5, 31)).earliest == date(2018, 1, 31)
    assert apply(series(row), on=date(2024, 6, 1)).earliest == date(2025, 1, 31)


def test_too_old_for_a_dose() -> None:
    row = target(ages=[{"minimum": "18 years", "maximum": "24 years"}])
    assert said(apply(series(row), doses=(("2024-01-30", "A"),))) == [("valid", "preferable")]
    late = apply(series(row), doses=(("2024-01-31", "A"),))
    assert (said(late), late.status) == ([("extraneous", "too-old")], "aged-out")
    before = apply(series(row), on=date(2024, 1, 30))
    assert (before.status, before.latest) == ("not-complete", date(2024, 1, 30))


def test_the_season_ends() -> None:
    row = target(season={"from": "2024-09-01", "to": "2025-01-14"})
    assert apply(series(row)).status == "not-recommended"
    within = apply(series(row), on=date(2025, 1, 14))
    assert (within.status, within.earliest) == ("not-complete", date(2024, 9, 1))


def test_a_recurring_dose_comes_again_and_again() -> None:
    row = target(recurring=True, intervals=[{"from": "previous", "absolute": "1 year", "minimum": "1 year"}])
    found = apply(series(row), doses=(("2022-02-01", "A"), ("2023-02-01", "B"), ("2024-02-01", "A")))
    assert [one.target for one in found.evaluations] == [1, 1, 1]
    assert (found.status, found.earliest, found.dose_number) == ("not-complete", date(2025, 2, 1), 4)


def test_after_the_last_target_dose_a_dose_is_extraneous() -> None:
    found = apply(series(target()), doses=(("2024-01-01", "A"), ("2024-06-01", "A")))
    assert (said(found)[1], found.completed_on) == (("extraneous", "series-done"), date(2024, 1, 1))


def test_a_dose_given_by_mistake_starts_no_interval() -> None:
    row = target(inadvertent=["C"], intervals=[{"from": "previous", "absolute": "8 weeks", "minimum": "8 weeks"}])
    rows = series(target(inadvertent=["C"]), row)
    found = apply(rows, doses=(("2024-01-01", "A"), ("2024-02-20", "C"), ("2024-02-26", "A")))
    assert said(found)[1:] == [("not-valid", "inadvertent"), ("valid", "preferable")]
    waiting = apply(rows, doses=(("2024-12-20", "C"),))
    assert (waiting.earliest, waiting.reasons[1].code) == (date(2024, 12, 20), "earliest-mistake")


def test_another_makers_product_is_not_the_preferable_one() -> None:
    row = series({"preferable": [{"cvx": "A", "mvx": "PFR"}], "allowable": [{"cvx": "A"}]})
    schedule: dict[str, Any] = {"doses": (("2024-01-01", "A"),)}
    assert said(apply(row, **schedule)) == [("valid", "preferable")]
    given = GivenDose(date(2024, 1, 1), "A", mvx="MOD")
    base = read_one(row)
    [found] = forecast(History(BORN, (given,)), TODAY, base).evaluations
    assert found.reasons[0].code == "allowable"


def read_one(row: Row) -> Any:
    return read(
        {
            "authority": "TEST",
            "disease": "Testing",
            "version": "1",
            "in_force": {"from": "2000-01-01", "to": "2030-12-31"},
            "vaccines": ["A"],
            "unspecified": [],
            "conflicts": [],
            "contraindications": {"disease": [], "vaccine": []},
            "immunity": {"findings": [], "births": []},
            "series": [row],
        }
    )


CONFLICT = {"previous": "MMR", "current": "A", "begin": "1 day", "minimum_end": "24 days", "end": "28 days"}


def test_a_product_in_the_way_of_another() -> None:
    for day, expected in (("2024-12-24", ("not-valid", "conflict")), ("2024-12-25", ("valid", "preferable"))):
        found = apply(series(target()), doses=(("2024-12-01", "MMR"), (day, "A")), conflicts=[CONFLICT])
        assert said(found) == [("not-evaluated", "other-disease"), expected]
    waiting = apply(series(target()), doses=(("2025-01-01", "MMR"),), conflicts=[CONFLICT])
    assert (waiting.earliest, waiting.reasons[1].code) == (date(2025, 1, 29), "earliest-conflict")


def test_immune_by_what_was_found() -> None:
    immunity = {"findings": ["20"], "births": []}
    assert apply(series(target()), immunity=immunity).status == "not-complete"
    found = apply(series(target()), immunity=immunity, seen=["20"])
    assert (found.status, found.reasons[0].code, found.reasons[0].details) == (
        "immune",
        "immune",
        {"observation": "20"},
    )
    assert apply(series(target()), immunity=immunity, seen=["20"], doses=(("2024-01-01", "A"),)).status == "complete"


@pytest.mark.parametrize(
    ("before", "country", "seen", "status"),
    [
        ("2000-02-01", "U.S.", [], "immune"),
        ("2000-01-31", "U.S.", [], "not-complete"),
        ("2000-02-01", None, [], "not-complete"),
        ("2000-02-01", "U.S.", ["55"], "not-complete"),
    ],
)
def test_immune_by_birth(before: str, country: str | None, seen: list[str], status: str) -> None:
    births = [{"before": before, "country": "U.S.", "exclusions": ["55"]}]
    found = apply(series(target()), immunity={"findings": [], "births": births}, country=country, seen=seen)
    assert found.status == status
    assert status != "immune" or found.reasons[0].code == "immune-by-birth"


def test_series_are_for_a_gender() -> None:
    rows = (
        series(target(), name="women", gender=["female"]),
        series(target(), target(), name="all", preference=2, gender=["male", "female", "transgender"]),
    )
    assert apply(*rows, gender="female").series == "women"
    assert apply(*rows, gender="male").series == "all"
    nobody = apply(rows[0], gender="male", doses=(("2024-01-01", "A"),))
    assert (nobody.status, nobody.reasons[0].code, said(nobody)) == (
        "not-recommended",
        "no-series",
        [("not-evaluated", "no-series")],
    )


def test_a_dose_is_skipped_where_another_group_is_complete() -> None:
    skip = {
        "context": "both", "all": True,
        "sets": [{"all": True, "conditions": [{"kind": "completed", "groups": ["1"]}]}],
    }  # fmt: skip
    risk = series(
        target(skips=[skip]), name="risk", type="risk", group="2", indications=[{"observation": "7"}], default=True
    )
    plain = series(target())
    done = apply(plain, risk, seen=["7"], doses=(("2024-01-01", "A"),))
    assert (done.status, done.series) == ("not-recommended", "risk")
    assert apply(plain, risk, seen=["7"]).status == "not-complete"


def test_of_two_groups_that_want_a_dose_the_earlier_speaks() -> None:
    later = target(ages=[{"minimum": "26 years"}])
    risk = series(target(), name="risk", type="risk", group="2", indications=[{"observation": "7"}])
    assert apply(series(later), risk, seen=["7"]).series == "risk"
    assert apply(series(later), risk).series == "one"


def test_people_at_risk_have_the_risk_series_alone() -> None:
    risk = series(
        target(ages=[{"minimum": "26 years"}]), name="risk", type="risk", group="2", indications=[{"observation": "7"}]
    )
    plain = series(target(), equivalent=["2"])
    assert apply(plain, risk).series == "one"
    assert apply(plain, risk, seen=["7"]).series == "risk"
    assert apply(plain, risk, seen=["7"]).earliest == date(2026, 1, 31)


def test_a_series_for_evaluation_only_counts_when_it_is_complete() -> None:
    off_label = series({"allowable": [{"cvx": "C"}]}, name="off label", type="evaluation-only", preference=2)
    assert apply(series(target()), off_label).series == "one"
    found = apply(series(target()), off_label, doses=(("2024-01-01", "C"),))
    assert (found.status, found.series) == ("complete", "off label")


def test_of_series_in_process_the_clean_product_goes_on() -> None:
    a = {"preferable": [{"cvx": "A"}], "intervals": [{"from": "previous", "minimum": "4 weeks"}]}
    product = series(a, a, name="product", product=True, preference=2)
    mixed = series(target(), target(), name="mixed", preference=1)
    assert apply(product, mixed, doses=(("2024-01-01", "A"),)).series == "product"
    assert apply(product, mixed, doses=(("2024-01-01", "B"),)).series == "mixed"
    assert apply(product, mixed).series == "mixed"


def test_contraindications_hold_at_their_ages() -> None:
    rows = {"disease": [{"observation": "1", "from": "25 years"}], "vaccine": []}
    assert apply(series(target()), contraindications=rows, seen=["1"]).status == "not-complete"
    assert apply(series(target()), contraindications=rows, seen=["1"], on=date(2025, 1, 31)).status == "contraindicated"
    product = {"disease": [], "vaccine": [{"observation": "2", "vaccines": [{"cvx": "A", "to": "25 years"}]}]}
    assert apply(series(target()), contraindications=product, seen=["2"]).status == "contraindicated"
    assert apply(series(target()), contraindications=product, seen=["2"], on=date(2025, 1, 31)).contraindicated == ()
    assert (
        apply(series(target()), contraindications=product, seen=["2"], doses=(("2024-01-01", "A"),)).status
        == "complete"
    )


def test_a_forecast_that_would_be_moot_on_its_day_gives_way_to_the_next() -> None:
    catch_up = {
        "context": "forecast", "all": True,
        "sets": [{"all": True, "conditions": [{"kind": "age", "from": "25 years"}]}],
    }  # fmt: skip
    four_weeks = [{"from": "previous", "absolute": "4 weeks", "minimum": "4 weeks"}]
    eight_weeks = [{"from": "previous", "absolute": "8 weeks", "minimum": "8 weeks"}]
    rows = series(target(), target(skips=[catch_up], intervals=four_weeks), target(intervals=eight_weeks))
    assert apply(rows, doses=(("2024-12-20", "A"),)).earliest == date(2025, 1, 17)
    assert apply(rows, doses=(("2025-01-10", "A"),)).earliest == date(2025, 3, 7)


@pytest.mark.parametrize(("compare", "count"), [("greater than", 0), ("equal to", 1), ("less than", 2)])
def test_a_skip_may_count_doses(compare: str, count: int) -> None:
    condition = {
        "kind": "count", "compare": compare, "count": count, "valid": True, "vaccines": ["B"],
        "start": "2024-01-01", "end": "2024-07-01", "from": "18 years", "to": "25 years",
    }  # fmt: skip
    skip = {"context": "forecast", "all": True, "sets": [{"all": False, "conditions": [condition]}]}
    rows = series(target(), target(), target(skips=[skip]))
    assert apply(rows, doses=(("2024-01-01", "B"), ("2024-07-01", "B"))).status == "complete"
    expected = "complete" if compare == "less than" else "not-complete"
    assert apply(rows, doses=(("2023-12-31", "B"), ("2024-07-01", "B"))).status == expected
