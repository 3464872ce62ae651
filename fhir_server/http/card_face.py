"""What is printed of a card for people: sentences in English or Spanish, ready for a page or a PDF.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#via-qr-print-or-scan
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from fhir_server.domain.sentences import day, sentence
from smart_health_cards import Dose, Report
from terminology import codes
from terminology.systems import CVX


@dataclass(frozen=True, slots=True)
class Face:
    """The texts of a card: who, the doses as rows under `columns`, and `warning` where the card no longer counts."""

    language: str
    title: str
    name: str
    born: str
    columns: tuple[str, ...]
    doses: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    scan: str
    warning: str | None


def face(report: Report, language: str) -> Face:
    """The face of a card that could be read, as `report` judges it now. ValueError for one that could not."""

    def say(key: str, **details: object) -> str:
        return sentence("card", key, language, details)

    content = report.content
    if content is None:
        raise ValueError("the card cannot be read")
    notes = [say("issuer", issuer=content.iss), say("issued", day=_day_of(content.not_before))]
    if content.expires is not None:
        notes.append(say("expires", day=_day_of(content.expires)))
    born = (
        say("born-unstated") if content.birth_date is None else say("born", day=_written(content.birth_date, language))
    )
    return Face(
        language=language,
        title=say("title"),
        name=content.name or say("no-name"),
        born=born,
        columns=tuple(say(key) for key in ("date", "against", "vaccine", "lot", "given-by")),
        doses=tuple(_row(dose, language) for dose in content.doses),
        notes=tuple(notes),
        scan=say("scan"),
        warning=_warning(report, language),
    )


def _row(dose: Dose, language: str) -> tuple[str, ...]:
    name, against = dose.code or "", ""
    if dose.code is not None and dose.system == CVX:
        groups = codes.vaccine_groups(dose.code)
        against = " · ".join(dict.fromkeys(sentence("vaccine-group", group, language, {}) for group in groups))
        try:
            name = f"{codes.lookup(CVX, dose.code).display} (CVX {dose.code})"
        except LookupError:
            name = f"CVX {dose.code}"
    if dose.subpotent:
        name += f", {sentence('card', 'reduced', language, {})}"
    return _written(dose.date or "", language), against, name, dose.lot_number or "", dose.performer or ""


def _warning(report: Report, language: str) -> str | None:
    if report.verdict("revocation").status == "fail":
        return sentence("card", "revoked", language, {})
    if report.verdict("validity").code == "expired":
        return sentence("card", "expired", language, {})
    return None if report.accepted else sentence("card", "unconfirmed", language, {})


def _written(value: str, language: str) -> str:
    """A FHIR date as people write it; a year or month alone as it stands."""
    try:
        return day(date.fromisoformat(value[:10]), language)
    except ValueError:
        return value


def _day_of(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
