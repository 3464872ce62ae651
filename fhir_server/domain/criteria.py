"""Criteria of a phase Group and what a person's facts say to them: met, not met, or not known yet.

https://hl7.org/fhir/R4/group-definitions.html#Group.characteristic
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from fhir_server.domain.facts import BIRTH_DATE, BirthDate, Fact, Facts


@dataclass(frozen=True, slots=True)
class AgeRange:
    """Completed years from `low` to `high`, both included; None leaves that end open."""

    low: int | None = None
    high: int | None = None
    exclude: bool = False
    fact: str = BIRTH_DATE


@dataclass(frozen=True, slots=True)
class AnyCode:
    """At least one of the codes `accepts` applies. A code in `possible` is too general to tell (frontline worker
    where educators are asked for), so it leaves the criterion open. `label` is the code the criterion names."""

    fact: str
    label: str
    accepts: frozenset[str]
    possible: frozenset[str] = frozenset()
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A yes-or-no fact is as wanted."""

    fact: str
    wanted: bool = True
    exclude: bool = False


Criterion = AgeRange | AnyCode | Flag


@dataclass(frozen=True, slots=True)
class Finding:
    """How one criterion came out: `met` is None while unknown; `fact` is the fact that decided, or was too vague."""

    criterion: Criterion
    met: bool | None
    fact: Fact | None


def examine(criterion: Criterion, facts: Facts, on: date) -> Finding:
    """One criterion on one day. Where attesters disagree, one who says yes is enough."""
    best = Finding(criterion, None, None)
    for fact in facts.about(criterion.fact):
        met = _met(criterion, fact, on)
        if met:
            best = Finding(criterion, True, fact)
            break
        if best.fact is None or (met is None and best.met is False):
            best = Finding(criterion, met, fact)
    if criterion.exclude and best.met is not None:
        return Finding(criterion, not best.met, best.fact)
    return best


def all_met(findings: Iterable[Finding]) -> bool | None:
    """Whether every criterion is met: False as soon as one is not, else None as soon as one is unknown."""
    verdict: bool | None = True
    for finding in findings:
        if finding.met is False:
            return False
        if finding.met is None:
            verdict = None
    return verdict


def _met(criterion: Criterion, fact: Fact, on: date) -> bool | None:
    match criterion, fact.value:
        case AgeRange(low=low, high=high), BirthDate() as born:
            return _age_met(low, high, *born.ages(on))
        case AnyCode(accepts=accepts, possible=possible), frozenset() as codes:
            if codes & accepts:
                return True
            return None if codes & possible else False
        case Flag(wanted=wanted), bool() as value:
            return value is wanted
        case _:
            return None


def _age_met(low: int | None, high: int | None, youngest: int, oldest: int) -> bool | None:
    low = 0 if low is None else low
    if oldest < low or (high is not None and youngest > high):
        return False
    return True if youngest >= low and (high is None or oldest <= high) else None
