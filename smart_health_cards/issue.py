"""Issuing: from a person's record to signed cards.

https://hl7.org/fhir/uv/smart-health-cards-and-links/OperationDefinition-patient-i-health-cards-issue.html

`issue` does it all. A caller whose log can only be awaited calls `prepare`, writes the log entries of the drafts
itself and then `card.release` for each draft.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_health_cards import minimal, plan
from smart_health_cards.card import Card, Draft, LogEntry, release
from smart_health_cards.issuer import Issuer
from smart_health_cards.keys import SigningKey
from smart_health_cards.plan import LeftOut

__all__ = ["Issued", "Prepared", "issue", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The cards to be signed, one disease group each (by name), and the doses that go on none."""

    drafts: tuple[Draft, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """The released cards, one disease group each (by name), and the doses that went on none."""

    cards: tuple[Card, ...]
    left_out: tuple[LeftOut, ...]


def prepare(
    issuer: Issuer,
    kid: str,
    patient: Mapping[str, Any],
    immunizations: Sequence[Mapping[str, Any]],
    *,
    not_before: int,
    rid: Callable[[str], str] | None = None,
    identity_claims: Collection[str] | None = None,
    assurance: minimal.Assurance | None = None,
) -> Prepared:
    """Plan, minimise, check and measure; nothing is signed or written.

    - `patient`, `immunizations`: the resources on record, as JSON values. With a Patient.id, every dose must be for
      that Patient.
    - `not_before`: the moment of issue in Unix seconds, an integer (nbf).
    - `rid`: the revocation identifier for a disease group; None makes cards that cannot be revoked one by one.
    - `identity_claims`: the elements asked for, such as `Patient.birthDate`; the name is always there, the
      profile demands it. None asks for all.
    - `assurance`: how the person's identity was proved, only if that is on record.

    CardError `patient-no-name`; what is wrong with a dose never raises, it is in `left_out`.
    """
    birth_date = identity_claims is None or bool({"Patient", "Patient.birthDate"} & set(identity_claims))
    person = minimal.patient(patient, birth_date=birth_date)
    patient_id = patient.get("id")
    groups, left_out = plan.groups(
        immunizations, issuer, not_before=not_before, patient_id=patient_id, assurance=assurance
    )
    drafts: list[Draft] = []
    for group in groups:
        revocable = rid(group.name) if rid is not None else None
        fitted, without_room = plan.fit(group, person, issuer, kid, not_before=not_before, rid=revocable)
        drafts += fitted
        left_out += without_room
    return Prepared(tuple(drafts), tuple(sorted(left_out, key=lambda dose: dose.position)))


def issue(
    issuer: Issuer,
    key: SigningKey,
    patient: Mapping[str, Any],
    immunizations: Sequence[Mapping[str, Any]],
    *,
    not_before: int,
    log: Callable[[LogEntry], object],
    rid: Callable[[str], str] | None = None,
    identity_claims: Collection[str] | None = None,
    assurance: minimal.Assurance | None = None,
) -> Issued:
    """Prepare (which see), log every card, and only then sign; what `log` raises stops everything unsigned."""
    prepared = prepare(
        issuer,
        key.kid,
        patient,
        immunizations,
        not_before=not_before,
        rid=rid,
        identity_claims=identity_claims,
        assurance=assurance,
    )
    for draft in prepared.drafts:
        log(draft.entry)
    return Issued(tuple(release(draft, key) for draft in prepared.drafts), prepared.left_out)
