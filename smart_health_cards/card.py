"""A card: drafted and checked, entered in the issuance log, signed, verified, released - in this order.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#issuer-generates-results
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_health_cards import jws, payload, profile, revocation
from smart_health_cards.error import CardError
from smart_health_cards.issuer import Issuer
from smart_health_cards.keys import SigningKey

__all__ = ["HEALTH_CARD", "IMMUNIZATION", "Card", "Draft", "LogEntry", "Placed", "draft", "release"]

HEALTH_CARD = "https://smarthealth.cards#health-card"
IMMUNIZATION = "https://smarthealth.cards#immunization"
FHIR_VERSION = "4.0.1"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a dose went: `position` in the sequence the caller gave, `resource` ("resource:2") in the Bundle."""

    position: int
    resource: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What the issuance log keeps of a card before it is signed: nothing about the person.

    `digest` is the SHA-256 of what is signed, in hexadecimal, so that a card found later is matched to its entry.
    """

    iss: str
    kid: str
    not_before: int
    expires: int | None
    rid: str | None
    group: str
    digest: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A card that met every rule and is not signed yet."""

    bundle: dict[str, Any]
    entry: LogEntry
    placed: tuple[Placed, ...]
    signing_input: bytes


@dataclass(frozen=True, slots=True)
class Card:
    """A released card. `bundle` is its FHIR Bundle, `placed` tells which dose became which resource of it."""

    jws: str
    bundle: dict[str, Any]
    entry: LogEntry
    placed: tuple[Placed, ...]


def draft(
    issuer: Issuer,
    kid: str,
    bundle: dict[str, Any],
    *,
    not_before: int,
    rid: str | None = None,
    group: str = "",
    placed: Sequence[Placed] = (),
) -> Draft:
    """Check a Bundle and pack it.

    CardError `profile-...` with the first rule of the allowable form it breaks, `nbf-not-integer`,
    `rid-malformed`, `payload-too-large`.
    """
    for finding in profile.check(bundle, issuer.code_allowed):
        if finding.severity == "error":
            raise CardError(f"profile-{finding.code}", f"{finding.expression}: {finding.text}")
    claims = _claims(issuer, bundle, not_before, rid)
    signing_input = jws.signing_input(kid, payload.pack(claims))
    digest = hashlib.sha256(signing_input).hexdigest()
    entry = LogEntry(issuer.iss, kid, not_before, claims.get("exp"), rid, group, digest)
    return Draft(bundle, entry, tuple(placed), signing_input)


def release(drafted: Draft, key: SigningKey) -> Card:
    """Sign, verify the own signature, hand out. CardError `key-mismatch`, `self-check-failed`."""
    if drafted.entry.kid != key.kid:
        raise CardError("key-mismatch", "The card was drafted for another key than the one to sign it.")
    return Card(jws.sign(drafted.signing_input, key), drafted.bundle, drafted.entry, drafted.placed)


def _claims(issuer: Issuer, bundle: Mapping[str, Any], not_before: int, rid: str | None) -> dict[str, Any]:
    if type(not_before) is not int:
        raise CardError("nbf-not-integer", "A card is valid from a whole number of seconds.")
    if rid is not None and not revocation.is_rid(rid):
        raise CardError("rid-malformed", "A rid is 1 to 24 characters of the base64url alphabet.")
    claims: dict[str, Any] = {"iss": issuer.iss, "nbf": not_before}
    if issuer.lifetime is not None:
        claims["exp"] = not_before + issuer.lifetime
    subject = {"fhirVersion": FHIR_VERSION, "fhirBundle": bundle}
    types = [HEALTH_CARD, IMMUNIZATION] if issuer.immunization_type else [HEALTH_CARD]
    claims["vc"] = {"type": types, "credentialSubject": subject}
    if rid is not None:
        claims["vc"]["rid"] = rid
    return claims
