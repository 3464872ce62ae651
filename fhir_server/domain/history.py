"""What a schedule is applied to: the doses a person was given, what has been observed of them, birth and gender.

https://www.cdc.gov/iis/cdsi/index.html
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class GivenDose:
    """A dose as recorded. `given` is the local calendar day, None where it is not known to the day; `cvx` the product
    as a CVX code, None where it could not be told; `mvx` the manufacturer; `volume` in millilitres. `expires` is the
    lot's last day of use. `substandard`: given, but to be repeated whatever else holds (recalled, partial, broken cold
    chain). `key` is the caller's own name for the dose and decides nothing but the order of otherwise equal doses."""

    given: date | None
    cvx: str | None
    key: str = ""
    mvx: str | None = None
    volume: Decimal | None = None
    expires: date | None = None
    substandard: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Something known of the person, as a CDSi observation code (`145`: severe antibody deficiency). `since` is the
    day it was found or began; None where that is not known, then it counts whenever it is asked for. `until` is the
    last day it held; None where it still does."""

    code: str
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All a forecast needs of one person. The order of doses and observations decides nothing.

    `born` None: not known at all. A birth date known to the month or year stands for its last possible day, and
    `born_exactly` is False. `gender` is `male`, `female` or None; `birth_country` as CDSi writes it (`U.S.`).
    """

    born: date | None
    doses: tuple[GivenDose, ...] = ()
    observations: tuple[Observation, ...] = ()
    gender: str | None = None
    birth_country: str | None = None
    born_exactly: bool = True
