"""A person's facts, read from what is stored about them: record, answers, rosters, doses, consents.

https://hl7.org/fhir/R4/questionnaireresponse.html

Facts are taken as they are known now. Of a person's own answers the latest response counts, whole: what it leaves out
is unknown again; a provider's response stands beside it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.domain.facts import BIRTH_DATE, Attester, BirthDate, Dose, Fact, Facts, Source, Value
from fhir_server.fhir import dates
from fhir_server.operations import vocabulary
from fhir_server.operations.products import cvx_of
from terminology import codes

Resource = Mapping[str, Any]

NO_CODE = "none"
"""The answer that says that no code of the list applies."""

_CODED = {
    "occupation": vocabulary.OCCUPATION,
    "residence": vocabulary.RESIDENCE,
    "high-risk-conditions": vocabulary.CONDITION,
    "reminders": vocabulary.REMINDER_CHANNEL,
}
_COUNTIES = frozenset({"county", "work-county"})
_TRAITS = {**_CODED, **dict.fromkeys(_COUNTIES, vocabulary.COUNTY)}
_COUNTY_WORDS = re.compile(r"^(the )?(condado de |county of )|,.*$| county\b.*$", re.IGNORECASE)
_FLAGS = frozenset({"in-person", "patient-contact"})
_PROVIDERS = ("Practitioner/", "PractitionerRole/", "Organization/")


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
    answered = list(_answered(record))
    facts = [
        *_birth_date(record, answered),
        *(fact for fact in answered if fact.name != BIRTH_DATE),
        *_address(record),
        *_attested(record, as_of),
    ]
    declined = consent_given(record.consents, "decline-vaccine", as_of)
    return Facts.of(facts, _doses(record.immunizations), declined, _deceased(record.patient, as_of))


def may_be_roster(group: Resource) -> bool:
    """Whether a Group could be a roster in use: actual people, not retired."""
    return group.get("actual") is True and group.get("type") == "person" and group.get("active") is not False


def is_on_roster(group: Resource, member: Resource) -> bool:
    """Whether being this member means being on a roster: the Group is coded as ours, or uncoded and run by an
    organization, or the member came with an uploaded roster. Other Groups of people (cohorts, panels) say nothing."""
    if any(extension.get("url") == vocabulary.MEMBER_ROW for extension in member.get("extension", ())):
        return True
    code = group.get("code")
    if code is None:
        return "managingEntity" in group
    kinds = (vocabulary.own_code(code, vocabulary.GROUP_KIND), vocabulary.own_code(code, vocabulary.ROSTER_KIND))
    return kinds[0] == "roster" or kinds[1] is not None


def is_member(member: Resource, on: date) -> bool:
    """Whether a Group.member counts on that day."""
    end: str | None = member.get("period", {}).get("end")
    # A partial end is compared as written: `2021-03` lasts as long as the month.
    return member.get("inactive") is not True and (end is None or on.isoformat()[: len(end[:10])] <= end[:10])


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


def _answered(record: Record) -> Iterator[Fact]:
    stored = sorted(
        (response for response in record.responses if response.get("status") in ("completed", "amended")),
        key=_authored,
        reverse=True,
    )
    given = [response for response in record.answers if response.get("status") != "entered-in-error"]
    heard: set[Attester] = set()
    for number, response in enumerate([*given, *stored]):
        questionnaire = response.get("questionnaire", vocabulary.REGISTRATION).partition("|")[0]
        attester = _attester(response)
        if questionnaire != vocabulary.REGISTRATION or (number >= len(given) and attester in heard):
            continue
        heard.add(attester)
        since = _day(response.get("authored")) or _stored_on(response, record.zone)
        source = Source(attester, _reference(response), since, _author(response))
        for name, answers in _answers(response.get("item", ())):
            value = _value(name, answers)
            if value is not None:
                yield Fact(name, value, source)


def _attester(response: Resource) -> Attester:
    return "provider" if (_author(response) or "").startswith(_PROVIDERS) else "self"


def _author(response: Resource) -> str | None:
    reference: str | None = response.get("source", response.get("author", {})).get("reference")
    return reference


def _answers(items: Iterable[Resource]) -> Iterator[tuple[str, Sequence[Resource]]]:
    for item in items:
        answers = item.get("answer", ())
        yield item.get("linkId", ""), answers
        yield from _answers(item.get("item", ()))
        for answer in answers:
            yield from _answers(answer.get("item", ()))


def _value(name: str, answers: Sequence[Resource]) -> Value | None:
    if not answers:
        return None
    if name == BIRTH_DATE:
        try:
            return BirthDate.parse(answers[0].get("valueDate", ""))
        except ValueError:
            return None
    if name in _FLAGS:
        flag = answers[0].get("valueBoolean")
        return flag if isinstance(flag, bool) else None
    if name in _COUNTIES:
        coding = answers[0].get("valueCoding", {})
        county = _county(answers[0].get("valueString") or coding.get("code") or coding.get("display", ""))
        return None if county is None else frozenset({county})
    if name in _CODED:
        return _codes(_CODED[name], (answer["valueCoding"] for answer in answers if "valueCoding" in answer))
    return None


def _codes(system: str, codings: Iterable[Resource]) -> frozenset[str] | None:
    """The codes of that system; a coding without system is taken for one. None where there is none of ours."""
    found = {
        coding.get("code", "")
        for coding in codings
        if coding.get("system", system) == system and vocabulary.term(system, coding.get("code", "")) is not None
    }
    return frozenset(found - {NO_CODE}) if found else None


def _attested(record: Record, as_of: date) -> Iterator[Fact]:
    """What rosters say: membership itself, the traits all members share, and the row's occupation."""
    person = _reference(record.patient)
    names = (person, f"{record.base}/{person}")
    on_any = False
    for group in record.rosters:
        if not may_be_roster(group):
            continue
        for member in group.get("member", ()):
            if member.get("entity", {}).get("reference") not in names or not is_member(member, as_of):
                continue
            if not is_on_roster(group, member):
                continue
            on_any = True
            since, by = _day(member.get("period", {}).get("start")), group.get("managingEntity", {}).get("reference")
            source = Source("employer", _reference(group), since, by)
            kind = vocabulary.own_code(group.get("code", {}), vocabulary.ROSTER_KIND) or "first-phase"
            yield Fact("roster-membership", frozenset({kind}), source)
            for name, value in (*_traits(group), *_row_traits(member)):
                yield Fact(name, value, source)
    if not on_any:
        yield Fact("roster-membership", frozenset(), Source("record", person))


