"""Choices: the three things a person can say no to, each a Consent of its own.

https://hl7.org/fhir/R4/consent.html

They are never mixed: who declines the vaccine may still be written to, and who wants no letters may be vaccinated.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhir import dates
from fhir_server.http.portal.session import Visitor
from fhir_server.languages import N_
from fhir_server.operations.vocabulary import CONSENT_CATEGORY

KINDS: Mapping[str, tuple[str, str, str, str]] = {
    "decline-vaccine": (
        N_("The vaccine"),
        N_("I do not want the vaccine"),
        N_("I want the vaccine again"),
        N_("If you say so, you are not reminded and not invited. Those who treat you still see your record."),
    ),
    "no-contact": (
        N_("Messages"),
        N_("Do not write to me"),
        N_("You may write to me again"),
        N_("If you say so, you get no reminders. You can still be vaccinated."),
    ),
    "do-not-share": (
        N_("Sharing"),
        N_("Do not share my record"),
        N_("My record may be shared again"),
        N_("If you say so, your record is hidden from organizations other than those that wrote it."),
    ),
}
"""Category: a heading, the words to choose it, the words to take it back, and what it means. To be translated."""

_SCOPE = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}


async def chosen(visitor: Visitor, patient: str) -> dict[str, dict[str, Any]]:
    """The person's choices in force, by category."""
    found = await visitor.visit.entries("Consent", {"patient": patient, "status": "active"})
    kinds = {}
    for consent in found:
        for concept in consent.get("category", ()):
            for coding in concept.get("coding", ()):
                if coding.get("system") == CONSENT_CATEGORY and coding.get("code") in KINDS:
                    kinds[coding["code"]] = consent
    return kinds


async def choose(visitor: Visitor, patient: str, kind: str) -> None:
    """Say no to this. Choosing twice changes nothing."""
    if kind in await chosen(visitor, patient):
        return
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [_SCOPE]},
        "category": [{"coding": [{"system": CONSENT_CATEGORY, "code": kind}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": dates.now(),
        "policyRule": {"text": KINDS[kind][1]},
        "provision": {"type": "deny"},
    }
    await visitor.visit.post("Consent", consent)


async def take_back(visitor: Visitor, patient: str, kind: str) -> None:
    """Allow it again; the choice stays on record as one that was made."""
    consent = (await chosen(visitor, patient)).get(kind)
    if consent is not None:
        await visitor.visit.put({**consent, "status": "inactive"})
