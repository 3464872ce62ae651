"""The primary series of 2021: how many doses complete it.

https://www.cdc.gov/vaccines/programs/iis/cdsi.html

Any two doses on different days complete it, or one of a product given as a single dose. Intervals and ages are the
forecast's business; eligibility only needs to know that a person is done.
"""

from collections.abc import Iterable
from datetime import date

from fhir_server.domain.facts import Dose

SINGLE_DOSE = frozenset({"212"})
"""CVX codes of products whose primary series is one dose (Janssen)."""

DOSES_OF_OTHERS = 2


def completed_on(doses: Iterable[Dose], as_of: date) -> date | None:
    """The day the series was completed, as known on `as_of`; None while it is not."""
    given = sorted((dose for dose in doses if dose.given <= as_of), key=lambda dose: dose.given)
    days: set[date] = set()
    for dose in given:
        days.add(dose.given)
        if dose.cvx in SINGLE_DOSE or len(days) == DOSES_OF_OTHERS:
            return dose.given
    return None
