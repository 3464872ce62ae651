"""$immds-forecast: what doses are worth and what comes next, of people handed in and of people on record.

https://build.fhir.org/ig/HL7/ImmunizationFHIRDS/

Nothing is stored and nothing is remembered: a dose that was corrected counts as it now stands with the next call.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from fhir_server.domain.assessment import Evaluation, Reason
from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import GivenDose
from fhir_server.domain.knowledge_bases import in_force, knowledge_bases, named
from fhir_server.domain.schedule import KnowledgeBase
from fhir_server.fhir import json
from fhir_server.fhir.condition import SEPARATOR, All, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.search import gather
from fhir_server.operations import histories, immds_answer
from fhir_server.operations.arguments import Arguments
from fhir_server.operations.histories import Documents
from fhir_server.operations.products import cvx_of
from fhir_server.operations.registry import Call
from terminology import codes

Resource = dict[str, Any]

_NOT_GIVEN = {"not-done": "not-done", "entered-in-error": "entered-in-error"}


async def handed_in(call: Call) -> Reply:
    """200 with the answer for the person and the doses that came with the request, which are all looked at, also those
    after the day asked for. FhirError 400 for an unknown knowledge base, 422 for a day none is in force on."""
    given = call.arguments
    found = Documents(
        given.all("patient")[0],
        given.all("immunization"),
        given.all("condition"),
        given.all("allergyIntolerance"),
        given.all("observation"),
    )
    return _answer(call, found, given.date("assessmentDate") or call.context.today, later_doses=True)


async def on_record(call: Call) -> Reply:
    """200 with the answer for a stored patient, as of the day. Errors as for `handed_in`, and 404 or 410."""
    assert call.id is not None
    context, resource_id = call.context, call.id
    patient = await context.store.read(call.caller, call.predicate, "Patient", resource_id)
    mine = f"Patient/{resource_id}"
    pairs = sorted(set(histories.asked_codes()))
    keys = tuple(f"{name}{SEPARATOR}{system}|{code}" for name in ("code", "value-concept") for system, code in pairs)

    async def about(kind: str, relevant: tuple[str, ...] = ()) -> list[Resource]:
        where = Keys("tk", (f"patient{SEPARATOR}{mine}",))
        wanted = All((where, Keys("tk", relevant))) if relevant else where
        rows = await gather(context, call.caller, call.predicate, kind, wanted)
        return [json.parse(row.raw or b"{}") for row in rows]

    immunizations, conditions, allergies, observations = await asyncio.gather(
        about("Immunization"), about("Condition"), about("AllergyIntolerance"), about("Observation", keys)
    )
    found = Documents(json.parse(patient.raw or b"{}"), immunizations, conditions, allergies, observations)
    return _answer(call, found, call.arguments.date("assessmentDate") or context.today, later_doses=False)


def _answer(call: Call, found: Documents, day: date, *, later_doses: bool) -> Reply:
    base = _knowledge_base(call.arguments, day)
    patient = dict(found.patient)
    answer = forecast(histories.read(found), day, base, later_doses=later_doses)
    evaluations = [
        immds_answer.evaluation(one, dict(immunization), patient, answer, base, call.language)
        for one, immunization in _evaluated(answer.evaluations, found.immunizations)
    ]
    more = []
    if not base.starts <= day <= base.ends:
        more.append(Reason("outside-window", {"version": base.version, "start": base.starts, "end": base.ends}))
    recommendation = immds_answer.recommendation(answer, patient, base, more, call.language)
    parameters = [{"name": "evaluation", "resource": one} for one in evaluations]
    parameters.append({"name": "recommendation", "resource": recommendation})
    body = json.dump({"resourceType": "Parameters", "parameter": parameters})
    return Reply(200, body, headers=(("cache-control", "no-store"),))


def _evaluated(
    evaluations: Sequence[Evaluation], immunizations: Sequence[Any]
) -> Iterator[tuple[Evaluation, Resource]]:
    """Evaluations with their Immunizations, in time; last what was no dose. Other diseases' doses have none."""
    for one in evaluations:
        if one.dose.cvx is None or codes.is_covid_vaccine(one.dose.cvx):
            # Vaccines that were never given anywhere are on no list of CDSi's, but are against this disease.
            never = one.reasons[0].code == "other-disease"
            found = replace(one, status="not-valid", reasons=(Reason("wrong-vaccine"),)) if never else one
            yield found, immunizations[histories.position(one.dose.key)]
    for number, immunization in enumerate(immunizations):
        code = _NOT_GIVEN.get(immunization.get("status", ""))
        if code is not None:
            cvx = cvx_of(immunization.get("vaccineCode", {}))
            if cvx is None or codes.is_covid_vaccine(cvx):
                dose = GivenDose(histories.day(immunization.get("occurrenceDateTime")), cvx, f"{number:05}")
                yield Evaluation(dose, "not-evaluated", (Reason(code),)), immunization


def _knowledge_base(given: Arguments, day: date) -> KnowledgeBase:
    """The one asked for, else the one in force."""
    authority, version = given.text("knowledgeBase"), given.text("knowledgeBaseVersion")
    held = knowledge_bases()
    if authority is not None and authority.lower() not in {one.authority.lower() for one in held}:
        known = ", ".join(sorted({one.authority for one in held}))
        text = f"No knowledge base of '{authority}' is held here. Known: {known}."
        raise refuse(400, "value", "unknown-knowledge-base", text, "knowledgeBase")
    if version is not None:
        chosen = named(version, authority)
        if chosen is None:
            known = ", ".join(one.version for one in held)
            text = f"No version '{version}' of the knowledge base is held here. Known: {known}."
            raise refuse(400, "value", "unknown-knowledge-base", text, "knowledgeBaseVersion")
        return chosen
    chosen = in_force(day, authority)
    if chosen is None:
        windows = ", ".join(f"{one.version} from {one.starts} to {one.ends}" for one in held)
        text = f"No schedule held here was in force on {day}. There are: {windows}."
        raise refuse(422, "not-supported", "no-knowledge-base", text, "assessmentDate")
    return chosen
