"""Numbers: ordered text for decimals, and the numbers of a query with their precision.

https://hl7.org/fhir/R4/search.html#number
"""

import re
from decimal import Context, Decimal
from typing import NamedTuple

from fhir_server.fhir.keys import LOWEST

EXPONENT = 308
"""A number in a query lies between 1e-308 and 1e308, or is zero."""

_NUMBER = re.compile(r"[+-]?\d{1,64}(\.\d{1,64})?(?P<exponent>[eE][+-]?\d{1,4})?", re.ASCII)
_EXACT = Context(prec=9999)
_NINES = str.maketrans("0123456789", "9876543210")


class Number(NamedTuple):
    """A number as written in a query: [low, high) are the values it stands for at its precision."""

    value: Decimal
    low: Decimal
    high: Decimal

    def around(self) -> tuple[Decimal, Decimal]:
        """The values `ap` finds: within a tenth, at least within the precision."""
        tenth = abs(self.value) / 10
        return min(self.low, _EXACT.subtract(self.value, tenth)), max(self.high, _EXACT.add(self.value, tenth))


def ordered(value: Decimal | int) -> str:
    """Text that sorts as the number does; equal for equal numbers (1.10 and 1.1).

    `n` negative, `o` zero, `p` positive; then the decimal exponent plus 5000 in four digits and the digits without
    trailing zeros; digits of negatives are complemented and closed by a tilde.
    """
    sign, digits, exponent = (value if isinstance(value, Decimal) else Decimal(value)).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return "o"
    # finite by construction: JSON has no other numbers
    magnitude = len(text) + int(exponent) - 1 + 5000
    text = f"{magnitude:04d}{text.rstrip('0')}"
    return f"n{text.translate(_NINES)}~" if sign else f"p{text}"


def point(value: Decimal | int) -> tuple[str, str]:
    """The half-open range that holds just this number."""
    text = ordered(value)
    return text, text + LOWEST


def parse(text: str) -> Number:
    """A number of a query with the range its significant digits stand for: `100` is [99.5, 100.5), `1e2` [95, 105).

    ValueError where it is no number, or one beyond EXPONENT.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not a number")
    value = Decimal(text)
    if value and not -EXPONENT <= value.adjusted() <= EXPONENT:
        raise ValueError(f"{text} is too large or too small")
    exponent = int(value.as_tuple().exponent)
    if match["exponent"] and value:
        # The specification reads 1e2 as [95, 105): two significant digits at least.
        exponent = min(exponent, value.adjusted() - 1)
    half = Decimal(5).scaleb(exponent - 1)
    return Number(value, _EXACT.subtract(value, half), _EXACT.add(value, half))
