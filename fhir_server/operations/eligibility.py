"""$vaccine-eligibility: may this person be vaccinated now, and why.

https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.domain import combined
from fhir_server.domain.eligibility import Decision, Reason
from fhir_server.domain.phases import Group
from fhir_server.domain.sentences import sentence
from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.sentences import said
from fhir_server.interactions.reply import Reply
from fhir_server.operations import facts, forecasts, histories, people, policies, vocabulary
from fhir_server.operations.registry import Call

Resource = dict[str, Any]

_SYSTEMS = {
    "occupation": vocabulary.OCCUPATION,
    "residence": vocabulary.RESIDENCE,
    "high-risk-conditions": vocabulary.CONDITION,
    "roster-membership": vocabulary.ROSTER_KIND,
    "county": vocabulary.COUNTY,
    "work-county": vocabulary.COUNTY,
}


async def decide(call: Call) -> Reply:
    """200 with the decision. FhirError 404 or 410 for the patient, 400 for a policy or jurisdiction nobody knows."""
    arguments = call.arguments
    as_of = arguments.date("asOf") or call.context.today
    if call.id is not None:
        record = await _stored(call, call.id)
    else:
        record = _given(call.context, arguments.one("patient"), arguments.all("responses"))
    policy = await policies.applying(call.context, as_of, arguments.text("policy"), arguments.text("jurisdiction"))
    answer = await _judged(call.context, record, as_of, policy, call.language)
    return Reply(200, json.dump(answer), headers=(("cache-control", "no-store"),))


async def of_answers(context: Context, response: Resource, language: str) -> Resource:
    """What the operation says today of somebody without a name: a QuestionnaireResponse, of which nothing is kept."""
    policy = await policies.applying(context, context.today, None, None)
    return await _judged(context, _given(context, None, [response]), context.today, policy, language)


async def _judged(
    context: Context, record: facts.Record, as_of: date, policy: policies.Policies, language: str
) -> Resource:
    known = facts.read(record, as_of)
    decision = combined.decide(known, policy.groups, as_of, forecasts.of(record, known, as_of))
    questions = await _questions(context, language) if decision.missing else {}
    parameters = list(_parameters(decision, policy.unreadable, questions, language))
    return {"resourceType": "Parameters", "parameter": parameters}


def _given(context: Context, patient: Resource | None, responses: Sequence[Resource]) -> facts.Record:
    settings = context.settings
    person = patient or {"resourceType": "Patient"}
    return facts.Record(person, answers=responses, base=settings.base, zone=settings.time_zone)


async def _stored(call: Call, resource_id: str) -> facts.Record:
    if call.arguments.one("patient") is not None:
        text = "The patient is named by the address; 'patient' is for the type level."
        raise refuse(400, "invalid", "unexpected-parameter", text, "patient")
    context = call.context
    patient = await context.store.read(call.caller, call.predicate, "Patient", resource_id)
    return await people.one(context, call.caller, call.predicate, patient, call.arguments.all("responses"))


async def _questions(context: Context, language: str) -> Mapping[str, str]:
    """The text of every question of the registration questionnaire, by linkId, in the reader's language."""
    wanted = [("Questionnaire", vocabulary.REGISTRATION.rpartition("/")[2])]
    rows = await context.store.read_many(SERVER, allow_all, wanted)
    items = [item for row in rows for item in json.parse(row.raw or b"{}").get("item", ())]
    return {item["linkId"]: vocabulary.translated(item, "text", language) or "" for item in items}


def _parameters(
    decision: Decision, unreadable: Sequence[tuple[str, str]], questions: Mapping[str, str], language: str
) -> Iterator[Resource]:
    yield {"name": "status", "valueCode": decision.status}
    if decision.group is not None:
        reference = {"reference": decision.group.reference, "display": _title(decision.group, language)}
        yield {"name": "group", "valueReference": reference}
        yield from _policy(decision.group)
    for reason in decision.reasons:
        yield {"name": "reason", "part": list(_reason(reason, language))}
    for group, problem in unreadable:
        text = sentence(
            "eligibility", "group-unreadable", language, {"group": group, "problem": said(problem, language)}
        )
        code = {"name": "code", "valueCode": "group-unreadable"}
        yield {"name": "reason", "part": [code, {"name": "text", "valueString": text}]}
    for name in decision.missing:
        text = questions.get(name) or vocabulary.display(vocabulary.CRITERION, name, language)
        yield {
            "name": "missing",
            "part": [{"name": "linkId", "valueString": name}, {"name": "text", "valueString": text}],
        }
    if decision.opens_on is not None:
        yield {"name": "opensOn", "valueDate": decision.opens_on.isoformat()}
    if decision.next_dose is not None:
        dose = decision.next_dose
        days = (("earliest", dose.earliest), ("recommended", dose.recommended), ("pastDue", dose.past_due))
        yield {
            "name": "nextDose",
            "part": [{"name": name, "valueDate": day.isoformat()} for name, day in days if day is not None],
        }
    if decision.dose_from is not None:
        yield {"name": "doseFrom", "valueDate": decision.dose_from.isoformat()}


def _policy(group: Group) -> Iterator[Resource]:
    """Whose policy the Group belongs to."""
    yield {"name": "policy", "valueString": group.policy.identifier}
    if group.policy.authority is not None:
        yield {"name": "authority", "valueString": group.policy.authority}
    if group.policy.jurisdiction is not None:
        yield {"name": "jurisdiction", "valueCode": group.policy.jurisdiction}


def _reason(reason: Reason, language: str) -> Iterator[Resource]:
    yield {"name": "code", "valueCode": reason.code}
    if reason.met is not None:
        yield {"name": "met", "valueBoolean": reason.met}
    if reason.fact is not None:
        yield {"name": "fact", "valueString": reason.fact.name}
    if reason.source is not None:
        where = {"reference": reason.source.reference} if reason.source.reference else {}
        yield {"name": "source", "valueReference": {**where, "display": reason.source.attester}}
        if reason.source.by is not None:
            yield {"name": "attester", "valueReference": {"reference": reason.source.by}}
        if reason.source.since is not None:
            yield {"name": "since", "valueDate": reason.source.since.isoformat()}
    yield {"name": "text", "valueString": sentence(reason.family, reason.sentence, language, _named(reason, language))}


def _named(reason: Reason, language: str) -> dict[str, object]:
    """The details with phases and codes named in the language."""
    named: dict[str, object] = dict(reason.details)
    if reason.group is not None:
        named["phase"] = _title(reason.group, language)
    system = _SYSTEMS.get(reason.code, "")
    for name, value in reason.details.items():
        if isinstance(value, frozenset):
            named[name] = ", ".join(vocabulary.display(system, code, language) for code in sorted(value))
        elif name == "observation" and isinstance(value, str):
            named[name] = vocabulary.display(histories.OBSERVATION, value, language)
    return named


def _title(group: Group, language: str) -> str:
    return group.titles.get(language) or group.titles.get("en") or group.phase
