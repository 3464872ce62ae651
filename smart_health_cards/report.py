"""Report: what a verifier says about one card - a verdict for each check - and what the card says.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smart_health_cards.shape import is_text, members, objects

__all__ = ["CHECKS", "Check", "Content", "Dose", "Report", "Status", "Verdict", "bundle"]

Check = Literal["format", "signature", "validity", "revocation", "trust", "profile"]
Status = Literal["pass", "warning", "unknown", "fail"]
CHECKS: tuple[Check, ...] = ("format", "signature", "validity", "revocation", "trust", "profile")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check. `code` is stable; `unknown` means that it could not be made."""

    check: Check
    status: Status
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Dose:
    """One Immunization as the card gives it; what the card does not say is None."""

    status: str | None
    system: str | None
    code: str | None
    date: str | None
    lot_number: str | None
    performer: str | None
    subpotent: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What a card says, for display. It is proved only as far as the verdicts beside it say.

    `not_before` and `expires` are Unix seconds; `issuer_name` is the trust list's, never the card's own.
    """

    iss: str
    issuer_name: str | None
    not_before: float
    expires: float | None
    types: tuple[str, ...]
    name: str | None
    birth_date: str | None
    doses: tuple[Dose, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The six verdicts on one card, in the order of CHECKS, and its claims where the format could be read.

    `issuer_name` is what the trust list calls the issuer.
    """

    verdicts: tuple[Verdict, ...]
    claims: Mapping[str, Any] | None = None
    issuer_name: str | None = None

    @property
    def bundle(self) -> Mapping[str, Any] | None:
        """The card's FHIR Bundle."""
        return None if self.claims is None else bundle(self.claims)

    @property
    def content(self) -> Content | None:
        """What the card says, for display; read anew each time, for most verifiers only ask whether it is accepted."""
        return None if self.claims is None else _content(self.claims, self.issuer_name)

    @property
    def accepted(self) -> bool:
        """Whether the card proves what it says: well-formed, signed, in force, by a trusted issuer, nothing failed.

        A revocation list that is not at hand does not count against a card; see its verdict.
        """
        form, signature, validity, revocation, trust, profile = (verdict.status for verdict in self.verdicts)
        proved = form == signature == validity == trust == "pass"
        return proved and revocation != "fail" and profile != "fail"

    def verdict(self, check: Check) -> Verdict:
        """The verdict of one check."""
        return next(verdict for verdict in self.verdicts if verdict.check == check)


def bundle(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """The FHIR Bundle of well-formed claims."""
    found: Mapping[str, Any] = claims["vc"]["credentialSubject"]["fhirBundle"]
    return found


def _content(claims: Mapping[str, Any], issuer_name: str | None) -> Content:
    # The claims are well-formed; of what stands in the Bundle, only what can be shown is taken.
    resources = [members(entry.get("resource")) for entry in objects(bundle(claims).get("entry"))]
    patient = next((found for found in resources if found.get("resourceType") == "Patient"), {})
    return Content(
        iss=claims["iss"],
        issuer_name=issuer_name,
        not_before=claims["nbf"],
        expires=claims.get("exp"),
        types=tuple(kind for kind in claims["vc"]["type"] if isinstance(kind, str)),
        name=_name(patient),
        birth_date=_text(patient, "birthDate"),
        doses=tuple(_dose(found) for found in resources if found.get("resourceType") == "Immunization"),
    )


def _dose(dose: Mapping[str, Any]) -> Dose:
    coding = next(iter(objects(members(dose.get("vaccineCode")).get("coding"))), {})
    performer = next(iter(objects(dose.get("performer"))), {})
    return Dose(
        status=_text(dose, "status"),
        system=_text(coding, "system"),
        code=_text(coding, "code"),
        date=_text(dose, "occurrenceDateTime"),
        lot_number=_text(dose, "lotNumber"),
        performer=_text(members(performer.get("actor")), "display"),
        subpotent=dose.get("isSubpotent") is True,
    )


def _name(patient: Mapping[str, Any]) -> str | None:
    name = next(iter(objects(patient.get("name"))), {})
    words = [*_texts(name.get("prefix")), *_texts(name.get("given"))]
    words += [family] if (family := _text(name, "family")) else []
    return " ".join(words + _texts(name.get("suffix"))) or _text(name, "text")


def _texts(value: object) -> list[str]:
    return [text for text in value if is_text(text)] if isinstance(value, list) else []


def _text(value: Mapping[str, Any], element: str) -> str | None:
    text = value.get(element)
    return text if isinstance(text, str) and is_text(text) else None
