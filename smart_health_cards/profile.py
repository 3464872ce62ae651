"""The vaccination profile: what may stand on a card, in its allowable and its minimal form.

https://hl7.org/fhir/uv/shc-vaccination/profiles.html
"""

import re
from collections.abc import Callable, Mapping, Set
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
# The elements of the minimal form: the rules for each of these stand below.
_BUNDLE = frozenset({"resourceType", "type", "entry"})
_ENTRY = frozenset({"fullUrl", "resource"})
_PATIENT = frozenset({"resourceType", "name", "birthDate"})
_NAME = frozenset({"family", "given", "prefix", "suffix", "text"})
_IMMUNIZATION = frozenset(
    ("resourceType", "status", "vaccineCode", "patient", "occurrenceDateTime", "lotNumber", "performer", "isSubpotent")
)
_CODING = frozenset({"system", "code"})
_PERFORMER = frozenset({"actor"})
_ACTOR = frozenset({"display"})
# Elements with rules of their own, and so not reported as merely more than minimal.
_JUDGED = {"id", "text", "meta"}
_JUDGED_PATIENT = _PATIENT | _JUDGED | {*_NEVER_ON_PATIENT}
_JUDGED_IMMUNIZATION = _IMMUNIZATION | _JUDGED | {*_NEVER_ON_IMMUNIZATION}
_JUDGED_CODING = _CODING | {"display"}
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
    findings: list[Finding] = []
    if bundle.get("type") != "collection":
        findings.append(Finding("bundle-type", "Bundle.type", "The Bundle is not a collection."))
    if not _BUNDLE.issuperset(bundle):
        findings += _beyond(bundle, _BUNDLE, "Bundle")
    patients: list[str] = []
    doses: list[_Resource] = []
    urls: set[str] = set()
    for position, entry in enumerate(objects(bundle.get("entry"))):
        resource = _Resource(members(entry.get("resource")), position, findings)
        url = entry.get("fullUrl")
        if not isinstance(url, str) or url in urls or not _RESOURCE_URI.fullmatch(url):
            text = "An entry's fullUrl is not resource:N, or not its own."
            findings.append(Finding("full-url", f"Bundle.entry[{position}].fullUrl", text))
        urls.add(str(url))
        if not _ENTRY.issuperset(entry):
            findings += _beyond(entry, _ENTRY, f"Bundle.entry[{position}]")
        match resource.content.get("resourceType"):
            case "Patient":
                patients.append(str(url))
                _minified(resource, _PATIENT)
                _patient(resource)
            case "Immunization":
                doses.append(resource)
                _minified(resource, _IMMUNIZATION)
            case _:
                _minified(resource, frozenset({"resourceType"}))
                text = "A vaccination card holds a Patient and Immunizations only."
                findings.append(Finding("other-resource", f"Bundle.entry[{position}].resource", text, "warning"))
    if len(patients) != 1:
        findings.append(Finding("patient-count", "Bundle.entry", "The card is not about exactly one Patient."))
    if not doses:
        findings.append(Finding("no-immunization", "Bundle.entry", "The card holds no Immunization."))
    for dose in doses:
        _immunization(dose, patients[0] if patients else "", code_allowed)
    return findings


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


class _Resource:
    """A resource of the Bundle, and what is found in it: only then is its place put into words."""

    __slots__ = ("_findings", "_position", "content")

    def __init__(self, content: Mapping[str, Any], position: int, findings: list[Finding]) -> None:
        self.content = content
        self._position = position
        self._findings = findings

    def error(self, code: str, place: str, text: str) -> None:
        self._findings.append(Finding(code, self._expression(place), text))

    def warning(self, code: str, place: str, text: str) -> None:
        self._findings.append(Finding(code, self._expression(place), text, "warning"))

    def beyond(self, value: Mapping[str, Any], judged: Set[str], place: str = "") -> None:
        self._findings += _beyond(value, judged, self._expression(place))

    def _expression(self, place: str) -> str:
        return f"Bundle.entry[{self._position}].resource" + (place and f".{place}")


def _patient(resource: _Resource) -> None:
    patient = resource.content
    if not _PATIENT.issuperset(patient):
        for element in _NEVER_ON_PATIENT:
            if element in patient:
                resource.error(f"patient-{element}", element, f"A card never carries the person's {element}.")
        resource.beyond(patient, _JUDGED_PATIENT)
    names = objects(patient.get("name"))
    if not names:
        resource.error("name-missing", "name", "The Patient has no name.")
    if len(names) > 1:
        resource.warning("name-count", "name", "One name is enough.")
    for position, name in enumerate(names):
        if not (name.get("family") or name.get("given") or name.get("text")):
            text = "The name has neither family, given nor text."
            resource.error("name-empty", f"name[{position}]", text)
        if not _NAME.issuperset(name):
            resource.beyond(name, _NAME, f"name[{position}]")
    if "birthDate" not in patient:
        resource.warning("birth-date-missing", "birthDate", "The Patient has no date of birth.")
    elif day(patient["birthDate"]) != patient["birthDate"]:
        resource.error("birth-date-invalid", "birthDate", "The date of birth is not a real date.")


