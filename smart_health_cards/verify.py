"""Verifying: every presented card gets a report, whatever was presented; nothing is fetched, nothing is kept.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier
"""

import math
from collections.abc import Mapping
from typing import Any

from smart_health_cards import jws, payload, presentation, profile
from smart_health_cards.card import HEALTH_CARD
from smart_health_cards.directory import TrustedIssuer, TrustedKey, TrustList
from smart_health_cards.error import CardError
from smart_health_cards.issuer import check_iss
from smart_health_cards.report import CHECKS, Report, Status, Verdict, bundle
from smart_health_cards.revocation import is_rid
from smart_health_cards.shape import members

__all__ = ["verify"]

_MILLISECONDS = 100_000_000_000
"""Seconds up to here reach the year 5138; a larger number was meant as milliseconds."""

_MISLEADING = frozenset({"status-not-completed", "patient-count", "patient-reference"})
"""Breaches of the profile under which a card does not show that this person got this dose."""


# What most cards get, made once.
_WELL_FORMED = Verdict("format", "pass", "well-formed", "The card is well-formed.")
_SIGNED = Verdict("signature", "pass", "signed", "The signature is right.")
_IN_FORCE = Verdict("validity", "pass", "in-force", "The card is in force.")
_NO_RID = Verdict("revocation", "pass", "no-rid", "The card is not of a kind that is revoked by itself.")
_NOT_REVOKED = Verdict("revocation", "pass", "not-revoked", "The card is not revoked.")
_TRUSTED = Verdict("trust", "pass", "issuer-trusted", "The issuer is trusted.")
_MINIMAL = Verdict("profile", "pass", "minimal-form", "The card meets the vaccination profile.")


def verify(data: bytes | str, trust: TrustList, at: float, *, leeway: int = 0, chunks: bool = False) -> list[Report]:
    """A report for each card in `data`; at least one, and never an exception, whatever `data` is.

    `data`: a JWS, `shc:/` text, a `.smart-health-card` file's content, a deep link, or a PNG or JPEG. `at`: the
    moment to verify for, in Unix seconds. `leeway`: seconds by which clocks may differ. `chunks`: accept a card spread
    over several QR codes (deprecated).
    """
    try:
        presented = presentation.cards(data, chunks=chunks)
    except CardError as error:
        return [_unreadable(error)]
    return [
        _unreadable(card) if isinstance(card, CardError) else _report(card, trust, at, leeway) for card in presented
    ]


def _report(text: str, trust: TrustList, at: float, leeway: int) -> Report:
    try:
        parts = jws.split(text)
        claims = payload.unpack(parts.payload)
        _check_claims(claims, trust)
    except CardError as error:
        return _unreadable(error)
    issuer = trust.issuers.get(claims["iss"])
    key = issuer.keys.get(parts.kid) if issuer is not None else None
    verdicts = (
        _WELL_FORMED,
        _signature(parts, issuer, key),
        _validity(claims, at, leeway),
        _revocation(claims, key),
        _trust(issuer),
        _profile(bundle(claims)),
    )
    return Report(verdicts, claims, issuer.name if issuer is not None else None)


def _unreadable(error: CardError) -> Report:
    text = "This was not checked, because the card could not be read."
    rest = (Verdict(check, "unknown", "not-checked", text) for check in CHECKS[1:])
    return Report((Verdict("format", "fail", error.code, error.text), *rest))


def _check_claims(claims: Mapping[str, Any], trust: TrustList) -> None:
    """CardError names the first claim that is not well-formed."""
    iss = claims.get("iss")
    # Whose keys are on the list has been looked at; of a development server, somebody put them there by hand.
    if not isinstance(iss, str) or iss not in trust.issuers:
        check_iss(iss)
    if "nbf" not in claims:
        raise CardError("nbf-missing", "The card does not say when it was issued (nbf).")
    _seconds(claims, "nbf")
    if "exp" in claims:
        _seconds(claims, "exp")
    vc = members(claims.get("vc"))
    types, subject = vc.get("type"), members(vc.get("credentialSubject"))
    if not isinstance(types, list) or HEALTH_CARD not in types:
        raise CardError("type-not-health-card", "The signed content does not call itself a SMART Health Card.")
    if not isinstance(subject.get("fhirVersion"), str):
        raise CardError("fhir-version-missing", "The card does not say which version of FHIR it uses.")
    if members(subject.get("fhirBundle")).get("resourceType") != "Bundle":
        raise CardError("fhir-bundle-missing", "The card holds no FHIR Bundle.")
    if "rid" in vc and not is_rid(vc["rid"]):
        raise CardError("rid-malformed", "The card's revocation identifier is malformed.")


