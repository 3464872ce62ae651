"""Evaluation and forecast: CDC's cases, ours for what they leave out, and what a history may hold."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import GivenDose, History, Observation
from fhir_server.domain.knowledge_bases import named
from fhir_server.domain.schedule import KnowledgeBase
from fhir_server.domain.sentences import sentence

CDC = Path(__file__).parents[3] / "shared" / "data" / "cdsi" / "covid_cases_2024-25.csv"
CASES = json.loads(Path(__file__).with_name("cases").joinpath("forecast.json").read_text())
ADULT = date(1990, 6, 1)


def schedule(version: str) -> KnowledgeBase:
    found = named(version)
    assert found is not None
    return found


def day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


@pytest.mark.skipif(not CDC.is_file(), reason="CDC's test cases are not at hand")
def test_cdcs_cases_of_2024_25() -> None:
    failed: dict[str, Any] = {}
    rows = list(csv.DictReader(CDC.read_text("utf-8-sig").splitlines()))
    for row in rows:
        numbers = [number for number in range(1, 8) if row[f"CVX_{number}"]]
        doses = tuple(
            GivenDose(day(row[f"Date_Administered_{n}"]), row[f"CVX_{n}"], str(n), row[f"MVX_{n}"] or None)
            for n in numbers
        )
        gender = {"M": "male", "F": "female"}.get(row["gender"])
        assessed = date.fromisoformat(row["Assessment_Date"])
        found = forecast(
            History(day(row["DOB"]), doses, gender=gender), assessed, schedule("2024-25"), later_doses=True
        )
        expected = (
            row["Series_Status"].lower().replace(" ", "-"),
            [row[f"Evaluation_Status_{n}"].lower().replace(" ", "-") for n in numbers],
            *(day(row[name]) for name in ("Earliest_Date", "Recommended_Date", "Past_Due_Date")),
            int(row["Forecast_#"]) if row["Forecast_#"] else None,
        )
        got = (
            found.status,
            [one.status for one in found.evaluations],
            *(found.earliest, found.recommended, found.past_due),
            found.dose_number,
        )
        if got != expected:
            failed[row["CDC_Test_ID"]] = (expected, got)
    assert (len(rows), failed) == (81, {})


REASONS = {
    "Age: Too Young": {"too-young"},
    "Interval: too Soon": {"too-soon"},
    "Inadvertent Vaccine": {"inadvertent"},
    "Not a preferable or allowable vaccine": {"wrong-vaccine", "wrong-vaccine-age"},
}


@pytest.mark.skipif(not CDC.is_file(), reason="CDC's test cases are not at hand")
def test_a_dose_that_is_not_valid_is_so_for_cdcs_reason() -> None:
    seen = set()
    for row in csv.DictReader(CDC.read_text("utf-8-sig").splitlines()):
        numbers = [number for number in range(1, 8) if row[f"CVX_{number}"]]
        doses = tuple(GivenDose(day(row[f"Date_Administered_{n}"]), row[f"CVX_{n}"], str(n)) for n in numbers)
        assessed = date.fromisoformat(row["Assessment_Date"])
        found = forecast(History(day(row["DOB"]), doses), assessed, schedule("2024-25"), later_doses=True)
        for one, number in zip(found.evaluations, numbers, strict=True):
            reason = row[f"Evaluation_Reason_{number}"]
            if reason:
                seen.add(reason)
                assert one.reasons[0].code in REASONS[reason], row["CDC_Test_ID"]
    assert seen == set(REASONS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_our_cases(case: dict[str, Any]) -> None:
    """Worked out by hand from the supporting data: other seasons, risk series, contraindications, boundaries."""
    doses = tuple(GivenDose(day(given), cvx, str(number)) for number, (given, cvx, _) in enumerate(case["doses"]))
    observations = tuple(Observation(code) for code in case.get("observations", ()))
    history = History(day(case["born"]), doses, observations)
    found = forecast(history, date.fromisoformat(case["as_of"]), schedule(case["version"]))
    assert [one.status for one in found.evaluations] == [status for *_, status in case["doses"]]
    values = {name: getattr(found, name) for name in case["expected"]}
    assert {n: v.isoformat() if isinstance(v, date) else v for n, v in values.items()} == case["expected"]


def one_dose(given: date | None, cvx: str | None = "309", **more: Any) -> tuple[str, str]:
    """Status and reason of one dose of an adult."""
    history = History(ADULT, (GivenDose(given, cvx, **more),))
    [found] = forecast(history, date(2025, 1, 15), schedule("2024-25")).evaluations
    return found.status, found.reasons[0].code


def test_doses_no_schedule_can_be_applied_to() -> None:
    assert one_dose(None) == ("not-evaluated", "date-unknown")
    assert one_dose(date(2024, 9, 1), None) == ("not-evaluated", "vaccine-unknown")
    assert one_dose(date(2024, 9, 1), "08") == ("not-evaluated", "other-disease")
    assert one_dose(date(2025, 1, 16)) == ("not-evaluated", "after-assessment")
    assert one_dose(date(1990, 5, 31)) == ("not-valid", "before-birth")
    assert one_dose(date(2024, 9, 1), substandard=True) == ("sub-standard", "sub-standard")
    assert one_dose(date(2024, 9, 1), expires=date(2024, 8, 31)) == ("sub-standard", "lot-expired")
    assert one_dose(date(2024, 9, 1), expires=date(2024, 9, 1)) == ("valid", "preferable")


def test_one_dose_a_day_and_the_better_one() -> None:
    given = date(2024, 9, 1)
    flawed, unspecified, named_one = (
        GivenDose(given, "309", "a", substandard=True),
        GivenDose(given, "213", "b"),
        GivenDose(given, "312", "c"),
    )
    found = forecast(History(ADULT, (flawed, unspecified, named_one)), date(2025, 1, 15), schedule("2024-25"))
    assert {one.dose.key: (one.status, one.reasons[0].code) for one in found.evaluations} == {
        "a": ("not-evaluated", "duplicate"),
        "b": ("not-evaluated", "duplicate"),
        "c": ("valid", "preferable"),
    }


def test_the_same_record_twice_is_one_dose() -> None:
    dose = GivenDose(date(2024, 9, 1), "309")
    found = forecast(History(ADULT, (dose, dose)), date(2025, 1, 15), schedule("2024-25"))
    assert sorted(one.status for one in found.evaluations) == ["not-evaluated", "valid"]


def test_without_a_birth_date_nothing_is_known() -> None:
    for born, code in ((None, "no-birth-date"), (date(2025, 1, 16), "not-born")):
        found = forecast(History(born, (GivenDose(date(2024, 9, 1), "309"),)), date(2025, 1, 15), schedule("2024-25"))
        assert (found.status, found.reasons[0].code, found.earliest) == ("unknown", code, None)
        assert found.evaluations[0].reasons[0].code == code


def test_the_day_and_nothing_later_counts() -> None:
    history = History(ADULT, (GivenDose(date(2024, 9, 1), "309"),))
    assert forecast(history, date(2024, 8, 31), schedule("2024-25")).status == "not-complete"
    assert forecast(history, date(2024, 9, 1), schedule("2024-25")).status == "complete"
    assert forecast(history, date(2024, 8, 31), schedule("2024-25"), later_doses=True).status == "complete"


def test_an_observation_holds_from_its_day_to_its_last() -> None:
    observed = Observation("158", date(2024, 10, 1), date(2024, 12, 31))
    history = History(ADULT, (GivenDose(date(2024, 9, 1), "309"),), (observed,))
    statuses = [
        forecast(history, day, schedule("2024-25")).status
        for day in (date(2024, 9, 30), date(2024, 10, 1), date(2024, 12, 31), date(2025, 1, 1))
    ]
    assert statuses == ["complete", "not-complete", "not-complete", "complete"]


def test_indications_are_for_an_age() -> None:
    observed = (Observation("145"),)
    for born, series in ((date(2024, 9, 2), "standard"), (date(2024, 9, 1), "risk")):
        found = forecast(History(born, (), observed), date(2025, 3, 1), schedule("2024-25"))
        chosen = next(one for one in schedule("2024-25").series if one.name == found.series)
        assert chosen.type == series


def in_2025_26() -> tuple[date, KnowledgeBase]:
    return date(2025, 10, 1), schedule("2025-26")


def test_vaccines_to_give_and_not_to_give() -> None:
    found = forecast(History(ADULT, (), (Observation("188"),)), date(2025, 1, 15), schedule("2024-25"))
    assert (found.status, found.vaccines) == ("not-complete", ())
    assert {"309", "312"} <= set(found.contraindicated)
    free = forecast(History(ADULT), date(2025, 1, 15), schedule("2024-25"))
    assert (free.vaccines, free.contraindicated) == (("309", "312"), ())
    child = forecast(History(date(2017, 6, 1)), date(2025, 1, 15), schedule("2024-25"))
    assert child.vaccines == ("310", "311")
    left_to_them = forecast(History(date(1955, 1, 1), (GivenDose(date(2025, 9, 1), "309"),)), *in_2025_26())
    assert (left_to_them.vaccines, left_to_them.suitable) == ((), ("309", "312", "313", "334"))


def test_too_small_a_volume_is_noted_and_counts() -> None:
    from decimal import Decimal

    dose = GivenDose(date(2024, 9, 1), "309", volume=Decimal("0.2"))
    found = forecast(History(ADULT, (dose,)), date(2025, 1, 15), schedule("2024-25"))
    assert (found.status, found.evaluations[0].reasons[0].code) == ("complete", "preferable-low-volume")


def test_every_reason_has_its_sentence() -> None:
    history = History(
        date(2024, 12, 31),
        (GivenDose(date(2025, 6, 20), "311"), GivenDose(None, "311")),
        (Observation("158"), Observation("187")),
        born_exactly=False,
    )
    found = forecast(history, date(2026, 1, 15), schedule("2025-26"))
    reasons = [*found.reasons, *(reason for one in found.evaluations for reason in one.reasons)]
    assert {"indication", "product-contraindication", "birth-date-partial", "history-unclear"} <= {
        one.code for one in reasons
    }
    for one in reasons:
        assert sentence("forecast", one.code, "en", one.details) != sentence("forecast", one.code, "es", one.details)
