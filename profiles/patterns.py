"""Patterns: is a value the fixed one, or does it hold at least what the pattern holds.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
"""

from decimal import Decimal
from typing import Any


def is_fixed(value: Any, fixed: Any) -> bool:
    """Whether the value is exactly `fixed`, member by member; the order of members does not count."""
    if type(fixed) is dict:
        if type(value) is not dict or value.keys() != fixed.keys():
            return False
        return all(is_fixed(value[name], wanted) for name, wanted in fixed.items())
    if type(fixed) is list:
        return (
            type(value) is list
            and len(value) == len(fixed)
            and all(is_fixed(one, other) for one, other in zip(value, fixed, strict=True))
        )
    return _same(value, fixed)


def fits(value: Any, pattern: Any) -> bool:
    """Whether the value has all that the pattern has: each entry of an array is found in some entry of the value's."""
    if type(pattern) is dict:
        return type(value) is dict and all(n in value and fits(value[n], v) for n, v in pattern.items())
    if type(pattern) is list:
        return type(value) is list and all(any(fits(one, wanted) for one in value) for wanted in pattern)
    return _same(value, pattern)


def told(wanted: Any) -> str:
    """A fixed value or pattern in a sentence, at most 200 characters."""
    text = f'"{wanted}"' if type(wanted) is str else _written(wanted)
    return text if len(text) <= 200 else text[:197] + "..."


def _same(value: Any, wanted: Any) -> bool:
    if type(wanted) is float:
        # Tables hold numbers as JSON's; resources hold them to the digit.
        return type(value) in (int, Decimal) and value == Decimal(repr(wanted))
    return type(value) is type(wanted) and bool(value == wanted)


def _written(wanted: Any) -> str:
    if type(wanted) is dict:
        return ", ".join(f"{name} {told(value)}" for name, value in wanted.items())
    if type(wanted) is list:
        return " and ".join(told(value) for value in wanted)
    return str(wanted).lower() if type(wanted) is bool else str(wanted)
