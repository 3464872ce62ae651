"""A schedule: series of doses with ages, intervals, vaccines and exceptions, as CDSi's supporting data states them.

https://www.cdc.gov/iis/cdsi/index.html (Logic Specification, Domain Model)

Days are ordinals (`date.toordinal`); a window that is open on a side reaches to the end of the calendar there. Ages
and intervals are periods; None is an age or interval the schedule does not set. End ages are not part of a window,
cessation dates are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from fhir_server.domain.calendar import Period

SeriesType = Literal["standard", "risk", "evaluation-only"]


@dataclass(frozen=True, slots=True, eq=False)
class AgeRange:
    """From an age up to, but not including, another."""

    start: Period | None
    end: Period | None


@dataclass(frozen=True, slots=True, eq=False)
class Age:
    """At which ages a dose counts and is recommended, for doses given from `effective` to `cessation`."""

    absolute: Period | None
    minimum: Period | None
    recommended: Period | None
    latest: Period | None
    maximum: Period | None
    effective: int
    cessation: int


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """How far a dose must be from what came before: the dose before it (`previous`), the dose that satisfied a target
    dose (`target`, counted from 1), the last dose of certain products (`vaccines`), or an observation."""

    previous: bool
    target: int | None
    vaccines: frozenset[str]
    observation: str | None
    absolute: Period | None
    minimum: Period | None
    recommended: Period | None
    latest: Period | None
    effective: int
    cessation: int


@dataclass(frozen=True, slots=True, eq=False)
class Preferable:
    """A product that is preferred at an age. `forecast`: to be named in a recommendation."""

    cvx: str
    ages: AgeRange
    mvx: str | None
    volume: Decimal | None
    forecast: bool


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """One condition of a conditional skip. `kind` says which members matter: `age` the ages; `interval` the interval
    since the last dose; `completed` the series groups; `count` how many doses (only valid ones, only of `vaccines`,
    given at `ages` and from `start` up to `end`) there are compared with `count`."""

    kind: Literal["age", "interval", "completed", "count"]
    ages: AgeRange
    interval: Period | None
    groups: frozenset[str]
    compare: Literal["greater than", "equal to", "less than"]
    count: int
    valid: bool
    vaccines: frozenset[str]
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class ConditionSet:
    """Conditions that hold together (`all`) or one for the others, in force on certain days."""

    conditions: tuple[Condition, ...]
    all: bool
    effective: int
    cessation: int


@dataclass(frozen=True, slots=True, eq=False)
class Skip:
    """When a target dose is not needed: while doses are evaluated, when the next is forecast, or both."""

    evaluation: bool
    forecast: bool
    sets: tuple[ConditionSet, ...]
    all: bool


@dataclass(frozen=True, slots=True, eq=False)
class SeriesDose:
    """A target dose. `preferable` and `allowable` are by CVX code."""

    ages: tuple[Age, ...]
    intervals: tuple[Interval, ...]
    allowable_intervals: tuple[Interval, ...]
    preferable: Mapping[str, tuple[Preferable, ...]]
    allowable: Mapping[str, tuple[AgeRange, ...]]
    inadvertent: frozenset[str]
    skips: tuple[Skip, ...]
    recurring: bool
    season_start: int | None
    season_end: int


@dataclass(frozen=True, slots=True, eq=False)
class Indication:
    """An observation that makes a risk series relevant at certain ages."""

    observation: str
    ages: AgeRange


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A path to protection. Of one `group` one series is chosen; `equivalent` groups do the same job. `product`: all
    of one product. `priority` orders series of a group (A first), `preference` breaks ties (1 first)."""

    name: str
    type: SeriesType
    group: str
    equivalent: frozenset[str]
    gender: frozenset[str]
    default: bool
    product: bool
    shared_decision: bool
    priority: str
    preference: int
    maximum_age_to_start: Period | None
    indications: tuple[Indication, ...]
    doses: tuple[SeriesDose, ...]
    preferable: frozenset[str]
    """The CVX codes preferable for any of the doses."""


@dataclass(frozen=True, slots=True, eq=False)
class Contraindication:
    """An observation that forbids the vaccines, each at certain ages; with none named, every vaccine of the disease
    at the ages under the empty name."""

    observation: str
    vaccines: Mapping[str, AgeRange]


@dataclass(frozen=True, slots=True, eq=False)
class ImmuneByBirth:
    """Whoever was born before that day in that country is immune, unless one of the observations holds."""

    before: int
    country: str | None
    exclusions: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Conflict:
    """A product that must not be given from `begin` up to `end` after another; up to `minimum_end` after a valid dose
    of it."""

    begin: Period
    minimum_end: Period
    end: Period


@dataclass(frozen=True, slots=True, eq=False)
class KnowledgeBase:
    """The schedule of one disease by one authority, in force from `starts` to `ends`, both included.

    `vaccines` are the CVX codes that count as doses against the disease, `unspecified` those of them that name no
    product; `conflicts` are by the later and the earlier
    product. `edition` is the publisher's number.
    """

    authority: str
    disease: str
    version: str
    edition: str | None
    starts: date
    ends: date
    vaccines: frozenset[str]
    unspecified: frozenset[str]
    conflicts: Mapping[str, Mapping[str, Conflict]]
    contraindications: tuple[Contraindication, ...]
    immune_findings: frozenset[str]
    immune_births: tuple[ImmuneByBirth, ...]
    series: tuple[Series, ...]
