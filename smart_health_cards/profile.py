"""The vaccination profile: what may stand on a card, in its allowable and its minimal form.

https://hl7.org/fhir/uv/shc-vaccination/profiles.html
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from smart_health_cards.shape import members, objects

__all__ = ["CVX", "ICD_11", "SNOMED_CT", "VACCINE_SYSTEMS", "CodeAllowed", "Finding", "check", "day"]

CVX = "http://hl7.org/fhir/sid/cvx"
SNOMED_CT = "http://snomed.info/sct"
ICD_11 = "http://id.who.int/icd11/mms"
VACCINE_SYSTEMS = (CVX, SNOMED_CT, ICD_11)
"""The code systems a vaccine may be named in, the preferred one first."""

IAL = "https://smarthealth.cards/ial"
IAL_CODES = ("IAL1.2", "IAL1.4", "IAL2", "IAL3")

CodeAllowed = Callable[[str, str], bool]

_NEVER_ON_PATIENT = ("gender", "identifier", "telecom", "address", "photo", "contact")
_NEVER_ON_IMMUNIZATION = ("protocolApplied", "statusReason")
# What is judged somewhere below, and so is not reported as merely more than minimal.
_JUDGED_BUNDLE = {"resourceType", "type", "entry"}
_JUDGED_ENTRY = {"fullUrl", "resource"}
_JUDGED_RESOURCE = {"resourceType", "id", "meta", "text"}
_JUDGED_PATIENT = _JUDGED_RESOURCE | {"name", "birthDate", *_NEVER_ON_PATIENT}
_JUDGED_NAME = {"family", "given", "prefix", "suffix", "text"}
_JUDGED_IMMUNIZATION = _JUDGED_RESOURCE | {
    *("status", "vaccineCode", "patient", "occurrenceDateTime", "lotNumber", "performer", "isSubpotent"),
    *_NEVER_ON_IMMUNIZATION,
}
_JUDGED_CODING = {"system", "code", "display"}
_RESOURCE_URI = re.compile(r"resource:(?:0|[1-9][0-9]*)")
_DATE_TIME = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2}))?)?)?")
_DAY_CHARACTERS = len("YYYY-MM-DD")
_LOT_LIMIT, _PERFORMER_LIMIT = 20, 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule of the profile that is not met.

    `error` breaks the allowable form: such content is never signed. `warning` is allowed but not minimal.
    `expression` is a FHIRPath from the Bundle, such as `Bundle.entry[1].resource.status`.
    """

    code: str
    expression: str
    text: str
    severity: Literal["error", "warning"] = "error"


def check(bundle: Mapping[str, Any], code_allowed: CodeAllowed | None = None) -> list[Finding]:
    """Every rule the Bundle does not meet; empty for a minimal one. Takes any JSON object without raising."""
    return list(_bundle(bundle, code_allowed))


def day(value: object) -> str | None:
    """The calendar day of a FHIR date or dateTime as written, as precise as it is; None when it is no real day."""
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        return None
    written = value[:_DAY_CHARACTERS]
    try:
        date.fromisoformat(written + "-01-01"[len(written) - 4 :])
    except ValueError:
        return None
    return written


def _bundle(bundle: Mapping[str, Any], code_allowed: CodeAllowed | None) -> Iterator[Finding]:
    if bundle.get("type") != "collection":
        yield Finding("bundle-type", "Bundle.type", "The Bundle is not a collection.")
    if not bundle.keys() <= _JUDGED_BUNDLE:
        yield from _beyond(bundle, _JUDGED_BUNDLE, "Bundle")
    patients: list[str] = []
    doses: list[tuple[Mapping[str, Any], str]] = []
    urls: set[str] = set()
    for position, entry in enumerate(objects(bundle.get("entry"))):
        place, resource = f"Bundle.entry[{position}]", members(entry.get("resource"))
        url = entry.get("fullUrl")
        if not isinstance(url, str) or not _RESOURCE_URI.fullmatch(url) or url in urls:
            yield Finding("full-url", f"{place}.fullUrl", "An entry's fullUrl is not resource:N, or not its own.")
        urls.add(str(url))
        if not entry.keys() <= _JUDGED_ENTRY:
            yield from _beyond(entry, _JUDGED_ENTRY, place)
        yield from _not_minified(resource, f"{place}.resource")
        match resource.get("resourceType"):
            case "Patient":
                patients.append(str(url))
                yield from _patient(resource, f"{place}.resource")
            case "Immunization":
                doses.append((resource, f"{place}.resource"))
            case _:
                text = "A vaccination card holds a Patient and Immunizations only."
                yield Finding("other-resource", f"{place}.resource", text, "warning")
    if len(patients) != 1:
        yield Finding("patient-count", "Bundle.entry", "The card is not about exactly one Patient.")
    if not doses:
        yield Finding("no-immunization", "Bundle.entry", "The card holds no Immunization.")
    for dose, place in doses:
        yield from _immunization(dose, place, patients[0] if patients else "", code_allowed)