def _immunization(resource: _Resource, patient: str, code_allowed: CodeAllowed | None) -> None:
    dose = resource.content
    if dose.get("status") != "completed":
        resource.error("status-not-completed", "status", "The dose is not recorded as completed.")
    if not _IMMUNIZATION.issuperset(dose):
        for element in _NEVER_ON_IMMUNIZATION:
            if element in dose:
                resource.error("element-not-allowed", element, f"A card never carries {element}.")
        resource.beyond(dose, _JUDGED_IMMUNIZATION)
    _vaccine_code(resource, code_allowed)
    reference = members(dose.get("patient"))
    if reference.get("reference") != patient:
        resource.error("patient-reference", "patient", "The dose does not point to the card's Patient.")
    if len(reference) > 1:
        text = "The dose says more of the Patient than where it stands on the card."
        resource.error("patient-reference-more", "patient", text)
    _occurrence(resource)
    _lot_number(resource)
    _performer(resource)
    if dose.get("isSubpotent", True) is not True:
        resource.error("subpotent-not-true", "isSubpotent", "isSubpotent is stated only when it is true.")


def _vaccine_code(resource: _Resource, code_allowed: CodeAllowed | None) -> None:
    concept = members(resource.content.get("vaccineCode"))
    codings = objects(concept.get("coding"))
    _unlabelled(resource, "vaccineCode", concept)
    if not codings:
        resource.error("vaccine-code-missing", "vaccineCode", "The vaccine has no code.")
    if len(codings) > 1:
        resource.warning("vaccine-code-many", "vaccineCode", "One code for the vaccine is enough.")
    for position, coding in enumerate(codings):
        system, code = coding.get("system"), coding.get("code")
        if not _CODING.issuperset(coding):
            resource.beyond(coding, _JUDGED_CODING, f"vaccineCode.coding[{position}]")
        if not isinstance(system, str) or system not in VACCINE_SYSTEMS:
            wrong = "vaccine-code-system", "The vaccine's code is not of CVX, SNOMED CT or ICD-11."
        elif len(codings) > 1 and [each.get("system") for each in codings].count(system) > 1:
            wrong = "vaccine-code-repeated", "The vaccine has two codes of the same system."
        elif not isinstance(code, str) or not code:
            wrong = "vaccine-code-empty", "The vaccine's coding has no code."
        elif code_allowed is not None and not code_allowed(system, code):
            wrong = "vaccine-code-not-allowed", "The code does not name a vaccine."
        else:
            continue
        resource.error(wrong[0], f"vaccineCode.coding[{position}]", wrong[1])


def _occurrence(resource: _Resource) -> None:
    if "occurrenceDateTime" not in resource.content:
        resource.error("occurrence-missing", "occurrence", "The dose has no date.")
        return
    written = resource.content["occurrenceDateTime"]
    given = day(written)
    if given is None:
        resource.error("occurrence-invalid", "occurrenceDateTime", "The date of the dose is not a real date.")
    elif given != written or len(given) != _DAY_CHARACTERS:
        resource.warning("occurrence-precision", "occurrenceDateTime", "The date of the dose is not just a day.")


def _lot_number(resource: _Resource) -> None:
    lot = resource.content.get("lotNumber", "")
    if not isinstance(lot, str):
        resource.error("lot-number-invalid", "lotNumber", "The lot number is not a text.")
        return
    if len(lot) >= _LOT_LIMIT:
        resource.warning("lot-number-long", "lotNumber", "The lot number has 20 characters or more.")
    if "lot" in lot.casefold():
        resource.warning("lot-number-word", "lotNumber", "The lot number repeats the word lot.")


def _performer(resource: _Resource) -> None:
    performers = objects(resource.content.get("performer"))
    if len(performers) > 1:
        resource.error("performer-count", "performer", "A dose names at most one performer.")
    for position, performer in enumerate(performers):
        actor = members(performer.get("actor"))
        display = actor.get("display")
        if not isinstance(display, str) or not display:
            place = f"performer[{position}].actor.display"
            resource.error("performer-display-missing", place, "The performer has no name.")
        elif len(display) >= _PERFORMER_LIMIT:
            text = "The performer's name has 30 characters or more."
            resource.warning("performer-display-long", f"performer[{position}].actor.display", text)
        if not _PERFORMER.issuperset(performer):
            resource.beyond(performer, _PERFORMER, f"performer[{position}]")
        if not _ACTOR.issuperset(actor):
            resource.beyond(actor, _ACTOR, f"performer[{position}].actor")


def _minified(resource: _Resource, minimal: frozenset[str]) -> None:
    """Judges what stands beside the elements of the minimal form."""
    content = resource.content
    if minimal.issuperset(content):
        return
    for element in ("id", "text"):
        if element in content:
            resource.error("not-minified", element, f"A card in a QR code carries no {element}.")
    if "meta" in content:
        _meta(resource)
    for element, value in content.items():
        if element not in minimal:
            for concept in objects(value) or [members(value)]:
                _unlabelled(resource, element, concept)


def _unlabelled(resource: _Resource, element: str, concept: Mapping[str, Any]) -> None:
    codings = objects(concept.get("coding"))
    if ("text" in concept and "coding" in concept) or any("display" in coding for coding in codings):
        text = "A card in a QR code carries codes without their text or display."
        resource.error("not-minified", element, text)


def _meta(resource: _Resource) -> None:
    meta = members(resource.content["meta"])
    if meta.keys() != {"security"}:
        resource.error("not-minified", "meta", "A card in a QR code carries no meta but meta.security.")
    labels = objects(meta.get("security"))
    if len(labels) > 1 or any(label.get("system") != IAL or label.get("code") not in IAL_CODES for label in labels):
        text = "The only label of a card is one of identity assurance: IAL1.2, IAL1.4, IAL2 or IAL3."
        resource.error("security-label", "meta.security", text)


def _beyond(value: Mapping[str, Any], judged: Set[str], place: str) -> list[Finding]:
    return [
        Finding("not-minimal", f"{place}.{element}", f"{element} is more than a minimal card carries.", "warning")
        for element in sorted(value.keys() - judged)
    ]
