"""Is this person in an open phase: a decision with its reasons, the facts still missing and the opening date.

https://hl7.org/fhir/R4/group.html

Facts come in as they are known now; `as_of` moves the policy, the age and the doses counted. Every Group is looked at
on the day it would first matter: today or its opening day, or the birthday that brings the person into its age range.
What the schedule says of the next dose (a Forecast) is another question; combined.py puts the two together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from fhir_server.domain.criteria import AgeRange, AnyCode, Finding, all_met, examine
from fhir_server.domain.facts import BirthDate, Fact, Facts, Source, birthday
from fhir_server.domain.phases import Group

_AGE, _BIRTHDAY = "age", "birthday-ahead"

Status = Literal["eligible", "not-yet", "not-eligible", "needs-info", "complete", "opted-out"]

BIRTHDAY_HORIZON = timedelta(days=366)
"""A birthday further ahead than this promises nothing: policies do not live that long."""

Detail = int | date | str | frozenset[str]
"""What fills a sentence's gap: a number, a day, a phase's identifier, or codes still to be named in a language."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of the explanation. `code` is stable, `sentence` the key of its text in the catalogue (in `family`),
    `details` fill its gaps. `met` is None where nothing is known; `fact` is what decided, `source` who said so."""

    code: str
    met: bool | None
    sentence: str
    details: Mapping[str, Detail] = field(default_factory=dict)
    fact: Fact | None = None
    group: Group | None = None
    source: Source | None = None
    family: str = "eligibility"


@dataclass(frozen=True, slots=True)
class NextDose:
    """When the schedule wants the next dose: first valid day, recommended day, last day that is not overdue; and the
    dose's `number` in its series."""

    earliest: date
    recommended: date
    past_due: date | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `group` decided it (eligible, not-yet) or is the first that is still open (needs-info). `missing`
    are names of facts that could change the answer, each once. `opens_on` is the first day a person who may not
    come yet may come, as far as is announced; for needs-info the day that holds whatever the missing facts are.
    `next_dose` is the schedule's side alone, `dose_from` the first day on which both sides allow a dose."""

    status: Status
    group: Group | None = None
    reasons: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()
    opens_on: date | None = None
    next_dose: NextDose | None = None
    dose_from: date | None = None


@dataclass(frozen=True, slots=True)
class _Prospect:
    """A Group seen on the day it could first take the person; `day` None: no opening date announced."""

    group: Group
    day: date | None
    findings: tuple[Finding, ...]
    met: bool | None

    @property
    def order(self) -> date:
        return self.day or date.max


def decide(facts: Facts, groups: Sequence[Group], as_of: date) -> Decision:
    """What the policy says of one person: under the Groups of one policy (see `phases.in_force`), earliest opening
    first. Doses are not looked at."""
    if facts.deceased is not None:
        reason = Reason("deceased", False, "deceased", source=facts.deceased)
        return Decision("not-eligible", reasons=(reason,))
    if facts.declined is not None:
        reason = Reason("declined", True, "declined", source=facts.declined)
        return Decision("opted-out", reasons=(reason,))
    if not groups:
        return Decision("not-eligible", reasons=(Reason("no-policy", False, "no-policy"),))
    decision = _weigh([prospect for group in groups for prospect in _prospects(group, facts, as_of)], as_of)
    if decision.status != "not-eligible":
        return decision
    return Decision("not-eligible", reasons=(*_closed(facts, groups, as_of), *decision.reasons))


def is_open_to(facts: Facts, groups: Iterable[Group], as_of: date) -> bool:
    """Whether `decide` says `eligible`, at a fraction of its cost: without a word about why."""
    if facts.deceased is not None or facts.declined is not None:
        return False
    running = (
        group
        for group in groups
        if group.opens is not None and group.opens <= as_of and (group.closes is None or as_of <= group.closes)
    )
    return any(all_met(examine(each, facts, as_of) for each in group.criteria) for group in running)


def _weigh(prospects: Sequence[_Prospect], as_of: date) -> Decision:
    met = [prospect for prospect in prospects if prospect.met]
    unknown = [prospect for prospect in prospects if prospect.met is None]
    failed = [prospect for prospect in prospects if prospect.met is False]
    best = min(met, key=lambda prospect: prospect.order, default=None)
    if best is not None and best.day == as_of:
        return Decision("eligible", best.group, (_phase(best, as_of), *_reasons([best])))
    now_unknown = [prospect for prospect in unknown if prospect.day == as_of]
    if best is None or now_unknown:
        if not unknown:
            return Decision("not-eligible", reasons=_reasons(failed, only=False))
        asked = now_unknown or unknown
        return Decision("needs-info", asked[0].group, _reasons(asked), _missing(asked), best.day if best else None)
    nearer = [prospect for prospect in unknown if prospect.order < best.order]
    still_closed = _reasons([prospect for prospect in failed if prospect.day == as_of], only=False)
    phase, its_own = _phase(best, as_of), _reasons([best])
    if phase.code == _BIRTHDAY:
        # That they reach the age is said; that they have reached it would be wrong today.
        its_own = tuple(reason for reason in its_own if reason.code != _AGE)
    reasons = (phase, *its_own, *still_closed)
    return Decision("not-yet", best.group, reasons, _missing(nearer), best.day)


