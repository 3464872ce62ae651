"""Phases of a vaccination policy: Groups of people, the criteria that make them, and the days they are open.

https://hl7.org/fhir/R4/group.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from fhir_server.domain.criteria import Criterion


@dataclass(frozen=True, slots=True)
class Policy:
    """A published plan and the days it is in force; None is an open end. `authority` is who published it."""

    identifier: str
    start: date | None = None
    end: date | None = None
    jurisdiction: str | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """People who may come: all `criteria` hold. Groups with the same `phase` are alternatives.

    `reference` names the stored version this was read from. `opens` None: announced without a date, not open.
    `closes` is the last open day. `titles` is the phase's name by language tag.
    """

    reference: str
    phase: str
    policy: Policy
    version: str
    criteria: tuple[Criterion, ...]
    opens: date | None = None
    closes: date | None = None
    titles: Mapping[str, str] = field(default_factory=dict)


def in_force(
    groups: Iterable[Group], on: date, policy: str | None = None, jurisdiction: str | None = None
) -> tuple[Group, ...]:
    """The Groups of the policy asked for, or of the one in force on that day: the latest begun, before all of them
    the first. Earliest opening first, those without a date last. Empty where no such policy is known."""
    known = [
        group
        for group in groups
        if (policy is None or group.policy.identifier == policy)
        and (jurisdiction is None or group.policy.jurisdiction == jurisdiction)
    ]
    if policy is None and known:
        chosen = _chosen((group.policy for group in known), on)
        known = [group for group in known if group.policy.identifier == chosen.identifier]
    return tuple(sorted(known, key=lambda group: (group.opens or date.max, group.phase, group.reference)))


def _chosen(policies: Iterable[Policy], on: date) -> Policy:
    def begun(policy: Policy) -> tuple[date, str]:
        return policy.start or date.min, policy.identifier

    ordered = sorted(set(policies), key=begun)
    running = [
        policy for policy in ordered if (policy.start or date.min) <= on and (policy.end is None or on <= policy.end)
    ]
    return (
        running[-1] if running else next((policy for policy in ordered if (policy.start or date.min) > on), ordered[-1])
    )
