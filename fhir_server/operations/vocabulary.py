"""Code systems that policies are written in, mostly our own: narrower and broader codes, names by language.

https://hl7.org/fhir/R4/codesystem.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_server.fhir import json

BASE = "https://fhir-server.example/fhir"
"""Base of every canonical of ours; not an address."""

CRITERION = f"{BASE}/CodeSystem/eligibility-criterion"
OCCUPATION = f"{BASE}/CodeSystem/occupation-class"
RESIDENCE = f"{BASE}/CodeSystem/residence-setting"
CONDITION = f"{BASE}/CodeSystem/high-risk-condition"
ROSTER_KIND = f"{BASE}/CodeSystem/roster-kind"
GROUP_KIND = f"{BASE}/CodeSystem/group-kind"
CONSENT_CATEGORY = f"{BASE}/CodeSystem/consent-category"
REMINDER_CHANNEL = f"{BASE}/CodeSystem/reminder-channel"
REMINDER_OCCASION = f"{BASE}/CodeSystem/reminder-occasion"
COUNTY = "urn:oid:2.16.840.1.113883.6.93"
"""FIPS 6-4: state and county in five digits."""

PHASE = f"{BASE}/NamingSystem/vaccination-phase"
PHASE_VERSION = f"{BASE}/NamingSystem/vaccination-phase-version"
POLICY = f"{BASE}/NamingSystem/vaccination-policy"
ROSTER_ROW = f"{BASE}/NamingSystem/roster-row"
ROSTER_PERSON = f"{BASE}/NamingSystem/roster-person"
REMINDER = f"{BASE}/NamingSystem/reminder"

JURISDICTION = f"{BASE}/StructureDefinition/group-jurisdiction"
MEMBER_ROW = f"{BASE}/StructureDefinition/roster-member-row"

REGISTRATION = f"{BASE}/Questionnaire/registration"
NO_CODE = "none"
"""The answer that says that no code of the list applies."""

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"

_COUNTY_WORDS = re.compile(r"^(the )?(condado de |county of )|,.*$| county\b.*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """A code of one of these systems: its names by language and the codes around it."""

    displays: Mapping[str, str]
    broader: frozenset[str]
    narrower: frozenset[str]


def term(system: str, code: str) -> Term | None:
    """The term, or None where the system is none of these or has no such code."""
    return _terms(system).get(code)


def display(system: str, code: str, language: str) -> str:
    """The code's name in that language, else in English, else the code itself."""
    found = term(system, code)
    return code if found is None else found.displays.get(language, found.displays["en"])


def code_named(system: str, text: str) -> str | None:
    """The code that is this text or has it as a name in some language, case aside; None where there is none."""
    wanted = text.casefold().strip()
    for code, found in _terms(system).items():
        if wanted == code or wanted in (name.casefold() for name in found.displays.values()):
            return code
    return None


def translated(element: Mapping[str, Any], name: str, language: str) -> str | None:
    """The text of a primitive in that language by its translation extension, else as it stands."""
    for extension in element.get(f"_{name}", {}).get("extension", ()):
        if extension.get("url") == TRANSLATION:
            parts = {part.get("url"): part for part in extension.get("extension", ())}
            if parts.get("lang", {}).get("valueCode", "").split("-")[0] == language:
                content: str | None = parts.get("content", {}).get("valueString")
                return content
    text: str | None = element.get(name)
    return text


def own_code(concept: Mapping[str, Any], system: str) -> str | None:
    """The code a CodeableConcept has in that system, or None."""
    return next((coding.get("code") for coding in concept.get("coding", ()) if coding.get("system") == system), None)


def codes(system: str, codings: Iterable[Mapping[str, Any]]) -> frozenset[str] | None:
    """The codes of that system; a coding without system is taken for one. None where there is none of them. The code
    that says that none of the list applies leaves an empty set."""
    found = {
        coding.get("code", "")
        for coding in codings
        if coding.get("system", system) == system and term(system, coding.get("code", "")) is not None
    }
    return frozenset(found - {NO_CODE}) if found else None


def county(text: str) -> str | None:
    """The code of a county named as people write it (`Wake`, `Wake County`, `condado de Wake`)."""
    named = _COUNTY_WORDS.sub("", text.strip())
    return code_named(COUNTY, named) if named else None


@cache
def _terms(system: str) -> Mapping[str, Term]:
    found: dict[str, Term] = {}
    name = "county" if system == COUNTY else system.removeprefix(f"{BASE}/CodeSystem/")
    path = files(__package__) / "data" / "codesystems" / f"{name}.json"
    if re.fullmatch(r"[a-z-]+", name) and path.is_file():
        _gather(json.parse(path.read_bytes())["concept"], frozenset(), found)
    return found


def _gather(concepts: Iterable[Mapping[str, Any]], broader: frozenset[str], found: dict[str, Term]) -> frozenset[str]:
    """Fill `found` with the concepts and all below them; returns the codes."""
    codes: set[str] = set()
    for concept in concepts:
        code = concept["code"]
        narrower = _gather(concept.get("concept", ()), broader | {code}, found)
        named = {entry["language"]: entry["value"] for entry in concept.get("designation", ())}
        found[code] = Term({"en": concept["display"], **named}, broader, narrower)
        codes |= {code} | narrower
    return frozenset(codes)
