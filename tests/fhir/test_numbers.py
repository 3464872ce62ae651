"""Numbers sort as text the way they sort as numbers.

https://hl7.org/fhir/R4/search.html#number
"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.keys import HIGHEST, LOWEST
from fhir_server.fhir.numbers import ordered, parse, point

decimals = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=3),
    st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: not d or abs(d.adjusted()) <= 308),
    st.integers().map(Decimal),
)


@given(decimals, decimals)
def test_keys_are_ordered_as_the_numbers(one: Decimal, other: Decimal) -> None:
    assert (ordered(one) < ordered(other)) == (one < other)
    assert (ordered(one) == ordered(other)) == (one == other)


@given(decimals, decimals)
def test_a_point_holds_one_number_only(one: Decimal, other: Decimal) -> None:
    lo, hi = point(one)
    assert LOWEST < lo < hi < HIGHEST
    assert (lo <= ordered(other) < hi) == (one == other)
    assert (point(other)[1] > hi) == (other > one)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1.1", "1.05", "1.15"),
        ("1.10", "1.095", "1.105"),
        ("-2", "-2.5", "-1.5"),
        ("0", "-0.5", "0.5"),
        ("1e2", "95", "105"),
        ("1.00e2", "99.5", "100.5"),
        ("5e-1", "0.495", "0.505"),
        ("+3", "2.5", "3.5"),
        ("123456789012345678.9", "123456789012345678.85", "123456789012345678.95"),
    ],
)
def test_significant_digits(text: str, low: str, high: str) -> None:
    number = parse(text)
    assert (number.low, number.high) == (Decimal(low), Decimal(high))


def test_approximately_is_a_tenth_or_the_precision() -> None:
    assert parse("100").around() == (Decimal(90), Decimal(110))
    assert parse("1").around() == (Decimal("0.5"), Decimal("1.5"))
    assert parse("-100").around() == (Decimal(-110), Decimal(-90))


@pytest.mark.parametrize(
    "text", ["", "a", "1.", ".5", "1e", "1 2", "0x1", "1_000", "1e400", "٣", "NaN", "--1", "9" * 65]
)
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
