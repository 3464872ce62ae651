"""Small cells: a table of counts of people made fit to be shown, so that no few people can be told from it.

https://resdac.org/articles/cms-cell-size-suppression-policy

A count is shown rounded down to a multiple of the limit, and one below the limit not at all. So the difference of any
two shown counts is a multiple of the limit too: of a cell and its total, of two days, of two phases. Where roundings
happen to add up so that a withheld count could still be told from the total and the cells beside it, the smallest of
these is withheld as well, and where none is left, the whole measure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Counts = Mapping[str, int]
"""The counts of a measure in one dimension, by row."""

Shown = Mapping[str, int | None]
"""What may be shown of them: None is withheld."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a reader can tell of a count: from `low` to `high`, both included."""

    low: int
    high: int


def shown(count: int, limit: int) -> int | None:
    """The count as it may be shown, or None."""
    return None if count < limit else count - count % limit


def published(total: int, dimensions: Mapping[str, Counts], limit: int) -> tuple[int | None, dict[str, Shown]]:
    """One measure: its total and its rows in every dimension (each adds up to the total), as they may be shown.

    `limit` 1 or less shows everything as it is.
    """
    if limit <= 1:
        return total, {name: dict(rows) for name, rows in dimensions.items()}
    overall = shown(total, limit)
    tables: dict[str, Shown] = {
        name: {row: shown(count, limit) for row, count in rows.items()} for name, rows in dimensions.items()
    }
    if overall is None:
        return None, {name: dict.fromkeys(rows) for name, rows in tables.items()}
    known = _total(overall, tables.values(), limit)
    for name, rows in tables.items():
        if not tells_too_much(rows, known, limit):
            continue
        left = {row: count for row, count in rows.items() if count is not None}
        if not left:
            return None, {name: dict.fromkeys(rows) for name, rows in tables.items()}
        tables[name] = {**rows, min(left, key=lambda row: (dimensions[name][row], row)): None}
    return overall, tables


def tells_too_much(rows: Shown, total: Bounds, limit: int) -> bool:
    """Whether a reader can narrow a withheld row to less than half of the values below the limit."""
    withheld = sum(1 for count in rows.values() if count is None)
    if not withheld:
        return False
    least = sum(count for count in rows.values() if count is not None)
    most = least + (limit - 1) * (len(rows) - withheld)
    low = max(total.low - most - (limit - 1) * (withheld - 1), 0)
    high = min(total.high - least, limit - 1)
    return (high - low + 1) * 2 < limit


def _total(overall: int, tables: Iterable[Shown], limit: int) -> Bounds:
    """What a reader can tell of the total: from itself, and from each dimension's rows added up."""
    sums = (sum((count or 0) + limit - 1 for count in rows.values()) for rows in tables)
    return Bounds(overall, min((overall + limit - 1, *sums)))
