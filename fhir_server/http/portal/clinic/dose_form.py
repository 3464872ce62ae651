"""The form of a dose: what was chosen, scanned or typed, what is wrong with it, and the Immunization it becomes.

https://hl7.org/fhir/R4/immunization.html

Pure. The lot comes from those of the day, or from a code; nothing that was typed is lost where something is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fhir_server.http.portal.clinic import packages
from fhir_server.http.portal.clinic.lots import Lot, Place, codings, manufacturer, of_package
from fhir_server.http.portal.questions import is_date
from fhir_server.languages import N_
from terminology import codes
from terminology.systems import CVX

SITES: Mapping[str, str] = {
    "LD": N_("Left upper arm (deltoid)"),
    "RD": N_("Right upper arm (deltoid)"),
    "LT": N_("Left thigh"),
    "RT": N_("Right thigh"),
}
ROUTES: Mapping[str, str] = {
    "IM": N_("Into the muscle"),
    "SC": N_("Under the skin"),
    "ID": N_("Into the skin"),
    "NS": N_("Into the nose"),
}
"""Codes of HL7's tables 0163 and 0162, in words to be translated."""
USUAL_ROUTE = "IM"
RECORDED = "recorded"
"""In place of a lot's key, when a dose is corrected: the product stays as it is recorded."""

PROBLEMS: Mapping[str, str] = {
    "missing": N_("This is needed."),
    "no-date": N_("This is no day of the calendar. Write it as year-month-day, such as 1980-02-03."),
    "in-future": N_("This day is yet to come."),
    "unknown": N_("This answer is none of those there are."),
    "unreadable": N_("This is neither a code of a package (GS1), nor an NDC, nor a lot of today."),
    "no-vaccine": N_("This package is not a vaccine that is known here."),
    "no-lot": N_("The code does not say the lot. Type its number."),
    "no-expiry": N_("The code does not say when the lot expires. Type the day."),
    "both": N_("None of these cannot be chosen together with one of these."),
    "too-long": N_("This is longer than 200 letters."),
    "lot-too-long": N_("A lot number has no more than 20 letters."),
    "nothing-typed": N_("Type a name, a date of birth, a telephone number or a number of the record first."),
    "unsure": N_("Say that the dose was not given to this person."),
    "no-phone": N_("This is no telephone number."),
    "no-email": N_("This is no e-mail address."),
}
"""What can be wrong with a field of these pages. To be translated."""

