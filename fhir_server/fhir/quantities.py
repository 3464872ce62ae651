"""Quantities: amounts with a unit, as labelled ranges.

https://hl7.org/fhir/R4/search.html#quantity

A quantity is found under its parameter's name alone, with `system|code`, and with `*|unit` where unit is its code or
the unit as written. Units are not converted.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_server.fhir.keys import HIGHEST, LOWEST, escape, token
from fhir_server.fhir.numbers import point

CURRENCY = "urn:iso:std:iso:4217"

Measured = tuple[str, str, tuple[str, ...]]
"""lo, hi and the units: an empty one for any unit."""


def reader(type_name: str) -> Callable[[Any], Measured | None] | None:
    """A function from a value of this FHIR type to its range and units; None where the type is no amount."""
    return _READERS.get(type_name)


def _number(value: Any) -> Decimal | int | None:
    return value if type(value) is int or isinstance(value, Decimal) else None


def _units(value: Mapping[str, Any]) -> tuple[str, ...]:
    code, unit, system = value.get("code"), value.get("unit"), value.get("system")
    found = [""]
    if type(code) is str:
        if type(system) is str:
            found.append(f"{token(escape(system), '')}{escape(code)}")
        found.append(f"*|{escape(code)}")
    if type(unit) is str and unit != code:
        found.append(f"*|{escape(unit)}")
    return tuple(found)


def _decimal(value: Any) -> Measured | None:
    number = _number(value)
    return None if number is None else (*point(number), ("",))


def _quantity(value: Any) -> Measured | None:
    number = _number(value.get("value")) if type(value) is dict else None
    if number is None:
        return None
    lo, hi = point(number)
    comparator = value.get("comparator")
    if comparator == "<":
        lo, hi = LOWEST, lo
    elif comparator == "<=":
        lo = LOWEST
    elif comparator == ">":
        lo, hi = hi, HIGHEST
    elif comparator == ">=":
        hi = HIGHEST
    return lo, hi, _units(value)


def _money(value: Any) -> Measured | None:
    number = _number(value.get("value")) if type(value) is dict else None
    if number is None:
        return None
    currency = value.get("currency")
    units = ("",) if type(currency) is not str else ("", f"{CURRENCY}|{escape(currency)}", f"*|{escape(currency)}")
    return (*point(number), units)


def _range(value: Any) -> Measured | None:
    if type(value) is not dict:
        return None
    low: Any = value.get("low")
    high: Any = value.get("high")
    least = _number(low.get("value")) if type(low) is dict else None
    most = _number(high.get("value")) if type(high) is dict else None
    if least is None and most is None:
        return None
    lo = LOWEST if least is None else point(least)[0]
    hi = HIGHEST if most is None else point(most)[1]
    measured: Mapping[str, Any] = low if least is not None else high
    return lo, hi, _units(measured)


_READERS: Mapping[str, Callable[[Any], Measured | None]] = {
    **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
    **dict.fromkeys(("integer", "decimal", "positiveInt", "unsignedInt"), _decimal),
    "Money": _money,
    "Range": _range,
}
