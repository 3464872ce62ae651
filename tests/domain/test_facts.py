"""Completed years and birth dates of every precision."""

from datetime import date

import pytest

from fhir_server.domain.facts import BirthDate, birthday, completed_years


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        ("1956-01-20", "2021-01-19", 64),
        ("1956-01-20", "2021-01-20", 65),
        ("2004-02-29", "2021-02-28", 16),
        ("2004-02-29", "2021-03-01", 17),
        ("2004-02-29", "2020-02-28", 15),
        ("2004-02-29", "2020-02-29", 16),
        ("2021-01-01", "2021-01-01", 0),
        ("2021-01-02", "2021-01-01", -1),
    ],
)
def test_completed_years(born: str, on: str, years: int) -> None:
    assert completed_years(date.fromisoformat(born), date.fromisoformat(on)) == years


@pytest.mark.parametrize(
    ("born", "years", "day"),
    [
        ("1956-01-20", 65, "2021-01-20"),
        ("2004-02-29", 16, "2020-02-29"),
        ("2004-02-29", 17, "2021-03-01"),
        ("2000-02-29", 100, "2100-03-01"),
        ("9990-01-01", 65, "9999-12-31"),
    ],
)
def test_birthday_is_the_first_day_of_the_age(born: str, years: int, day: str) -> None:
    assert birthday(date.fromisoformat(born), years) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("1956", "1956-01-01", "1956-12-31"),
        ("1956-02", "1956-02-01", "1956-02-29"),
        ("1957-02", "1957-02-01", "1957-02-28"),
        ("1956-02-29", "1956-02-29", "1956-02-29"),
    ],
)
def test_a_birth_date_covers_what_it_may_mean(text: str, earliest: str, latest: str) -> None:
    assert BirthDate.parse(text) == BirthDate(date.fromisoformat(earliest), date.fromisoformat(latest))


@pytest.mark.parametrize(
    "text", ["", "56", "1956-13", "1957-02-29", "1956-1-2", "1956-01-02T00:00:00Z", "0000", "١٩٥٦"]
)
def test_what_is_no_birth_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        BirthDate.parse(text)


def test_ages_of_a_year_span_two() -> None:
    assert BirthDate.parse("1956").ages(date(2021, 6, 1)) == (64, 65)
    assert BirthDate.parse("1956").ages(date(2021, 12, 31)) == (65, 65)
