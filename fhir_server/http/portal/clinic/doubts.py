"""Doubts: all that speaks against a dose, gathered before it is stored; they ask, and refuse nothing.

https://hl7.org/fhir/R4/resource-operation-validate.html

From the screening, the rules of plausibility ($validate), the schedule in force ($immds-forecast, with and without the
dose), the policy ($vaccine-eligibility), and the record: the same answers that any other app gets.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from fhir_server import languages
from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.clinic import dose_form, screening
from fhir_server.http.portal.parameters import first, parts
from fhir_server.http.portal.session import Visitor
from fhir_server.languages import N_
from terminology import codes
from terminology.systems import CVX

Resource = dict[str, Any]

_NEW = "new"
_PLAUSIBILITY = "business-rule"
_EARLIEST = "30981-5"
_DONE = frozenset({"complete", "immune", "contraindicated"})
_ASK = frozenset({"Not Recommended", "Aged Out"})

_TOO_EARLY = N_("By the schedule the next dose can be given from {day} on.")
_NO_SCHEDULE = "no-knowledge-base"
_UNKNOWN_DAY = N_("No schedule known here was in force on {day}: whether the dose fits cannot be told.")
_UNSUITABLE = N_("The schedule speaks against this product for this person: {vaccine}.")
_TWICE = N_("A dose of {day} is already on record, lot {lot}. Is this another one?")
_DECLINED = N_("The person has chosen not to be vaccinated. Do they want it now?")
_NOT_THEIR_TURN = N_("By the policy in force it is not this person's turn.")


async def about(
    visitor: Visitor, patient: Resource, dose: Resource, answers: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """What speaks against storing this dose, as sentences in the visitor's language; nothing is stored."""
    told, known, policy = await asyncio.gather(
        visitor.visit.post("Immunization/$validate", dose), _record(visitor, patient), _policy(visitor, patient)
    )
    day = date.fromisoformat(str(dose["occurrenceDateTime"])[:10])
    # Neither itself as it was before a correction, nor as a twin of this request has stored it meanwhile.
    others = [each for each in known if each["id"] != dose.get("id") and not _shares_identifier(each, dose)]
    flags = [languages.say(sentence, visitor.language) for sentence in screening.flags(answers)]
    observed = screening.observations(answers, patient["id"])
    schedule: list[str] = []
    if codes.is_covid_vaccine(dose_form.cvx_of(dose)):
        schedule = await _schedule(visitor, patient, [*others, *observed], dose, day)
    twice = [languages.say(_TWICE, visitor.language, each) for each in _same_day(others, dose, day)]
    return tuple(dict.fromkeys([*twice, *_implausible(told), *schedule, *policy, *flags]))


def seal(doubts: Sequence[str]) -> str:
    """What a form brings back to say that exactly these doubts were read."""
    return hashlib.sha256("\n".join(doubts).encode()).hexdigest()[:32]


async def _record(visitor: Visitor, patient: Resource) -> list[Resource]:
    kinds = ("Immunization", "Condition", "AllergyIntolerance", "Observation")
    asked = {"patient": patient["id"], "_count": "1000"}
    found = await asyncio.gather(*(visitor.visit.entries(kind, asked) for kind in kinds))
    return [each for entries in found for each in entries]


async def _policy(visitor: Visitor, patient: Resource) -> list[str]:
    answer = parts(await visitor.visit.get(f"Patient/{patient['id']}/$vaccine-eligibility"))
    match first(answer, "status"):
        case "opted-out":
            return [languages.say(_DECLINED, visitor.language)]
        case "not-yet":
            return [languages.say(_NOT_THEIR_TURN, visitor.language)]
        case _:
            return []


async def _schedule(
    visitor: Visitor, patient: Resource, known: Sequence[Resource], dose: Resource, day: date
) -> list[str]:
    try:
        before, after = await asyncio.gather(
            _forecast(visitor, patient, known, day), _forecast(visitor, patient, [*known, {**dose, "id": _NEW}], day)
        )
    except RefusedError as error:
        if error.status != 422:
            raise
        if _NO_SCHEDULE in error.codes:
            return [languages.say(_UNKNOWN_DAY, visitor.language, {"day": day})]
        return list(error.sentences)
    return [*_judged(after), *_next(before, dose, day, visitor.language)]


async def _forecast(visitor: Visitor, patient: Resource, known: Sequence[Resource], day: date) -> list[Resource]:
    """The resources of the answer: evaluations, and the recommendation last."""
    given: list[Resource] = [
        {"name": "assessmentDate", "valueDate": day.isoformat()},
        {"name": "patient", "resource": patient},
    ]
    for each in known:
        kind = each["resourceType"]
        given.append({"name": kind[0].lower() + kind[1:], "resource": each})
    answer = await visitor.visit.post("$immds-forecast", {"resourceType": "Parameters", "parameter": given})
    return [each["resource"] for each in answer["parameter"] if "resource" in each]


def _judged(answer: Sequence[Resource]) -> Iterator[str]:
    """Why the dose would not count."""
    for each in answer:
        if each.get("immunizationEvent", {}).get("reference") == f"Immunization/{_NEW}":
            statuses = {coding["code"] for coding in each["doseStatus"]["coding"]}
            if "valid" not in statuses:
                yield from (reason["text"] for reason in each.get("doseStatusReason", ()))


def _next(answer: Sequence[Resource], dose: Resource, day: date, language: str) -> Iterator[str]:
    """What the schedule says before the dose: that it is too early, done, or that the product does not suit."""
    recommended = answer[-1]["recommendation"][0]
    status = recommended["forecastStatus"]
    if {coding["code"] for coding in status.get("coding", ())} & _DONE or status.get("text") in _ASK:
        yield from (reason["text"] for reason in recommended.get("forecastReason", ()))
    for criterion in recommended.get("dateCriterion", ()):
        earliest = date.fromisoformat(str(criterion["value"])[:10])
        if criterion["code"]["coding"][0]["code"] == _EARLIEST and earliest > day:
            yield languages.say(_TOO_EARLY, language, {"day": earliest})
    cvx = dose_form.cvx_of(dose)
    for unsuitable in recommended.get("contraindicatedVaccineCode", ()):
        if cvx == dose_form.cvx_of({"vaccineCode": unsuitable}):
            yield languages.say(_UNSUITABLE, language, {"vaccine": codes.lookup(CVX, cvx).display})


def _implausible(outcome: Resource) -> Iterator[str]:
    for issue in outcome.get("issue", ()):
        if issue["severity"] == "error" or issue["code"] == _PLAUSIBILITY:
            yield issue["details"]["text"]


def _same_day(known: Sequence[Resource], dose: Resource, day: date) -> Iterator[dict[str, object]]:
    groups = set(codes.vaccine_groups(dose_form.cvx_of(dose)))
    for each in known:
        if each["resourceType"] != "Immunization" or each["status"] != "completed":
            continue
        same = groups & set(codes.vaccine_groups(dose_form.cvx_of(each)))
        if same and str(each.get("occurrenceDateTime", ""))[:10] == day.isoformat():
            yield {"day": day, "lot": each.get("lotNumber", "?")}


def _shares_identifier(one: Resource, other: Resource) -> bool:
    return any(each in other.get("identifier", ()) for each in one.get("identifier", ()))
