"""Dates cover what they do not tell apart.

https://hl7.org/fhir/R4/search.html#date
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.dates import microseconds, parse, span, timing, widen
from fhir_server.fhir.keys import HIGHEST, LOWEST


@pytest.mark.parametrize(
    ("text", "lo", "hi", "a"),
    [
        ("2020", "2020-01-01T00:00:00.000000", "2021-01-01T00:00:00.000000", "2020-01-01"),
        ("2020-02", "2020-02-01T00:00:00.000000", "2020-03-01T00:00:00.000000", "2020-02-01"),
        ("2020-12", "2020-12-01T00:00:00.000000", "2021-01-01T00:00:00.000000", "2020-12-01"),
        ("2020-02-29", "2020-02-29T00:00:00.000000", "2020-03-01T00:00:00.000000", "2020-02-29"),
        ("2020-01-01T10:00Z", "2020-01-01T10:00:00.000000", "2020-01-01T10:01:00.000000", "2020-01-01"),
        ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00.000000", "2020-01-01T10:00:01.000000", "2020-01-01"),
        ("2020-01-01T10:00:00", "2020-01-01T10:00:00.000000", "2020-01-01T10:00:01.000000", "2020-01-01"),
        ("2020-01-01T10:00:00.5Z", "2020-01-01T10:00:00.500000", "2020-01-01T10:00:00.600000", "2020-01-01"),
        ("2020-01-01T10:00:00.000Z", "2020-01-01T10:00:00.000000", "2020-01-01T10:00:00.001000", "2020-01-01"),
        ("2020-01-01T10:00:00.1234567Z", "2020-01-01T10:00:00.123456", "2020-01-01T10:00:00.123457", "2020-01-01"),
        ("2020-01-01T23:00:00-05:00", "2020-01-02T04:00:00.000000", "2020-01-02T04:00:01.000000", "2020-01-01"),
        ("2020-01-01T01:00:00+05:30", "2019-12-31T19:30:00.000000", "2019-12-31T19:30:01.000000", "2020-01-01"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000", "2017-01-01T00:00:01.000000", "2016-12-31"),
        ("0001-01-01T00:00:00+14:00", LOWEST, "0001-01-01T00:00:01.000000", "0001-01-01"),
        ("9999", "9999-01-01T00:00:00.000000", HIGHEST, "9999-01-01"),
        ("9999-12-31", "9999-12-31T00:00:00.000000", HIGHEST, "9999-12-31"),
    ],
)
def test_covers(text: str, lo: str, hi: str, a: str) -> None:
    interval = parse(text)
    assert interval.lo == lo
    assert interval.hi == hi or lo == LOWEST
    assert interval.a == f"{a}T00:00:00.000000"
    assert interval.is_day == ("T" not in text)


moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
zones = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones)
def test_the_same_moment_in_any_zone_is_the_same_range(moment: datetime, zone: timezone) -> None:
    here = moment.replace(tzinfo=UTC)
    one, other = (
        parse(here.isoformat(timespec="microseconds")),
        parse(here.astimezone(zone).isoformat(timespec="microseconds")),
    )
    assert (one.lo, one.hi) == (other.lo, other.hi)
    assert one.lo == moment.isoformat(timespec="microseconds")
    assert microseconds(one.hi) - microseconds(one.lo) == 1


@given(moments, moments, st.sampled_from([4, 7, 10]))
def test_ranges_are_ordered_as_the_dates(one: datetime, other: datetime, length: int) -> None:
    early, late = sorted((one.isoformat()[:length], other.isoformat()[:length]))
    assert parse(early).lo <= parse(late).lo
    assert parse(early).hi <= parse(late).lo or early == late


def test_periods_reach_as_far_as_they_say() -> None:
    closed = span({"start": "2020-01-01", "end": "2020-01"})
    assert closed is not None and closed[:2] == ("2020-01-01T00:00:00.000000", "2020-02-01T00:00:00.000000")
    assert (span({"start": "2020"}) or closed).hi == HIGHEST
    assert (span({"end": "2020"}) or closed).lo == LOWEST
    assert span({}) is None
    assert span({"start": "garbage"}) is None
    assert span("2020") is None


def test_a_timing_has_outer_limits() -> None:
    found = timing({"event": ["2020-01-05", "2020-01-01"], "repeat": {"boundsPeriod": {"end": "2020-02-01"}}})
    assert found is not None and found[:2] == (LOWEST, "2020-02-02T00:00:00.000000")
    assert timing({"repeat": {"frequency": 1}}) is None


def test_approximately_is_its_width_more_on_either_side() -> None:
    assert widen(parse("2020-01-05"))[:2] == ("2020-01-04T00:00:00.000000", "2020-01-07T00:00:00.000000")
    assert widen(parse("2020"))[:2] == ("2018-12-31T00:00:00.000000", "2022-01-02T00:00:00.000000")
    assert widen(parse("0001"))[0] == LOWEST
    assert widen(parse("9999"))[1] == HIGHEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "0000",
        "2020-00",
        "2020-13",
        "2020-02-30",
        "2020-1-1",
        "2020-01-01T10",
        "2020-01-01T24:00Z",
        "2020-01-01 10:00",
        "2020-01-01T10:00:61Z",
        "2020-01-01T10:00Z+01:00",
        "2020-01-01Z",
        "2020-01-01T10:00+15:00",
        "2020-01-01T10:00+01:60",
        "٢٠٢٠",
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