def _patient(patient: Mapping[str, Any], place: str) -> Iterator[Finding]:
    for element in _NEVER_ON_PATIENT:
        if element in patient:
            yield Finding(f"patient-{element}", f"{place}.{element}", f"A card never carries the person's {element}.")
    if not patient.keys() <= _JUDGED_PATIENT:
        yield from _beyond(patient, _JUDGED_PATIENT, place)
    names = objects(patient.get("name"))
    if not names:
        yield Finding("name-missing", f"{place}.name", "The Patient has no name.")
    if len(names) > 1:
        yield Finding("name-count", f"{place}.name", "One name is enough.", "warning")
    for position, name in enumerate(names):
        where = f"{place}.name[{position}]"
        if not any(name.get(part) for part in ("family", "given", "text")):
            yield Finding("name-empty", where, "The name has neither family, given nor text.")
        if not name.keys() <= _JUDGED_NAME:
            yield from _beyond(name, _JUDGED_NAME, where)
    if "birthDate" not in patient:
        yield Finding("birth-date-missing", f"{place}.birthDate", "The Patient has no date of birth.", "warning")
    elif day(patient["birthDate"]) != patient["birthDate"]:
        yield Finding("birth-date-invalid", f"{place}.birthDate", "The date of birth is not a real date.")


def _immunization(
    dose: Mapping[str, Any], place: str, patient: str, code_allowed: CodeAllowed | None
) -> Iterator[Finding]:
    if dose.get("status") != "completed":
        yield Finding("status-not-completed", f"{place}.status", "The dose is not recorded as completed.")
    for element in _NEVER_ON_IMMUNIZATION:
        if element in dose:
            yield Finding("element-not-allowed", f"{place}.{element}", f"A card never carries {element}.")
    if not dose.keys() <= _JUDGED_IMMUNIZATION:
        yield from _beyond(dose, _JUDGED_IMMUNIZATION, place)
    yield from _vaccine_code(members(dose.get("vaccineCode")), f"{place}.vaccineCode", code_allowed)
    reference = members(dose.get("patient"))
    if reference.get("reference") != patient:
        yield Finding("patient-reference", f"{place}.patient", "The dose does not point to the card's Patient.")
    if len(reference) > 1:
        text = "The dose says more of the Patient than where it stands on the card."
        yield Finding("patient-reference-more", f"{place}.patient", text)
    yield from _occurrence(dose, place)
    yield from _lot_number(dose, f"{place}.lotNumber")
    yield from _performer(dose, f"{place}.performer")
    if dose.get("isSubpotent", True) is not True:
        text = "isSubpotent is stated only when it is true."
        yield Finding("subpotent-not-true", f"{place}.isSubpotent", text)


def _vaccine_code(concept: Mapping[str, Any], place: str, code_allowed: CodeAllowed | None) -> Iterator[Finding]:
    codings = objects(concept.get("coding"))
    if not codings:
        yield Finding("vaccine-code-missing", place, "The vaccine has no code.")
    if len(codings) > 1:
        yield Finding("vaccine-code-many", place, "One code for the vaccine is enough.", "warning")
    systems = [coding.get("system") for coding in codings]
    for position, coding in enumerate(codings):
        where, system, code = f"{place}.coding[{position}]", coding.get("system"), coding.get("code")
        if not coding.keys() <= _JUDGED_CODING:
            yield from _beyond(coding, _JUDGED_CODING, where)
        if not isinstance(system, str) or system not in VACCINE_SYSTEMS:
            yield Finding("vaccine-code-system", where, "The vaccine's code is not of CVX, SNOMED CT or ICD-11.")
        elif systems.count(system) > 1:
            yield Finding("vaccine-code-repeated", where, "The vaccine has two codes of the same system.")
        elif not isinstance(code, str) or not code:
            yield Finding("vaccine-code-empty", where, "The vaccine's coding has no code.")
        elif code_allowed is not None and not code_allowed(system, code):
            yield Finding("vaccine-code-not-allowed", where, "The code does not name a vaccine.")