def _traits(group: Resource) -> Iterator[tuple[str, Value]]:
    for characteristic in group.get("characteristic", ()):
        name = vocabulary.own_code(characteristic.get("code", {}), vocabulary.CRITERION) or ""
        if characteristic.get("exclude") is True:
            continue
        if name in _FLAGS and isinstance(characteristic.get("valueBoolean"), bool):
            yield name, characteristic["valueBoolean"]
        if name in _TRAITS:
            found = _codes(_TRAITS[name], characteristic.get("valueCodeableConcept", {}).get("coding", ()))
            if found is not None:
                yield name, found


def _row_traits(member: Resource) -> Iterator[tuple[str, Value]]:
    for extension in member.get("extension", ()):
        if extension.get("url") == vocabulary.MEMBER_ROW:
            for part in extension.get("extension", ()):
                if part.get("url") == "occupation":
                    found = _codes(vocabulary.OCCUPATION, part.get("valueCodeableConcept", {}).get("coding", ()))
                    if found is not None:
                        yield "occupation", found


def _doses(immunizations: Iterable[Resource]) -> Iterator[Dose]:
    """Completed COVID-19 doses with a whole date."""
    for immunization in immunizations:
        given = _day(immunization.get("occurrenceDateTime"))
        if immunization.get("status") != "completed" or immunization.get("isSubpotent") is True or given is None:
            continue
        cvx = cvx_of(immunization.get("vaccineCode", {}))
        if cvx is not None and codes.is_covid_vaccine(cvx):
            yield Dose(cvx, given)


def consent_given(consents: Iterable[Resource], kind: str, as_of: date) -> Source | None:
    """Who gave a Consent of that kind (`decline-vaccine`, `no-contact`) that holds on that day, or None."""
    for consent in consents:
        kinds = [vocabulary.own_code(category, vocabulary.CONSENT_CATEGORY) for category in consent.get("category", ())]
        end = consent.get("provision", {}).get("period", {}).get("end")
        ended = end is not None and as_of.isoformat()[: len(end[:10])] > end[:10]
        if consent.get("status") == "active" and kind in kinds and not ended:
            by = next((each.get("reference") for each in consent.get("performer", ())), None)
            return Source("self", _reference(consent), _day(consent.get("dateTime")), by)
    return None


def _deceased(patient: Resource, as_of: date) -> Source | None:
    """The record, where it says that the person has died (by that day, if it says when)."""
    died = _day(patient.get("deceasedDateTime"))
    if patient.get("deceasedBoolean") is not True and "deceasedDateTime" not in patient:
        return None
    return None if died is not None and died > as_of else Source("record", _reference(patient), died)


def _address(record: Record) -> Iterator[Fact]:
    """The county where the person lives, as the record says: of the first address in use that names one."""
    for address in record.patient.get("address", ()):
        code = _county(address.get("district", ""))
        if code is not None and address.get("use") not in ("old", "billing", "temp", "work"):
            yield Fact("county", frozenset({code}), _recorded(record))
            return


def _county(text: str) -> str | None:
    """The code of a county named as people write it (`Wake`, `Wake County`, `condado de Wake`)."""
    named = _COUNTY_WORDS.sub("", text.strip())
    return vocabulary.code_named(vocabulary.COUNTY, named) if named else None


def _authored(response: Resource) -> str:
    """When it was said, as sortable text."""
    text = response.get("authored") or response.get("meta", {}).get("lastUpdated")
    return "" if text is None else dates.parse(text).lo


def _reference(resource: Resource) -> str | None:
    return f"{resource['resourceType']}/{resource['id']}" if "id" in resource else None


def _recorded(record: Record) -> Source:
    """The record itself as the source; it says so at least since its last change."""
    return Source("record", _reference(record.patient), _stored_on(record.patient, record.zone))


def _stored_on(resource: Resource, zone: str) -> date | None:
    try:
        return datetime.fromisoformat(resource["meta"]["lastUpdated"]).astimezone(ZoneInfo(zone)).date()
    except (KeyError, ValueError, OverflowError):
        return None


def _day(text: str | None) -> date | None:
    """The local calendar day of a date or dateTime; None where it is absent or not precise to the day."""
    try:
        return None if text is None else date.fromisoformat(text[:10])
    except ValueError:
        return None
