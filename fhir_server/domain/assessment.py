"""What a schedule says of a person: each dose evaluated, and what comes next, with a reason for every decision.

https://www.cdc.gov/iis/cdsi/index.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from fhir_server.domain.history import GivenDose

DoseStatus = Literal["valid", "not-valid", "extraneous", "sub-standard", "not-evaluated"]
"""CDSi's evaluation statuses; `not-evaluated` is ours, for records no schedule can be applied to."""

SeriesStatus = Literal[
    "not-complete", "complete", "immune", "contraindicated", "not-recommended", "aged-out", "unknown"
]
"""CDSi's patient series statuses; `unknown` is ours, for a person of whom too little is known."""

Detail = date | int | str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why. `code` is stable and the key of its sentence in the family `forecast`; `details` fill the gaps."""

    code: str
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One dose under the series that was chosen. `target` is the number of the series dose it was held against, of
    `of` in the series; both None where it was held against none."""

    dose: GivenDose
    status: DoseStatus
    reasons: tuple[Reason, ...]
    series: str | None = None
    target: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The answer for one disease on one day.

    Dates are there only for `not-complete`: `earliest` valid day, `recommended` and `past_due` (the last day that is
    not yet overdue) never before it, `latest` the last day at all; the two `unadjusted_` ones are what the schedule
    asked for before the history was looked at. `dose_number` is the next dose. `vaccines` are CVX codes the schedule
    recommends for it by name, `suitable` all it prefers at that age, `contraindicated` those the person must not be
    given. `completed_on` is the day of the last valid dose of a `complete` series. `shared_decision`: recommended after
    talking it over, not to everybody. `reasons` is never empty; nor are the reasons of an evaluation.
    """

    authority: str
    version: str
    as_of: date
    status: SeriesStatus
    reasons: tuple[Reason, ...]
    evaluations: tuple[Evaluation, ...] = ()
    series: str | None = None
    dose_number: int | None = None
    earliest: date | None = None
    recommended: date | None = None
    past_due: date | None = None
    latest: date | None = None
    unadjusted_recommended: date | None = None
    unadjusted_past_due: date | None = None
    vaccines: tuple[str, ...] = ()
    suitable: tuple[str, ...] = ()
    contraindicated: tuple[str, ...] = ()
    completed_on: date | None = None
    shared_decision: bool = False
