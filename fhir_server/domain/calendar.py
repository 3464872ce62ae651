"""Calendar arithmetic as CDSi defines it: years first, then months, then weeks and days.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, Date Calculations)

Days are counted as `date.toordinal` does, because a schedule compares thousands of them.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, date
from functools import cache, lru_cache

FAR_PAST = date.min.toordinal()
FAR_FUTURE = date.max.toordinal()

_TERM = re.compile(r"([+-]?)\s*(\d+)\s*(year|month|week|day)s?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """A span such as `6 months - 4 days`. The same text gives the same object, so that it can key a table fast."""

    text: str
    months: int
    days: int

    def after(self, ordinal: int) -> int:
        """The ordinal of the day that long after. A day that does not exist (31 September) is the first of the next
        month; a day outside the calendar is its first or last."""
        if self.months:
            ordinal = _months_after(ordinal, self.months)
        ordinal += self.days
        if FAR_PAST <= ordinal <= FAR_FUTURE:
            return ordinal
        return FAR_PAST if ordinal < FAR_PAST else FAR_FUTURE


@cache
def period(text: str) -> Period:
    """The span a text such as `18 years - 4 days` describes. ValueError where it describes none."""
    months = days = end = 0
    for term in _TERM.finditer(text):
        if text[end : term.start()].strip() or (end and not term[1]):
            raise ValueError(f"not a period: {text!r}")
        amount = int(term[2]) * (-1 if term[1] == "-" else 1)
        match term[3].lower():
            case "year":
                months += 12 * amount
            case "month":
                months += amount
            case "week":
                days += 7 * amount
            case _:
                days += amount
        end = term.end()
    if not end or text[end:].strip():
        raise ValueError(f"not a period: {text!r}")
    return Period(text, months, days)


@lru_cache(maxsize=1 << 16)
def _months_after(ordinal: int, months: int) -> int:
    day = date.fromordinal(ordinal)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > MAXYEAR:
        return FAR_FUTURE
    if year < 1:
        return FAR_PAST
    length = monthrange(year, month + 1)[1]
    if day.day > length:
        return date(year, month + 1, length).toordinal() + 1
    return date(year, month + 1, day.day).toordinal()
