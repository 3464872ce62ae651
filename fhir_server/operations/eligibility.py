"""$vaccine-eligibility: may this person be vaccinated now, and why.

https://hl7.org/fhir/R4/operations.html
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from fhir_server.domain import eligibility
from fhir_server.domain.eligibility import Decision, Reason
from fhir_server.domain.phases import Group, in_force
from fhir_server.domain.sentences import sentence
from fhir_server.fhir import json
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.search import gather
from fhir_server.operations import facts, phases, vocabulary
from fhir_server.operations.registry import Call

Resource = dict[str, Any]

_PHASES = Keys("tk", (f"code{SEPARATOR}{vocabulary.GROUP_KIND}|eligibility-phase",))
_SYSTEMS = {
    "occupation": vocabulary.OCCUPATION,
    "residence": vocabulary.RESIDENCE,
    "high-risk-conditions": vocabulary.CONDITION,
    "roster-membership": vocabulary.ROSTER_KIND,
}


async def decide(call: Call) -> Reply:
    """200 with the decision. FhirError 404 or 410 for the patient, 400 for a policy or jurisdiction nobody knows."""
    as_of = call.arguments.date("asOf") or _today(call)
    record = await (_stored(call, call.id) if call.id is not None else _given(call))
    groups, unreadable = await _groups(call, as_of)
    decision = eligibility.decide(facts.read(record, as_of), groups, as_of)
    questions = await _questions(call) if decision.missing else {}
    parameters = list(_parameters(decision, unreadable, questions, call.language))
    body = json.dump({"resourceType": "Parameters", "parameter": parameters})
    return Reply(200, body, headers=(("cache-control", "no-store"),))


async def _given(call: Call) -> facts.Record:
    patient = call.arguments.one("patient") or {"resourceType": "Patient"}
    return facts.Record(patient, answers=call.arguments.all("responses"), base=call.context.settings.base)


async def _stored(call: Call, resource_id: str) -> facts.Record:
    if call.arguments.one("patient") is not None:
        text = "The patient is named by the address; 'patient' is for the type level."
        raise refuse(400, "invalid", "unexpected-parameter", text, "patient")
    context = call.context
    patient = await context.store.read(call.caller, call.predicate, "Patient", resource_id)

    async def about(resource_type: str, parameter: str) -> list[Resource]:
        where = Keys("tk", (f"{parameter}{SEPARATOR}Patient/{resource_id}",))
        rows = await gather(context, call.caller, call.predicate, resource_type, where)
        return [json.parse(row.raw or b"{}") for row in rows]

    async def rosters() -> list[Resource]:
        """The Groups, each with the one member that counts; large ones are stored without members."""
        names = [f"Patient/{resource_id}", f"{context.settings.base}/Patient/{resource_id}"]
        groups = [group for group in await about("Group", "member") if facts.may_be_roster(group)]
        for group in groups:
            held = await context.store.find_members(call.caller, call.predicate, group["id"], names)
            group["member"] = [json.parse(member.raw) for member in held.values()]
        return groups

    responses, groups, immunizations, consents = await asyncio.gather(
        about("QuestionnaireResponse", "subject"),
        rosters(),
        about("Immunization", "patient"),
        about("Consent", "patient"),
    )
    return facts.Record(
        json.parse(patient.raw or b"{}"),
        responses,
        groups,
        immunizations,
        consents,
        call.arguments.all("responses"),
        context.settings.base,
    )


async def _groups(call: Call, as_of: date) -> tuple[Sequence[Group], Sequence[tuple[str, str]]]:
    """The Groups of the policy that applies, and references of phase Groups that cannot be read, each with why."""
    policy, jurisdiction = call.arguments.text("policy"), call.arguments.text("jurisdiction")
    known: list[Group] = []
    unreadable: list[tuple[str, str]] = []
    for row in await gather(call.context, call.caller, call.predicate, "Group", _PHASES):
        found = _phase(row.raw or b"{}", f"Group/{row.id}/_history/{row.version}")
        if isinstance(found, Group):
            known.append(found)
        elif found is not None:
            unreadable.append((f"Group/{row.id}", found))
    _require_known("policy", policy, {group.policy.identifier for group in known})
    _require_known("jurisdiction", jurisdiction, {group.policy.jurisdiction or "" for group in known})
    if policy is None and jurisdiction is None:
        jurisdiction = call.context.settings.jurisdiction
    return in_force(known, as_of, policy, jurisdiction), unreadable


@lru_cache(maxsize=512)
def _phase(raw: bytes, reference: str) -> Group | str | None:
    """The phase, why it cannot be read, or None where it is not in use. Versions never change: read each once."""
    resource = json.parse(raw)
    if not phases.is_phase(resource):
        return None
    try:
        return phases.read(resource, reference)
    except ValueError as problem:
        return str(problem)


def _require_known(name: str, asked: str | None, known: set[str]) -> None:
    if asked is not None and asked not in known:
        text = f"No phase of the {name} '{asked}' is known here. Known: {', '.join(sorted(known)) or 'none'}."
        raise refuse(400, "value", f"unknown-{name}", text, name)


async def _questions(call: Call) -> Mapping[str, str]:
    """The text of every question of the registration questionnaire, by linkId, in the reader's language."""
    wanted = [("Questionnaire", vocabulary.REGISTRATION.rpartition("/")[2])]
    rows = await call.context.store.read_many(call.caller, call.predicate, wanted)
    items = [item for row in rows for item in json.parse(row.raw or b"{}").get("item", ())]
    return {item["linkId"]: vocabulary.translated(item, "text", call.language) or "" for item in items}


def _parameters(
    decision: Decision, unreadable: Sequence[tuple[str, str]], questions: Mapping[str, str], language: str
) -> Iterator[Resource]:
    yield {"name": "status", "valueCode": decision.status}
    if decision.group is not None:
        reference = {"reference": decision.group.reference, "display": _title(decision.group, language)}
        yield {"name": "group", "valueReference": reference}
    for reason in decision.reasons:
        yield {"name": "reason", "part": list(_reason(reason, language))}
    for group, problem in unreadable:
        text = sentence("eligibility", "group-unreadable", language, {"group": group, "problem": problem})
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


def _reason(reason: Reason, language: str) -> Iterator[Resource]:
    yield {"name": "code", "valueCode": reason.code}
    if reason.met is not None:
        yield {"name": "met", "valueBoolean": reason.met}
    if reason.fact is not None:
        yield {"name": "fact", "valueString": reason.fact.name}
    if reason.source is not None:
        where = {"reference": reason.source.reference} if reason.source.reference else {}
        yield {"name": "source", "valueReference": {**where, "display": reason.source.attester}}
        if reason.source.since is not None:
            yield {"name": "since", "valueDate": reason.source.since.isoformat()}
    yield {"name": "text", "valueString": sentence("eligibility", reason.sentence, language, _named(reason, language))}


def _named(reason: Reason, language: str) -> dict[str, object]:
    """The details with phases and codes named in the language."""
    named: dict[str, object] = dict(reason.details)
    if reason.group is not None:
        named["phase"] = _title(reason.group, language)
    system = _SYSTEMS.get(reason.code, "")
    for name, value in reason.details.items():
        if isinstance(value, frozenset):
            named[name] = ", ".join(vocabulary.display(system, code, language) for code in sorted(value))
    return named


def _title(group: Group, language: str) -> str:
    return group.titles.get(language) or group.titles.get("en") or group.phase


def _today(call: Call) -> date:
    return datetime.fromtimestamp(call.context.clock() / 1_000_000, UTC).date()