def _prospects(group: Group, facts: Facts, as_of: date) -> list[_Prospect]:
    """The Group on its first day that is unknown and its first that is met; if there is neither, as it fails."""
    seen: list[_Prospect] = []
    for day in _days(group, facts, as_of):
        findings = tuple(examine(criterion, facts, day) for criterion in group.criteria)
        met = all_met(findings)
        seen.append(_Prospect(group, None if group.opens is None else day, findings, met))
        if met:
            break
    verdicts = {prospect.met: prospect for prospect in reversed(seen)}
    return [verdicts[met] for met in (None, True) if met in verdicts] or seen[:1]


def _days(group: Group, facts: Facts, as_of: date) -> list[date]:
    if group.opens is None:
        return [as_of]
    start = max(as_of, group.opens)
    days = {start}
    for criterion in group.criteria:
        if isinstance(criterion, AgeRange):
            years = criterion.low if not criterion.exclude else (criterion.high or 0) + 1
            for fact in facts.about(criterion.fact):
                if isinstance(fact.value, BirthDate) and years is not None:
                    days.add(birthday(fact.value.latest, years))
    last = as_of + BIRTHDAY_HORIZON if as_of < date.max - BIRTHDAY_HORIZON else date.max
    return sorted(
        day
        for day in days
        if day >= start and (day == start or day <= last) and (group.closes is None or day <= group.closes)
    )


def _closed(facts: Facts, groups: Iterable[Group], as_of: date) -> tuple[Reason, ...]:
    """Phases that are over and would have taken the person on their last day, as far as is known."""
    reasons: dict[str, Reason] = {}
    for group in groups:
        if group.closes is not None and group.closes < as_of:
            findings = [examine(criterion, facts, group.closes) for criterion in group.criteria]
            if all_met(findings) is not False:
                details: dict[str, Detail] = {"phase": group.phase, "day": group.closes}
                reasons.setdefault(group.phase, Reason("phase-closed", False, "phase-closed", details, group=group))
    return tuple(reasons.values())


def _missing(prospects: Iterable[_Prospect]) -> tuple[str, ...]:
    names = (finding.criterion.fact for prospect in prospects for finding in prospect.findings if finding.met is None)
    return tuple(dict.fromkeys(names))


def _phase(prospect: _Prospect, as_of: date) -> Reason:
    group, day = prospect.group, prospect.day
    details: dict[str, Detail] = {"phase": group.phase}
    if day is None or group.opens is None:
        return Reason("phase-unscheduled", False, "phase-unscheduled", details, group=group)
    if group.opens <= as_of and day <= as_of:
        return Reason("phase-open", True, "phase-open", details | {"day": group.opens}, group=group)
    if day > group.opens:
        return Reason(_BIRTHDAY, False, _BIRTHDAY, details | {"day": day}, group=group)
    return Reason("phase-not-open", False, "phase-not-open", details | {"day": group.opens}, group=group)


def _reasons(prospects: Iterable[_Prospect], only: bool | None = None) -> tuple[Reason, ...]:
    """The findings as reasons, each criterion once; with `only`, those that came out so."""
    reasons: dict[object, Reason] = {}
    for prospect in prospects:
        for finding in prospect.findings:
            if only is None or finding.met is only:
                reasons.setdefault((finding.criterion, finding.met), _reason(finding, prospect))
    return tuple(reasons.values())


def _reason(finding: Finding, prospect: _Prospect) -> Reason:
    criterion, fact = finding.criterion, finding.fact
    verdict = {True: "met", False: "unmet", None: "unknown"}[finding.met]
    details: dict[str, Detail] = {"phase": prospect.group.phase}
    kind = criterion.fact
    match criterion:
        case AgeRange(low=low, high=high):
            kind = _AGE
            shape = "from" if high is None else "to" if low is None else "between"
            details |= {"low": low or 0, "high": high or 0}
            sentence = f"age-{shape}.{verdict}"
        case AnyCode(label=label):
            details["wanted"] = frozenset({label})
            sentence = f"{kind}.{verdict}"
        case _:
            sentence = f"{kind}.{verdict}"
    if criterion.exclude and finding.met is not None:
        sentence = f"excluded.{verdict}"
    return Reason(kind, finding.met, sentence, details, fact, prospect.group, fact.source if fact else None)
