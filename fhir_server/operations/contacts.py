"""Contacts: how a person may be reached, read from their record, their answers and their consents.

https://hl7.org/fhir/R4/datatypes.html#ContactPoint
"""

from collections.abc import Iterator
from datetime import date

from fhir_server.domain.demographics import email, phone
from fhir_server.domain.facts import Facts
from fhir_server.domain.reminders import Contact, Way
from fhir_server.domain.sentences import LANGUAGES
from fhir_server.operations import facts, sources

_EVERY: frozenset[Way] = frozenset({"email", "phone"})


def read(record: facts.Record, known: Facts, on: date) -> Contact:
    """How the person may be reached on that day; `known` are the facts of the record."""
    return Contact(
        language(record.patient),
        next((value for value in _points(record.patient, "email", on) if email(value)), None),
        next((value for value in _points(record.patient, "phone", on) if phone(value)), None),
        _allowed(known),
        facts.consent_given(record.consents, "no-contact", on),
    )


def has_email(patient: facts.Resource, on: date) -> bool:
    """Whether the person can be written to by e-mail on that day, and is, unless they have answered otherwise."""
    return any(email(value) for value in _points(patient, "email", on))


def language(patient: facts.Resource) -> str:
    """The preferred one of the languages the person speaks, else the first that is one of ours; English by default."""
    spoken = sorted(patient.get("communication", ()), key=lambda each: each.get("preferred") is not True)
    for each in spoken:
        for coding in each.get("language", {}).get("coding", ()):
            tag: str = coding.get("code", "").split("-")[0].lower()
            if tag in LANGUAGES:
                return tag
    return LANGUAGES[0]


def provider(record: facts.Record) -> str | None:
    """Whose call list the person is on: who gave the latest dose, else who manages the record or cares for them."""
    given = [each for each in record.immunizations if each.get("status") == "completed"]
    given.sort(key=lambda each: str(each.get("occurrenceDateTime", "")), reverse=True)
    for immunization in given[:1]:
        actors = [each.get("actor", {}).get("reference", "") for each in immunization.get("performer", ())]
        places = [actor for actor in actors if "Organization/" in actor]
        places += [immunization.get("location", {}).get("reference", ""), *actors]
        for place in places:
            if place:
                return str(place)
    patient = record.patient
    cared: list[dict[str, str]] = [patient.get("managingOrganization", {}), *patient.get("generalPractitioner", ())]
    return next((each["reference"] for each in cared if each.get("reference")), None)


def _points(patient: facts.Resource, system: str, on: date) -> Iterator[str]:
    """Values of contact points of that system that are in use, the best ranked first."""
    in_use = [
        point
        for point in patient.get("telecom", ())
        if point.get("system") == system and point.get("use") != "old" and sources.lasts(point.get("period", {}), on)
    ]
    ranked = sorted(in_use, key=lambda point: (point.get("rank") is None, point.get("rank", 0)))
    yield from (point["value"] for point in ranked if point.get("value"))


def _allowed(known: Facts) -> frozenset[Way]:
    """What the person answered; without an answer every way. Nobody else can allow or forbid it."""
    for fact in known.about("reminders"):
        if fact.source.attester == "self" and isinstance(fact.value, frozenset):
            return frozenset(way for way in _EVERY if way in fact.value)
    return _EVERY
