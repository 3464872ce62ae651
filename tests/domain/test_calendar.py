"""CDSi's calendar: years, then months, then weeks and days; what does not exist is the first of the next month."""

from datetime import date

import pytest

from fhir_server.domain.calendar import FAR_FUTURE, FAR_PAST, period


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2000-01-31", "6 months", "2000-07-31"),
        ("2000-01-31", "6 months - 4 days", "2000-07-27"),
        ("2000-03-31", "6 months", "2000-10-01"),
        ("2000-03-31", "6 months - 4 days", "2000-09-27"),
        ("2024-01-31", "1 month", "2024-03-01"),
        ("2023-01-29", "1 month", "2023-03-01"),
        ("2024-01-29", "1 month", "2024-02-29"),
        ("2020-02-29", "5 years", "2025-03-01"),
        ("2020-02-29", "4 years", "2024-02-29"),
        ("2019-12-15", "18 years - 4 days", "2037-12-11"),
        ("2024-08-31", "1 year 6 months", "2026-03-01"),
        ("2025-02-06", "8 weeks", "2025-04-03"),
        ("2025-02-06", "8 weeks - 4 days", "2025-03-30"),
        ("2024-12-31", "0 days", "2024-12-31"),
        ("2024-02-28", "1 day", "2024-02-29"),
    ],
)
def test_a_period_after_a_day(start: str, span: str, end: str) -> None:
    text = span.replace("1 year 6", "1 year + 6")
    assert date.fromordinal(period(text).after(date.fromisoformat(start).toordinal())).isoformat() == end


def test_a_day_outside_the_calendar_is_its_edge() -> None:
    assert period("2000 years").after(date(9000, 1, 1).toordinal()) == FAR_FUTURE
    assert period("8 years + 30 days").after(date(9991, 12, 15).toordinal()) == FAR_FUTURE
    assert period("- 10 years").after(date(5, 1, 1).toordinal()) == FAR_PAST
    assert period("- 10 days").after(date(1, 1, 5).toordinal()) == FAR_PAST


def test_the_same_text_is_the_same_period() -> None:
    assert period("6 months") is period("6 months")


@pytest.mark.parametrize("text", ["", "soon", "6", "6 moons", "6 months 4 days", "6 months - ", "x 6 months"])
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(ValueError, match="not a period"):
        period(text)
