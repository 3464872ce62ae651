"""The plan: which doses go on which card, and why a dose goes on none.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#granular-sharing
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from smart_health_cards import jws
from smart_health_cards.card import Draft, Placed, draft
from smart_health_cards.issuer import Issuer
from smart_health_cards.minimal import Assurance, bundle, immunization, vaccine_coding
from smart_health_cards.profile import day
from smart_health_cards.shape import members

__all__ = ["Group", "LeftOut", "fit", "groups", "unfit"]

_EARLIEST_ZONE = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A dose that is on no card: its `position` in the sequence the caller gave, a stable code, a place, a reason."""

    position: int
    code: str
    expression: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """The doses of one disease group, by position and newest first, each already in minimal form."""

    name: str
    doses: tuple[tuple[int, dict[str, Any]], ...]


def unfit(
    dose: Mapping[str, Any], issuer: Issuer, not_before: int, patient_id: str | None
) -> tuple[str, str, str] | None:
    """Why an Immunization cannot go on a card, as (code, expression, text); None when it can."""
    if dose.get("resourceType") != "Immunization":
        return "not-an-immunization", "Immunization", "This is not an Immunization."
    if patient_id is not None and not _is_about(dose, patient_id):
        return "other-patient", "Immunization.patient", "The dose is not recorded for this person."
    if dose.get("status") != "completed":
        return "status-not-completed", "Immunization.status", "The dose is not recorded as completed."
    if dose.get("primarySource") is False and not issuer.historical:
        text = "The dose was reported, not given, by the source of the record, and this issuer signs no such doses."
        return "historical", "Immunization.primarySource", text
    return _uncodable(dose, issuer) or _undated(dose, not_before)


def groups(
    doses: Sequence[Mapping[str, Any]],
    issuer: Issuer,
    *,
    not_before: int,
    patient_id: str | None = None,
    assurance: Assurance | None = None,
) -> tuple[list[Group], list[LeftOut]]:
    """Sort the doses that can go on a card into disease groups (by name), and say why the others cannot."""
    members: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    left_out: list[LeftOut] = []
    for position, dose in enumerate(doses):
        if reason := unfit(dose, issuer, not_before, patient_id):
            left_out.append(LeftOut(position, *reason))
            continue
        minimal = immunization(dose, issuer.code_allowed, assurance)
        name = issuer.group_of(dose) or "|".join(minimal["vaccineCode"]["coding"][0].values())
        members.setdefault(name, []).append((position, minimal))
    for group in members.values():
        group.sort(key=lambda member: (member[1]["occurrenceDateTime"], member[0]), reverse=True)
    return [Group(name, tuple(members[name])) for name in sorted(members)], left_out


def fit(
    group: Group, patient: dict[str, Any], issuer: Issuer, kid: str, *, not_before: int, rid: str | None = None
) -> tuple[list[Draft], list[LeftOut]]:
    """The drafts of one group, each of which a QR code holds, and the doses for which there was no room.

    As many of the newest doses as fit go on the first card; on every card the oldest dose comes first.
    """

    def drafted(doses: Sequence[tuple[int, dict[str, Any]]]) -> Draft:
        ordered = tuple(reversed(doses))
        placed = [Placed(position, f"resource:{n}") for n, (position, _) in enumerate(ordered, start=1)]
        content = bundle(patient, [dose for _, dose in ordered])
        return draft(issuer, kid, content, not_before=not_before, rid=rid, group=group.name, placed=placed)

    drafts: list[Draft] = []
    rest = group.doses
    while rest and len(drafts) < issuer.cards_per_group:
        count, best = _most(rest, drafted)
        if best is None:
            break
        drafts.append(best)
        rest = rest[count:]
    text = "There was no room left for this dose; a SMART Health Link carries a whole record."
    return drafts, [LeftOut(position, "no-room", "Immunization", text) for position, _ in reversed(rest)]


def _most(
    doses: Sequence[tuple[int, dict[str, Any]]], drafted: Callable[[Sequence[tuple[int, dict[str, Any]]]], Draft]
) -> tuple[int, Draft | None]:
    """How many of the first doses fit on one card, found by measuring; usually all, at the first try."""
    low, high, best = 0, len(doses), None
    count = high
    while low < high:
        trial = drafted(doses[:count])
        if jws.length(trial.signing_input) <= jws.MAX_QR_CHARACTERS:
            low, best = count, trial
        else:
            high = count - 1
        count = (low + high + 1) // 2
    return low, best


def _is_about(dose: Mapping[str, Any], patient_id: str) -> bool:
    reference = members(dose.get("patient")).get("reference")
    pattern = rf"(?:.*/)?Patient/{re.escape(patient_id)}(?:/_history/[^/]+)?"
    return isinstance(reference, str) and re.fullmatch(pattern, reference) is not None


def _uncodable(dose: Mapping[str, Any], issuer: Issuer) -> tuple[str, str, str] | None:
    if vaccine_coding(dose, issuer.code_allowed) is not None:
        return None
    if vaccine_coding(dose) is not None:
        return "vaccine-code-not-allowed", "Immunization.vaccineCode", "The code on record does not name a vaccine."
    text = "The vaccine has no code of CVX, SNOMED CT or ICD-11 on record, and cards take no others."
    return "no-standard-code", "Immunization.vaccineCode", text


def _undated(dose: Mapping[str, Any], not_before: int) -> tuple[str, str, str] | None:
    if "occurrenceDateTime" not in dose:
        return "no-date", "Immunization.occurrence", "The dose has no date on record."
    given = day(dose["occurrenceDateTime"])
    if given is None:
        return "date-invalid", "Immunization.occurrence", "The date on record for the dose is not a real date."
    # Somewhere on Earth it is already the day that begins in 14 hours in UTC.
    latest = (datetime.fromtimestamp(not_before, UTC) + _EARLIEST_ZONE).date().isoformat()
    if given > latest:
        return "date-in-future", "Immunization.occurrence", "The date on record for the dose has not come yet."
    return None
