"""$update-contact: a person says where they are reached and in which language; nothing else of the Patient changes.

https://hl7.org/fhir/R4/datatypes.html#ContactPoint

People may not change their Patient by PUT: names and identifiers are what others rely on. This is what they may.
"""

from typing import Any

from fhir_server import languages
from fhir_server.caller import Access, Predicate
from fhir_server.domain.demographics import email, phone
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.interactions.incoming import accept, entries_of
from fhir_server.interactions.reply import Reply, of_stored
from fhir_server.operations.enrolment import only
from fhir_server.operations.registry import Call
from fhir_server.store.records import Update

Resource = dict[str, Any]

_SYSTEMS = ("email", "phone")
_BCP_47 = "urn:ietf:bcp:47"


async def update(call: Call) -> Reply:
    """200 with the Patient.

    FhirError 400 for a wrong or no argument, 404 or 410 for the Patient, 412 where somebody changed it.
    """
    context = call.context
    stored = await context.store.read(call.caller, call.predicate, "Patient", call.id or "")
    patient: Resource = json.parse(stored.raw or b"{}")
    changed = _changed(patient, call)
    incoming = accept(context, "Patient", json.dump(changed))
    entries = entries_of(context, incoming.resource, stored.id)
    write = Update("Patient", stored.id, incoming.body, entries, stored.version)
    [committed] = await context.store.commit(call.caller, _allowed(call), [write])
    return of_stored(200, committed.stored or stored, written=True)


def _allowed(call: Call) -> Predicate:
    """For the person themselves, and whoever acts for them, this one change; for others what they may anyway."""
    predicate = call.predicate
    if isinstance(predicate, Access) and predicate.patients is not None and f"Patient/{call.id}" in predicate.patients:
        return only(call.caller, "u", "Patient", call.id or "")
    return predicate


def _changed(patient: Resource, call: Call) -> Resource:
    arguments = call.arguments
    wanted = {name: (arguments.text(name) or "").strip() for name in _SYSTEMS if arguments.text(name) is not None}
    removed = set(arguments.all("remove"))
    language = arguments.text("language")
    _require(wanted, removed, language)
    changed = dict(patient)
    if wanted or removed:
        # Only what is in use is replaced; what was, and what is of other kinds, stays.
        kept = [
            point
            for point in patient.get("telecom", ())
            if point.get("system") not in {*wanted, *removed} or point.get("use") == "old"
        ]
        said = [{"system": name, "value": value, "rank": 1} for name, value in wanted.items()]
        changed["telecom"] = [*said, *kept]
        if not changed["telecom"]:
            del changed["telecom"]
    if language is not None:
        spoken = {"language": {"coding": [{"system": _BCP_47, "code": language}]}, "preferred": True}
        others = [
            {name: value for name, value in each.items() if name != "preferred"}
            for each in patient.get("communication", ())
            if language not in (coding.get("code") for coding in each.get("language", {}).get("coding", ()))
        ]
        changed["communication"] = [spoken, *others]
    return changed


def _require(wanted: dict[str, str], removed: set[str], language: str | None) -> None:
    """FhirError 400 unless this can be done; normalises the telephone."""
    if not wanted and not removed and language is None:
        raise refuse(400, "required", "missing-parameter", "Give 'email', 'phone', 'language' or 'remove'.")
    issues = []
    if "email" in wanted and email(wanted["email"]) is None:
        issues.append(Issue("value", "invalid-value", "This is no e-mail address.", ("email",)))
    number = phone(wanted["phone"]) if "phone" in wanted else ""
    if number is None:
        issues.append(Issue("value", "invalid-value", "This is no telephone number.", ("phone",)))
    elif number:
        wanted["phone"] = number
    for name in sorted(removed - set(_SYSTEMS)):
        issues.append(Issue("value", "invalid-value", f"'remove' is email or phone, not '{name}'.", ("remove",)))
    if removed & set(wanted):
        issues.append(Issue("value", "invalid-value", "What is given cannot be removed as well.", ("remove",)))
    if language is not None and language not in languages.languages():
        known = ", ".join(languages.languages())
        issues.append(
            Issue("value", "invalid-value", f"A language is one of {known}, not '{language}'.", ("language",))
        )
    if issues:
        raise FhirError(400, issues)
