"""Verdicts in plain words: may I rely on this card, and if not, why.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier
"""

from collections.abc import Mapping
from typing import Literal

from fhir_server.languages import N_
from smart_health_cards import Report

Outcome = Literal["valid", "unsure", "invalid"]


HEADINGS: Mapping[Outcome, str] = {
    "valid": N_("This card is valid"),
    "unsure": N_("We cannot tell whether this card is valid"),
    "invalid": N_("Do not rely on this card"),
}

_PARTS = N_("This is a part of a card that was made of several codes. Paste the texts of all of them together.")
_REASONS: Mapping[str, str] = {
    "revoked": N_("The issuer has withdrawn it. The holder can ask for a new one."),
    "expired": N_("It has expired. The holder can ask for a new one."),
    "not-yet-valid": N_("It is dated in the future."),
    "signature-wrong": N_("Its signature is wrong: it was changed, or somebody else made it."),
    "signature-der": N_("Its signature is not written the way cards have it."),
    "signature-length": N_("Its signature is not written the way cards have it."),
    "key-unknown": N_("Its issuer does not have the key it was signed with, or has withdrawn that key."),
    "issuer-unknown": N_("It can be read, but its issuer is not on our list, so nobody vouches for it here."),
    "issuer-not-trusted": N_("Its issuer is known, but not one that is trusted here."),
    "list-missing": N_("Whether its issuer has withdrawn it could not be checked."),
    "list-outdated": N_("Whether its issuer has withdrawn it could only be checked for an earlier day."),
    "status-not-completed": N_("A dose on it is not recorded as given."),
    "patient-count": N_("It is not about exactly one person."),
    "patient-reference": N_("A dose on it belongs to somebody else."),
    "not-a-vaccination-card": N_("It is a health card, but not one of vaccinations."),
    "picture-without-card": N_("The picture shows no code of a health card. Try again, closer and in good light."),
    "picture-unreadable": N_("The picture cannot be read. Please take a PNG or JPEG."),
    "presentation-unknown": N_("The picture cannot be read. Please take a PNG or JPEG."),
    "picture-too-large": N_("The picture is too large. Please take a smaller one."),
    "picture-reader-missing": N_("Pictures cannot be read here at the moment. Please paste the text."),
    "presentation-empty": N_("There was nothing to check."),
    "presentation-too-large": N_("That is more than can be checked at once."),
    "chunked": _PARTS,
    "chunk-malformed": _PARTS,
    "chunk-missing": _PARTS,
    "link-not-card": N_("This is a link that leads to cards. Open it first, and check the card itself."),
}
_UNREADABLE = N_("It cannot be read as a health card: it is damaged, incomplete, or something else.")
_PARTLY = N_("It could not be checked in full.")
_UNSURE = frozenset({"issuer-unknown"})
_NOT_SEEN = frozenset(
    {
        *("picture-without-card", "picture-unreadable", "picture-too-large", "picture-reader-missing"),
        *(
            "presentation-unknown",
            "presentation-empty",
            "presentation-too-large",
            "chunked",
            "chunk-missing",
            "link-not-card",
        ),
    }
)
"""Nothing of the card itself was seen, so nothing speaks against it."""


def outcome(report: Report) -> tuple[Outcome, tuple[str, ...]]:
    """Whether the card may be relied on, and the reasons that speak against it, as sentences to be translated."""
    failed = [verdict for verdict in report.verdicts if verdict.status == "fail"]
    if report.accepted:
        doubts = [verdict for verdict in report.verdicts if verdict.status == "unknown"]
        return "valid", tuple(dict.fromkeys(_REASONS.get(verdict.code, _PARTLY) for verdict in doubts))
    if failed and failed[0].check == "format":
        found: Outcome = "unsure" if failed[0].code in _NOT_SEEN else "invalid"
        return found, (_REASONS.get(failed[0].code, _UNREADABLE),)
    reasons = tuple(dict.fromkeys(_REASONS.get(verdict.code, _PARTLY) for verdict in failed)) or (_PARTLY,)
    serious = [verdict for verdict in failed if verdict.code not in _UNSURE]
    return ("invalid" if serious else "unsure"), reasons