def _occurrence(dose: Mapping[str, Any], place: str) -> Iterator[Finding]:
    where = f"{place}.occurrenceDateTime"
    if "occurrenceDateTime" not in dose:
        yield Finding("occurrence-missing", f"{place}.occurrence", "The dose has no date.")
    elif (given := day(dose["occurrenceDateTime"])) is None:
        yield Finding("occurrence-invalid", where, "The date of the dose is not a real date.")
    elif given != dose["occurrenceDateTime"] or len(given) != _DAY_CHARACTERS:
        yield Finding("occurrence-precision", where, "The date of the dose is not just a day.", "warning")


def _lot_number(dose: Mapping[str, Any], place: str) -> Iterator[Finding]:
    lot = dose.get("lotNumber", "")
    if not isinstance(lot, str):
        yield Finding("lot-number-invalid", place, "The lot number is not a text.")
        return
    if len(lot) >= _LOT_LIMIT:
        yield Finding("lot-number-long", place, "The lot number has 20 characters or more.", "warning")
    if "lot" in lot.casefold():
        yield Finding("lot-number-word", place, "The lot number repeats the word lot.", "warning")


def _performer(dose: Mapping[str, Any], place: str) -> Iterator[Finding]:
    performers = objects(dose.get("performer"))
    if len(performers) > 1:
        yield Finding("performer-count", place, "A dose names at most one performer.")
    for position, performer in enumerate(performers):
        where, actor = f"{place}[{position}]", members(performer.get("actor"))
        display = actor.get("display")
        if not isinstance(display, str) or not display:
            yield Finding("performer-display-missing", f"{where}.actor.display", "The performer has no name.")
        elif len(display) >= _PERFORMER_LIMIT:
            text = "The performer's name has 30 characters or more."
            yield Finding("performer-display-long", f"{where}.actor.display", text, "warning")
        if not performer.keys() <= {"actor"}:
            yield from _beyond(performer, {"actor"}, where)
        if not actor.keys() <= {"display"}:
            yield from _beyond(actor, {"display"}, f"{where}.actor")


def _not_minified(resource: Mapping[str, Any], place: str) -> Iterator[Finding]:
    for element in ("id", "text"):
        if element in resource:
            yield Finding("not-minified", f"{place}.{element}", f"A card in a QR code carries no {element}.")
    if "meta" in resource:
        yield from _meta(resource["meta"], f"{place}.meta")
    for element, value in resource.items():
        if not isinstance(value, dict | list):
            continue
        for concept in objects(value) if isinstance(value, list) else (value,):
            if "coding" not in concept:
                continue
            if "text" in concept or any("display" in coding for coding in objects(concept["coding"])):
                text = "A card in a QR code carries codes without their text or display."
                yield Finding("not-minified", f"{place}.{element}", text)


def _meta(meta: object, place: str) -> Iterator[Finding]:
    if not isinstance(meta, dict) or meta.keys() != {"security"}:
        yield Finding("not-minified", place, "A card in a QR code carries no meta but meta.security.")
    labels = objects(members(meta).get("security"))
    if len(labels) > 1 or any(label.get("system") != IAL or label.get("code") not in IAL_CODES for label in labels):
        text = "The only label of a card is one of identity assurance: IAL1.2, IAL1.4, IAL2 or IAL3."
        yield Finding("security-label", f"{place}.security", text)


def _beyond(value: Mapping[str, Any], judged: set[str], place: str) -> Iterator[Finding]:
    for element in sorted(value.keys() - judged):
        text = f"{element} is more than a minimal card carries."
        yield Finding("not-minimal", f"{place}.{element}", text, "warning")
