"""Plausible: what is odd about Immunizations that are written, told beside the answer or refused.

https://hl7.org/fhir/R4/immunization.html

The patient's birth date and, where a dose has a number, the doses before it are read as far as they exist for the
caller; of people sent in the same Bundle, their birth date is known from there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.caller import Caller, Predicate, to
from fhir_server.context import Context
from fhir_server.domain.plausibility import Finding, findings
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.interactions import doses
from profiles.issue import Severity

Resource = dict[str, Any]


async def judge(context: Context, caller: Caller, predicate: Predicate, resource: Resource) -> tuple[Issue, ...]:
    """What is to be said of a resource that is about to be written, valid R4; nothing of other types.

    FhirError 422 where a setting refuses it.
    """
    if resource["resourceType"] != "Immunization" or not _is_on(context):
        return ()
    return settle(context, await issues(context, caller, predicate, resource))


async def judge_all(
    context: Context, caller: Caller, predicate: Predicate, written: Mapping[str, Resource]
) -> dict[str, Sequence[Issue] | FhirError]:
    """Likewise for resources that are written together, by their references: what to say of each, or its refusal.
    Nothing stands for those of which there is nothing to say."""
    given = {at: each for at, each in written.items() if each["resourceType"] == "Immunization"}
    if not given or not _is_on(context):
        return {}
    around = doses.Around({at: each for at, each in written.items() if each["resourceType"] == "Patient"})
    for at, each in given.items():
        named = doses.patient(context, each)
        if named is not None:
            around.together.setdefault(named, []).append({**each, "id": at.partition("/")[2]})
    missing = [("Patient", named.partition("/")[2]) for named in around.together if named not in around.people]
    around.people.update((f"Patient/{id}", None) for _, id in missing)
    for row in await context.store.read_many(caller, to(predicate, "r"), missing) if missing else ():
        around.people[f"Patient/{row.id}"] = json.parse(row.raw or b"{}")
    found: dict[str, Sequence[Issue] | FhirError] = {}
    for at, each in given.items():
        dose = {**each, "id": at.partition("/")[2]}
        try:
            told = settle(context, await issues(context, caller, predicate, dose, around))
        except FhirError as error:
            found[at] = error
        else:
            if told:
                found[at] = told
    return found


async def issues(
    context: Context, caller: Caller, predicate: Predicate, resource: Resource, around: doses.Around | None = None
) -> list[Issue]:
    """Every rule an Immunization breaks, with the severity of the rule."""
    if resource.get("status") != "completed":
        return []
    dose = await doses.dose(context, caller, to(predicate, "r"), resource, around or doses.Around())
    return [_issue(found) for found in findings(dose)]


def _is_on(context: Context) -> bool:
    return context.settings.plausibility != "off" or context.settings.plausibility_doubts != "off"


def settle(context: Context, found: Iterable[Issue]) -> tuple[Issue, ...]:
    """Those issues that the settings let be told, all warnings. FhirError 422 with those they refuse."""
    told = weighed(context, found)
    refused = [issue for issue in told if issue.severity == "error"]
    if refused:
        raise FhirError(422, refused)
    return tuple(told)


def weighed(context: Context, found: Iterable[Issue]) -> list[Issue]:
    """Those issues that the settings let be told: errors where a write would be refused, else warnings."""
    modes = {"error": context.settings.plausibility, "warning": context.settings.plausibility_doubts}
    severities: dict[str, Severity] = {"refuse": "error", "warn": "warning"}
    return [
        replace(issue, severity=severities[modes[issue.severity]])
        for issue in found
        if modes[issue.severity] in severities
    ]


def _issue(found: Finding) -> Issue:
    rule = found.rule
    place = (f"Immunization.{rule.element}",)
    return Issue("business-rule", rule.code, found.english, place, rule.severity, found.spanish)
