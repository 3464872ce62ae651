"""Dates: what a date, dateTime, instant or Period covers, as half-open ranges of sortable text.

https://hl7.org/fhir/R4/search.html#date

A time of day without a zone is in UTC. A text stands for all the time it does not tell apart: `2026-01` for the month,
`10:00:00` for that second. The calendar days beside it are the ones written, whatever the zone.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.fhir.keys import HIGHEST, LOWEST

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,18}))?)?"
    r"(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?",
    re.ASCII,
)
_DAY = timedelta(days=1)


class Interval(NamedTuple):
    """[lo, hi) in UTC and [a, z), the calendar days as written; `YYYY-MM-DDTHH:MM:SS.ffffff`, LOWEST or HIGHEST.

    `is_day`: no time of day was written.
    """

    lo: str
    hi: str
    a: str
    z: str
    is_day: bool = False


def now() -> str:
    """This moment as an instant, to the millisecond: of two answers within a second one is the later."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=8192)
def parse(text: str) -> Interval:
    """What a date, dateTime or instant stands for. ValueError where it is none, or a day that does not exist."""
    match = _DATE.fullmatch(text)
    if match is None or match["year"] == "0000":
        raise ValueError(f"{text} is not a date (YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone)")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        start = datetime(int(year), int(month or 1), int(day or 1))
        first, after = start, _after(start, month, day)
        if hour is None:
            lo, hi = _text(first), _text(after)
            return Interval(lo, hi, lo, hi, True)
        moment = start.replace(hour=int(hour), minute=int(minute), second=min(int(second or 0), 59))
    except ValueError:
        raise ValueError(f"{text} is not a date or time that exists") from None
    if second is None:
        width = timedelta(minutes=1)
    else:
        width = timedelta(seconds=1)
        if second == "60":
            moment = _plus(moment, width) or moment
        elif int(second) > 60:
            raise ValueError(f"{text} is not a date or time that exists")
        if fraction is not None:
            moment += timedelta(microseconds=int(fraction[:6].ljust(6, "0")))
            width = timedelta(microseconds=10 ** (6 - min(len(fraction), 6)))
    shift = _offset(zone, text)
    begin = _plus(moment, -shift)
    end = _plus(moment, width - shift)
    lo = _text(begin) if begin else (HIGHEST if shift < timedelta() else LOWEST)
    return Interval(lo, _text(end), _text(first), _text(after))


def reader(type_name: str) -> Callable[[Any], Interval | None] | None:
    """A function from a value of this FHIR type to what it covers; None where the type is no time."""
    return {"Period": span, "Timing": timing, **dict.fromkeys(("date", "dateTime", "instant"), _bound)}.get(type_name)


def span(value: Any) -> Interval | None:
    """What a Period stands for; open ends reach LOWEST and HIGHEST. None where it has neither end."""
    if type(value) is not dict:
        return None
    start, end = _bound(value.get("start")), _bound(value.get("end"))
    if start is None and end is None:
        return None
    return Interval(
        start.lo if start else LOWEST,
        end.hi if end else HIGHEST,
        start.a if start else LOWEST,
        end.z if end else HIGHEST,
    )


def timing(value: Any) -> Interval | None:
    """The outer limits of a Timing: its events and the bounds of its repetition; None where it has none."""
    if type(value) is not dict:
        return None
    events, repeat = value.get("event"), value.get("repeat")
    found = [interval for event in (events if type(events) is list else ()) if (interval := _bound(event))]
    period = span(repeat.get("boundsPeriod")) if type(repeat) is dict else None
    if period:
        found.append(period)
    if not found:
        return None
    return Interval(
        min(i.lo for i in found), max(i.hi for i in found), min(i.a for i in found), max(i.z for i in found)
    )


def widen(interval: Interval) -> Interval:
    """Its own width more, at least a day, on either side: what `ap` means here (the clock plays no part)."""
    lo, hi = datetime.fromisoformat(interval.lo), _moment(interval.hi)
    width = max(hi - lo, _DAY)
    a, z = datetime.fromisoformat(interval.a), _moment(interval.z)
    return Interval(
        *(_text(_plus(lo, -width)) if _plus(lo, -width) else LOWEST, _text(_plus(hi, width))),
        *(_text(_plus(a, -width)) if _plus(a, -width) else LOWEST, _text(_plus(z, width))),
        interval.is_day,
    )


def microseconds(bound: str) -> int:
    """A bound of an Interval in microseconds since 1970."""
    moment = _moment(bound).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return moment // timedelta(microseconds=1)


def _moment(bound: str) -> datetime:
    if bound == HIGHEST:
        return datetime.max
    return datetime.min if bound == LOWEST else datetime.fromisoformat(bound)


def _bound(text: Any) -> Interval | None:
    """A date of a stored resource; None where it is missing or does not exist on the calendar."""
    if type(text) is not str:
        return None
    try:
        return parse(text)
    except ValueError:
        return None


def _after(start: datetime, month: str | None, day: str | None) -> datetime | None:
    """The first moment after the year, month or day that begins with `start`; None past the year 9999."""
    if day is not None:
        return _plus(start, _DAY)
    if month is not None and start.month < 12:
        return start.replace(month=start.month + 1)
    return None if start.year == 9999 else start.replace(year=start.year + 1, month=1)


def _plus(moment: datetime, step: timedelta) -> datetime | None:
    try:
        return moment + step
    except OverflowError:
        return None


def _offset(zone: str | None, text: str) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59 or (hours == 14 and minutes):
        raise ValueError(f"{text} names a time zone that does not exist")
    shift = timedelta(hours=hours, minutes=minutes)
    return -shift if zone[0] == "-" else shift


def _text(moment: datetime | None) -> str:
    return HIGHEST if moment is None else moment.isoformat(timespec="microseconds")
