"""Settings that are refused with a sentence, and the calendar day of the jurisdiction."""

from datetime import date, datetime

import pytest
from pydantic import ValidationError

from fhir_server.context import calendar_day
from fhir_server.settings import Settings


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        ("2021-01-14T04:59:59Z", "America/New_York", "2021-01-13"),
        ("2021-01-14T05:00:00Z", "America/New_York", "2021-01-14"),
        # Summer time begins on 2021-03-14: midnight is an hour earlier in UTC from then on.
        ("2021-04-07T03:59:59Z", "America/New_York", "2021-04-06"),
        ("2021-04-07T04:00:00Z", "America/New_York", "2021-04-07"),
        ("2021-01-13T10:00:00Z", "Pacific/Auckland", "2021-01-13"),
        ("2021-01-13T11:00:00Z", "Pacific/Auckland", "2021-01-14"),
        ("2021-01-14T23:59:59Z", "UTC", "2021-01-14"),
    ],
)
def test_today_is_the_day_of_the_jurisdiction(instant: str, zone: str, day: str) -> None:
    microseconds = int(datetime.fromisoformat(instant).timestamp()) * 1_000_000
    assert calendar_day(microseconds, zone) == date.fromisoformat(day)


@pytest.mark.parametrize("zone", ["Nowhere/At_All", "", "../../etc/passwd"])
def test_a_time_zone_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="America/New_York"):
        Settings.model_validate({"time_zone": zone})