_SITE, _ROUTE = (f"http://terminology.hl7.org/CodeSystem/v2-{table}" for table in ("0163", "0162"))
_FUNCTION = "http://terminology.hl7.org/CodeSystem/v2-0443"
_UNITS = "http://unitsofmeasure.org"
_PRODUCT = ("vaccineCode", "manufacturer", "lotNumber", "expirationDate", "doseQuantity")
_LONGEST = 20
"""Letters of a lot number, as GS1 has it."""

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DoseForm:
    """What was filled in. `lot` is None where the product stays as recorded, and where something is wrong."""

    typed: Mapping[str, str]
    lot: Lot | None = None
    day: date | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    """By field: which of PROBLEMS it has."""


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gives the dose, and where: ids of Practitioner (may be empty) and Organization."""

    practitioner: str
    organization: str
    place: Place


def empty(lots: Sequence[Lot], today: date) -> DoseForm:
    """The form before anything is typed: what needs no choice is chosen."""
    typed = {"route": USUAL_ROUTE, "day": today.isoformat()}
    return DoseForm({**typed, "lot": lots[0].key} if len(lots) == 1 else typed)


def read(typed: Mapping[str, str], lots: Sequence[Lot], today: date) -> DoseForm:
    """What was typed, as far as it can be understood."""
    problems: dict[str, str] = {}
    for name, known in (("site", SITES), ("route", ROUTES)):
        chosen = typed.get(name, "")
        if chosen not in known:
            problems[name] = "unknown" if chosen else "missing"
    day = day_of(typed.get("day", ""))
    if day is None or day > today:
        problems["day"] = "in-future" if day else "no-date" if typed.get("day") else "missing"
    lot: Lot | None = None
    if typed.get("code", "").strip():
        lot = scanned(typed, lots, problems)
    elif typed.get("lot") != RECORDED:
        lot = next((each for each in lots if each.key == typed.get("lot")), None)
        if lot is None:
            problems["lot"] = "missing"
    return DoseForm(typed, lot, day, problems)


def scanned(typed: Mapping[str, str], lots: Sequence[Lot], problems: dict[str, str]) -> Lot | None:
    """The lot that `code` names, with `number` and `expires` where the code does not say them; what is wrong goes to
    `problems`."""
    code = typed["code"].strip()
    named = [lot for lot in lots if lot.number.casefold() == code.casefold()]
    if len(named) == 1:
        return named[0]
    package = packages.read(code)
    if package is None:
        problems["code"] = "unreadable"
        return None
    number = package.lot or typed.get("number", "").strip()
    of_it = [lot for lot in lots if lot.ndc == package.ndc and number in ("", lot.number)]
    if len(of_it) == 1:
        return of_it[0]
    expires = package.expires or day_of(typed.get("expires", ""))
    if not number or len(number) > _LONGEST:
        problems["number"] = "lot-too-long" if number else "no-lot"
    if expires is None:
        problems["expires"] = "no-date" if typed.get("expires") else "no-expiry"
    if not number or expires is None or problems.get("number"):
        return None
    lot = of_package(package.ndc, number, expires)
    if lot is None:
        problems["code"] = "no-vaccine"
    return lot


def given(form: DoseForm, patient: str, giver: Giver, identifier: Resource, now: datetime) -> Resource:
    """The Immunization of a form without problems; at this minute where the day is today."""
    assert form.day is not None
    actors = [
        *(
            [_performer("AP", "Administering Provider", f"Practitioner/{giver.practitioner}")]
            if giver.practitioner
            else []
        ),
        {"actor": {"reference": f"Organization/{giver.organization}"}},
    ]
    return {
        "resourceType": "Immunization",
        "identifier": [identifier],
        "status": "completed",
        **({} if form.lot is None else product(form.lot)),
        "patient": {"reference": f"Patient/{patient}"},
        "occurrenceDateTime": now.isoformat("T", "seconds") if form.day == now.date() else form.day.isoformat(),
        "recorded": now.isoformat("T", "seconds"),
        "primarySource": True,
        **({"location": {"reference": giver.place.reference}} if giver.place.id else {}),
        **_where(form),
        "performer": actors,
    }


def corrected(stored: Resource, form: DoseForm) -> Resource:
    """The recorded dose with what the form says; the time of day stays where the day does."""
    assert form.day is not None
    kept = {name: value for name, value in stored.items() if form.lot is None or name not in _PRODUCT}
    if str(stored.get("occurrenceDateTime", ""))[:10] != form.day.isoformat():
        kept.pop("occurrenceString", None)
        kept["occurrenceDateTime"] = form.day.isoformat()
        kept.pop("_occurrenceDateTime", None)
    return {**kept, **({} if form.lot is None else product(form.lot)), **_where(form)}


def recorded(stored: Resource) -> DoseForm:
    """The form with what is recorded."""
    typed = {
        "lot": RECORDED,
        "site": _code(stored.get("site"), _SITE),
        "route": _code(stored.get("route"), _ROUTE),
        "day": str(stored.get("occurrenceDateTime", ""))[:10],
    }
    return DoseForm(typed)


def product(lot: Lot) -> Resource:
    """The elements of an Immunization that say what was given."""
    ml = codes.table("cvx").get(lot.cvx, {}).get("ml")
    quantity = {"value": Decimal(ml), "unit": "mL", "system": _UNITS, "code": "mL"} if ml else None
    return {
        "vaccineCode": {"coding": list(codings(lot)), "text": lot.name},
        **({"manufacturer": manufacturer(lot)} if lot.mvx else {}),
        "lotNumber": lot.number,
        "expirationDate": lot.expires.isoformat(),
        **({"doseQuantity": quantity} if quantity else {}),
    }


def cvx_of(immunization: Mapping[str, Any]) -> str:
    """The CVX code of a dose; empty where it has none."""
    return _code(immunization.get("vaccineCode"), CVX)


def day_of(text: str) -> date | None:
    """The day that a field of type `date` says; None for anything else."""
    return date.fromisoformat(text) if is_date(text) else None


def _where(form: DoseForm) -> Resource:
    site, route = form.typed["site"], form.typed["route"]
    return {
        "site": {"coding": [{"system": _SITE, "code": site}]},
        "route": {"coding": [{"system": _ROUTE, "code": route}]},
    }


def _performer(code: str, display: str, reference: str) -> Resource:
    coding = {"system": _FUNCTION, "code": code, "display": display}
    return {"function": {"coding": [coding]}, "actor": {"reference": reference}}


def _code(concept: Mapping[str, Any] | None, system: str) -> str:
    codings = (concept or {}).get("coding", ())
    return str(next((each["code"] for each in codings if each.get("system") == system and "code" in each), ""))
