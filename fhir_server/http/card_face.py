"""What is printed of a card for people: sentences in the reader's language, ready for a page or a PDF.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#via-qr-print-or-scan
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from fhir_server.domain.sentences import sentence
from fhir_server.languages import N_, day, say
from smart_health_cards import Dose, Report
from terminology import codes
from terminology.systems import CVX

_COLUMNS = (N_("Date"), N_("Against"), N_("Vaccine"), N_("Lot"), N_("Given by"))
_REDUCED = N_("reduced dose")
_SCAN = N_("Anybody can check this card, also offline, by scanning the code with a SMART Health Card verifier.")
_REVOKED = N_(
    "This card no longer counts: it was withdrawn, or the record was corrected after it was issued. Ask for a new card "
    "where you were vaccinated."
)
_EXPIRED = N_("This card has expired. Ask for a new card where you were vaccinated.")
_UNCONFIRMED = N_("This card can no longer be confirmed. Ask for a new card where you were vaccinated.")


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

    content = report.content
    if content is None:
        raise ValueError("the card cannot be read")
    notes = [
        say(N_("Issued by {issuer}"), language, {"issuer": content.iss}),
        say(N_("Issued on {day}"), language, {"day": _day_of(content.not_before)}),
    ]
    if content.expires is not None:
        notes.append(say(N_("Valid until {day}"), language, {"day": _day_of(content.expires)}))
    born = say(N_("Date of birth not stated"), language)
    if content.birth_date is not None:
        born = say(N_("Born {day}"), language, {"day": _written(content.birth_date, language)})
    return Face(
        language=language,
        title=say(N_("Vaccination card"), language),
        name=content.name or say(N_("No name stated"), language),
        born=born,
        columns=tuple(say(each, language) for each in _COLUMNS),
        doses=tuple(_row(dose, language) for dose in content.doses),
        notes=tuple(notes),
        scan=say(_SCAN, language),
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
        name += f", {say(_REDUCED, language)}"
    return _written(dose.date or "", language), against, name, dose.lot_number or "", dose.performer or ""


def _warning(report: Report, language: str) -> str | None:
    if report.verdict("revocation").status == "fail":
        return say(_REVOKED, language)
    if report.verdict("validity").code == "expired":
        return say(_EXPIRED, language)
    return None if report.accepted else say(_UNCONFIRMED, language)


def _written(value: str, language: str) -> str:
    """A FHIR date as people write it; a year or month alone as it stands."""
    try:
        return day(date.fromisoformat(value[:10]), language)
    except ValueError:
        return value


def _day_of(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
