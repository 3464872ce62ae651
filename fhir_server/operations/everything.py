"""$everything: all that belongs to a patient, with what it refers to.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from collections.abc import Iterator

from fhir_server.fhir import compartments
from fhir_server.fhir.condition import EVERYTHING, All, Any, Condition, Prefix
from fhir_server.fhir.criteria import filter
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.compartments import types_of
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.several import Asked, chosen, page
from fhir_server.operations.registry import Call
from profiles.definitions import RESOURCE_TYPES

CARE_DATES = {
    "AdverseEvent": "date", "AllergyIntolerance": "onset", "Appointment": "date", "CarePlan": "date",
    "CareTeam": "date", "ChargeItem": "occurrence", "Claim": "created", "ClinicalImpression": "date",
    "Communication": "sent", "CommunicationRequest": "occurrence", "Composition": "date", "Condition": "onset-date",
    "DetectedIssue": "identified", "DeviceRequest": "event-date", "DiagnosticReport": "date",
    "DocumentManifest": "created", "DocumentReference": "date", "Encounter": "date", "EpisodeOfCare": "date",
    "ExplanationOfBenefit": "created", "Flag": "date", "Goal": "start-date", "ImagingStudy": "started",
    "Immunization": "date", "ImmunizationEvaluation": "date", "ImmunizationRecommendation": "date",
    "MedicationAdministration": "effective-time", "MedicationDispense": "whenhandedover",
    "MedicationRequest": "authoredon", "MedicationStatement": "effective", "NutritionOrder": "datetime",
    "Observation": "date", "Procedure": "date", "QuestionnaireResponse": "authored", "RequestGroup": "authored",
    "RiskAssessment": "date", "ServiceRequest": "occurrence", "Specimen": "collected",
    "SupplyRequest": "date", "VisionPrescription": "datewritten",
}  # fmt: skip
"""Search parameter that tells when the care took place that a resource is about; other types have no such date."""

_GROUP = "Group"


async def everything(call: Call) -> Reply:
    """200 with a page of the patient's record: the Patient first, then type by type, and what they refer to.

    FhirError 404 or 410 for the patient, 400 for a wrong argument. Without `_count` a page is as large as pages can be.
    """
    context = call.context
    if call.id is not None:
        await context.store.read(call.caller, call.predicate, "Patient", call.id)
    members = types_of("Patient")
    beyond = frozenset(RESOURCE_TYPES) - set(members)
    wanted = call.arguments.all("_type")
    named = frozenset(chosen(call.predicate, sorted(RESOURCE_TYPES), wanted)) if wanted else None
    if named is None:
        # A roster names everybody on it: it is part of one patient's record only for those who ask for it.
        types = tuple(each for each in chosen(call.predicate, members, ()) if each != _GROUP)
    else:
        types = tuple(each for each in members if each in named or named & beyond)
    asked = Asked(
        "/".join(part for part in (context.settings.base, "Patient", call.id, "$everything") if part),
        types,
        lambda each: All(tuple(_conditions(call, each))),
        _limit(call),
        tuple(_understood(call)),
        beyond if named is None else beyond & named,
        shown=named,
        shape=call.shape,
    )
    return await page(context, call.caller, call.predicate, asked, call.page)


def _conditions(call: Call, resource_type: str) -> Iterator[Condition]:
    if call.id is not None:
        yield compartments.compartment("Patient", call.id, resource_type)
    else:
        # Everybody this caller may see; the store adds who that is.
        yield EVERYTHING if resource_type == "Patient" else Prefix("pt", "Patient/")
    since = call.arguments.text("_since")
    if since is not None:
        yield _filter(resource_type, "_lastUpdated", f"ge{since}")
    name = CARE_DATES.get(resource_type)
    for argument, prefix in (("start", "ge"), ("end", "le")):
        day = call.arguments.text(argument)
        if day is not None and name is not None:
            yield Any((_filter(resource_type, name, prefix + day), _filter(resource_type, f"{name}:missing", "true")))


def _filter(resource_type: str, name: str, value: str) -> Condition:
    found = filter(resource_type, name, value)
    assert isinstance(found, Condition)
    return found


def _limit(call: Call) -> int:
    most = call.context.settings.max_page_size
    count = call.arguments.one("_count")
    if count is None:
        return most
    if count < 1:
        raise refuse(400, "value", "invalid-value", f"_count must be 1 or more, not {count}.", "_count")
    return min(int(count), most)


def _understood(call: Call) -> Iterator[tuple[str, str]]:
    for name in ("start", "end", "_since", "_type", "_count"):
        for value in call.arguments.all(name):
            yield name, str(value)