def _seconds(claims: Mapping[str, Any], claim: str) -> None:
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise CardError(f"{claim}-not-number", f"The time in {claim} is not a number of seconds.")
    if value > _MILLISECONDS:
        raise CardError(f"{claim}-in-milliseconds", f"The time in {claim} counts milliseconds instead of seconds.")


def _signature(parts: jws.Parts, issuer: TrustedIssuer | None, known: TrustedKey | None) -> Verdict:
    if len(parts.signature) != 64:
        # A DER sequence says how long it is; a part of any other signature may begin with the same byte.
        if parts.signature[:2] == bytes((0x30, len(parts.signature) - 2 & 0xFF)):
            return Verdict("signature", "fail", "signature-der", "The signature is in DER form, which JWS do not use.")
        return Verdict("signature", "fail", "signature-length", "The signature is not 64 bytes long.")
    if issuer is None:
        text = "The signature cannot be checked, for the issuer is not on the list."
        return Verdict("signature", "unknown", "issuer-unknown", text)
    if known is None:
        text = "The issuer has no such key, or has withdrawn it."
        return Verdict("signature", "fail", "key-unknown", text)
    if not known.key.verifies(parts.signature, parts.signing_input):
        text = "The signature is wrong: the card was changed, or is not from this issuer."
        return Verdict("signature", "fail", "signature-wrong", text)
    return _SIGNED


def _validity(claims: Mapping[str, Any], at: float, leeway: int) -> Verdict:
    if claims["nbf"] > at + leeway:
        return Verdict("validity", "fail", "not-yet-valid", "The card is dated in the future.")
    if "exp" in claims and claims["exp"] <= at - leeway:
        return Verdict("validity", "fail", "expired", "The card has expired.")
    return _IN_FORCE


def _revocation(claims: Mapping[str, Any], known: TrustedKey | None) -> Verdict:
    rid = claims["vc"].get("rid")
    if known is None:
        text = "Whether the card is revoked cannot be checked without its key."
        return Verdict("revocation", "unknown", "key-unknown", text)
    if known.revocations is not None and rid is not None and known.revocations.revokes(rid, claims["nbf"]):
        return Verdict("revocation", "fail", "revoked", "The issuer has revoked the card.")
    if rid is None:
        return _NO_RID
    if known.crl_version is None and known.revocations is None:
        return Verdict("revocation", "pass", "no-list-published", "The issuer publishes no revocations for this key.")
    if known.revocations is None:
        text = "The issuer publishes revocations, but the list is not at hand."
        return Verdict("revocation", "unknown", "list-missing", text)
    if known.crl_version is not None and known.revocations.ctr < known.crl_version:
        text = "The revocation list at hand is older than the issuer's."
        return Verdict("revocation", "unknown", "list-outdated", text)
    return _NOT_REVOKED


def _trust(issuer: TrustedIssuer | None) -> Verdict:
    if issuer is None:
        return Verdict("trust", "fail", "issuer-unknown", "The issuer is not on the list of trusted issuers.")
    if not issuer.trusted:
        return Verdict("trust", "fail", "issuer-not-trusted", "The issuer's keys are known, but it is not trusted.")
    return _TRUSTED


def _profile(found: Mapping[str, Any]) -> Verdict:
    findings = profile.check(found)
    if not findings:
        return _MINIMAL
    if found.get("type") == "document" or any(finding.code == "no-immunization" for finding in findings):
        return Verdict("profile", "unknown", "not-a-vaccination-card", "The card is not one of vaccinations.")
    breaches = [finding for finding in findings if finding.severity == "error"]
    for finding in sorted(breaches, key=lambda finding: finding.code not in _MISLEADING):
        status: Status = "fail" if finding.code in _MISLEADING else "warning"
        return Verdict("profile", status, finding.code, f"{finding.expression}: {finding.text}")
    return Verdict("profile", "pass", "allowable-form", "The card says more than a minimal one would.")
