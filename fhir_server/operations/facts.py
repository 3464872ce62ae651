"""A person's facts, read from what is stored about them: record, answers, rosters, doses, consents.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html

Facts are taken as they are known now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.domain.facts import BIRTH_DATE, BirthDate, Dose, Fact, Facts, Source
from fhir_server.operations import membership, registration, sources, vocabulary
from fhir_server.operations.products import cvx_of
from terminology import codes

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored about one person. `answers` are responses given with the request: newer than all stored ones.
    `base` is the server's own, in case a reference was stored with it; `zone` whose calendar days instants fall on."""

    patient: Resource
    responses: Sequence[Resource] = ()
    rosters: Sequence[Resource] = ()
    immunizations: Sequence[Resource] = ()
    consents: Sequence[Resource] = ()
    answers: Sequence[Resource] = ()
    base: str = ""
    conditions: Sequence[Resource] = ()
    allergies: Sequence[Resource] = ()
    observations: Sequence[Resource] = ()
    zone: str = "UTC"


def read(record: Record, as_of: date) -> Facts:
    """The facts. Doses carry their own dates; memberships and consents count unless they had ended before `as_of`."""
    answered = list(registration.read(record.responses, record.answers, record.base, record.zone))
    facts = [
        *_birth_date(record, answered),
        *(fact for fact in answered if fact.name != BIRTH_DATE),
        *_address(record),
        *membership.read(record.rosters, sources.reference(record.patient), record.base, as_of),
    ]
    declined = consent_given(record.consents, "decline-vaccine", as_of)
    return Facts.of(facts, _doses(record.immunizations), declined, _deceased(record.patient, as_of))


def _birth_date(record: Record, answered: Iterable[Fact]) -> Iterator[Fact]:
    """One birth date: the record's, or the answer where that says the same more precisely."""
    candidates = [fact for fact in answered if fact.name == BIRTH_DATE]
    text = record.patient.get("birthDate")
    if text is not None:
        try:
            recorded = BirthDate.parse(text)
        except ValueError:
            recorded = None
        if recorded is not None:
            source = _recorded(record)
            refined = [
                fact
                for fact in candidates
                if isinstance(fact.value, BirthDate)
                and recorded.earliest <= fact.value.earliest <= fact.value.latest <= recorded.latest
                and fact.value != recorded
            ]
            yield refined[0] if refined else Fact(BIRTH_DATE, recorded, source)
            return
    yield from candidates[:1]


def _address(record: Record) -> Iterator[Fact]:
    """The county where the person lives, as the record says: of the first address in use that names one."""
    for address in record.patient.get("address", ()):
        code = vocabulary.county(address.get("district", ""))
        if code is not None and address.get("use") not in ("old", "billing", "temp", "work"):
            yield Fact("county", frozenset({code}), _recorded(record))
            return


def _recorded(record: Record) -> Source:
    """The record itself as the source; it says so at least since its last change."""
    return Source("record", sources.reference(record.patient), sources.stored_on(record.patient, record.zone))


def _doses(immunizations: Iterable[Resource]) -> Iterator[Dose]:
    """Completed COVID-19 doses with a whole date."""
    for immunization in immunizations:
        given = sources.day(immunization.get("occurrenceDateTime"))
        if immunization.get("status") != "completed" or immunization.get("isSubpotent") is True or given is None:
            continue
        cvx = cvx_of(immunization.get("vaccineCode", {}))
        if cvx is not None and codes.is_covid_vaccine(cvx):
            yield Dose(cvx, given)


def consent_given(consents: Iterable[Resource], kind: str, as_of: date) -> Source | None:
    """Who gave a Consent of that kind (`decline-vaccine`, `no-contact`) that holds on that day, or None."""
    for consent in consents:
        kinds = [vocabulary.own_code(category, vocabulary.CONSENT_CATEGORY) for category in consent.get("category", ())]
        holds = sources.lasts(consent.get("provision", {}).get("period", {}), as_of)
        if consent.get("status") == "active" and kind in kinds and holds:
            by = next((each.get("reference") for each in consent.get("performer", ())), None)
            return Source("self", sources.reference(consent), sources.day(consent.get("dateTime")), by)
    return None


def _deceased(patient: Resource, as_of: date) -> Source | None:
    """The record, where it says that the person has died (by that day, if it says when)."""
    died = sources.day(patient.get("deceasedDateTime"))
    if patient.get("deceasedBoolean") is not True and "deceasedDateTime" not in patient:
        return None
    return None if died is not None and died > as_of else Source("record", sources.reference(patient), died)
