"""The data minimization form: a Bundle with no more than a verifier needs, made from the resources on record.

https://hl7.org/fhir/uv/shc-vaccination/profiles.html#data-minimization-and-privacy
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from smart_health_cards.error import CardError
from smart_health_cards.profile import IAL, VACCINE_SYSTEMS, day
from smart_health_cards.shape import is_text, members, objects

__all__ = ["Assurance", "bundle", "immunization", "patient", "vaccine_coding"]

Assurance = Literal["IAL1.2", "IAL1.4", "IAL2", "IAL3"]

_LOT_LABEL = re.compile(r"^\s*lot(?![a-z])\s*(?:number|num|no|nr)?(?![a-z])[\s.:#-]*", re.IGNORECASE)
_LOT_MAX, _PERFORMER_MAX = 19, 29
_NAME_USES = ("official", "usual", None, "nickname", "temp", "anonymous", "maiden", "old")
_NAME_TEXTS = ("prefix", "given", "suffix")


def bundle(patient: Mapping[str, Any], immunizations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The Bundle of resources that are already minimal: Patient `resource:0`, doses `resource:1` and so on."""
    resources = [patient, *immunizations]
    entries = [{"fullUrl": f"resource:{n}", "resource": resource} for n, resource in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def patient(patient: Mapping[str, Any], *, birth_date: bool = True) -> dict[str, Any]:
    """Name and, unless it shall be left out, date of birth. CardError `patient-no-name` when there is no name."""
    for name in sorted(objects(patient.get("name")), key=_name_rank):
        if written := _human_name(name):
            minimal: dict[str, Any] = {"resourceType": "Patient", "name": [written]}
            if birth_date and (born := day(patient.get("birthDate"))) is not None:
                minimal["birthDate"] = born
            return minimal
    raise CardError("patient-no-name", "The person has no name on record, and a card without one proves nothing.")


def immunization(
    dose: Mapping[str, Any],
    code_allowed: Callable[[str, str], bool] | None = None,
    assurance: Assurance | None = None,
) -> dict[str, Any]:
    """The dose in minimal form, with its Patient at `resource:0`.

    The dose is completed, dated and has a vaccine code that may be used: see plan.unfit. `assurance` states how the
    person's identity was proved when the dose was given; labels on the record itself are not taken over.
    """
    minimal: dict[str, Any] = {"resourceType": "Immunization"}
    if assurance is not None:
        minimal["meta"] = {"security": [{"system": IAL, "code": assurance}]}
    minimal["status"] = dose["status"]
    minimal["vaccineCode"] = {"coding": [vaccine_coding(dose, code_allowed)]}
    minimal["patient"] = {"reference": "resource:0"}
    minimal["occurrenceDateTime"] = day(dose["occurrenceDateTime"])
    if display := _performer_display(dose):
        minimal["performer"] = [{"actor": {"display": display}}]
    if lot := _lot_number(dose):
        minimal["lotNumber"] = lot
    if dose.get("isSubpotent") is True:
        minimal["isSubpotent"] = True
    return minimal


def vaccine_coding(
    dose: Mapping[str, Any], code_allowed: Callable[[str, str], bool] | None = None
) -> dict[str, str] | None:
    """The one code the card gives, CVX before SNOMED CT before ICD-11; None when no usable one is on record."""
    codings = objects(members(dose.get("vaccineCode")).get("coding"))
    for system in VACCINE_SYSTEMS:
        for code in (coding.get("code") for coding in codings if coding.get("system") == system):
            if isinstance(code, str) and code and (code_allowed is None or code_allowed(system, code)):
                return {"system": system, "code": code}
    return None


def _name_rank(name: Mapping[str, Any]) -> tuple[bool, int]:
    # A name that has ended is taken only when nothing else is on record.
    ended, use = "end" in members(name.get("period")), name.get("use")
    return ended, _NAME_USES.index(use) if use in _NAME_USES else len(_NAME_USES)


def _human_name(name: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if is_text(family := name.get("family")):
        written["family"] = family
    for part in _NAME_TEXTS:
        # A null in such a list stands for a text that only has extensions.
        texts = name.get(part)
        if texts := [text for text in texts if is_text(text)] if isinstance(texts, list) else []:
            written[part] = texts
    if "family" in written or "given" in written:
        return written
    return {"text": name["text"]} if is_text(name.get("text")) else {}


def _lot_number(dose: Mapping[str, Any]) -> str | None:
    """The bare lot, or None: what cannot be said within the rules is left out rather than changed."""
    lot = dose.get("lotNumber")
    if not isinstance(lot, str):
        return None
    lot = _LOT_LABEL.sub("", lot, count=1)
    display = members(dose.get("manufacturer")).get("display")
    for word in re.findall(r"\w{3,}", display) if isinstance(display, str) else ():
        lot = re.sub(rf"\b{re.escape(word)}\b", "", lot, flags=re.IGNORECASE)
    lot = lot.strip(" ,;:#-()")
    return lot if lot and len(lot) <= _LOT_MAX and "lot" not in lot.casefold() else None


def _performer_display(dose: Mapping[str, Any]) -> str | None:
    """The name of the organization that gave the dose, cut to fit; never that of a person who works there."""
    for performer in objects(dose.get("performer")):
        actor = members(performer.get("actor"))
        reference = str(actor.get("reference", "Organization/"))
        is_organization = actor.get("type", "Organization") == "Organization" and "Organization/" in reference
        if is_organization and is_text(actor.get("display")):
            return str(actor["display"]).strip()[:_PERFORMER_MAX].rstrip()
    return None
