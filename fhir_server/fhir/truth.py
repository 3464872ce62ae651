"""Truth: the three truth values of FHIRPath, and how values compare.

https://hl7.org/fhirpath/N1/#boolean-logic
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhir.locations import Location

Truth = bool | None
"""The third truth value is the empty collection, None."""

Criterion = Callable[[Location], Truth]
Operand = Callable[[Location], list[Any]]
Value = str | int | bool | Decimal

COMPARED = frozenset({"=", "!=", "~", "!~", "in"})


def singleton(operand: Operand) -> Criterion:
    """The truth of one value: itself if it is a boolean; any other single value is true, as FHIRPath has it."""

    def truth(focus: Location) -> Truth:
        values = operand(focus)
        if len(values) != 1:
            return None
        return values[0] if isinstance(values[0], bool) else True

    return truth


def compared(sign: str, left: Operand, right: Operand) -> Criterion:
    """Whether the values of both sides compare as the sign says."""

    def compare(focus: Location) -> Truth:
        a, b = left(focus), right(focus)
        if sign == "in":
            return any(_same(a[0], each) for each in b) if a else None
        if not a or not b:
            return None if sign in ("=", "!=") else (not a and not b) == (sign == "~")
        if sign in ("~", "!~"):
            a, b = [_folded(each) for each in a], [_folded(each) for each in b]
        return (len(a) == len(b) and all(map(_same, a, b))) == (sign in ("=", "~"))

    return compare


def joined(word: str, left: Criterion, right: Criterion) -> Criterion:
    """Both criteria joined by `and`, `or`, `xor` or `implies`."""
    join = _JOINS[word]
    return lambda focus: join(left(focus), right(focus))


def negation(inner: Criterion) -> Criterion:
    """The opposite; what is unknown stays unknown."""
    return lambda focus: _not(inner(focus))


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1, while 1.0 is 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return bool(a == b)


def _folded(value: Any) -> Any:
    return " ".join(value.casefold().split()) if isinstance(value, str) else value


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _or(a: Truth, b: Truth) -> Truth:
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def _and(a: Truth, b: Truth) -> Truth:
    return _not(_or(_not(a), _not(b)))


def _xor(a: Truth, b: Truth) -> Truth:
    return None if a is None or b is None else a is not b


def _implies(a: Truth, b: Truth) -> Truth:
    return _or(_not(a), b)


_JOINS: dict[str, Callable[[Truth, Truth], Truth]] = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}
