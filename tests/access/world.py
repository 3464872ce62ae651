"""The world of the access tests: two clinics, an employer, their people, and something of every kind about each."""

from typing import Any

from fhir_server.caller import Caller

Resource = dict[str, Any]

BASE = "https://access.example/fhir"

STEWARD = Caller("steward", frozenset({"registry"}), "registry", ("system/*.cruds",))

PEOPLE = {"ann": "north", "ben": "south", "cat": "north", "dan": "north", "fay": "south"}
"""Patient -> who registered and treated them. cat is ann's child; dan is also on the plant's roster; fay, whom both
clinics treated, does not want her record shared."""

ABOUT = (
    *("Immunization", "Observation", "Condition", "Encounter", "Consent", "QuestionnaireResponse"),
    *("AllergyIntolerance", "DocumentReference", "Communication", "Coverage"),
)
"""Types of which everybody has one, with the id `<type>-<person>`."""

DIRECTORY = ("Organization", "Practitioner", "Location", "CodeSystem", "Questionnaire")

CATEGORY = "https://fhir-server.example/fhir/CodeSystem/consent-category"


def reference(kind: str, id: str) -> Resource:
    return {"reference": f"{kind}/{id}"}


def concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def patient(id: str, organization: str, **more: Any) -> Resource:
    name = [{"family": f"Family{id}", "given": [id.capitalize()]}]
    identifier = [{"system": "urn:people", "value": id}]
    return {
        "resourceType": "Patient", "id": id, "name": name, "identifier": identifier, "birthDate": "1980-05-05",
        "managingOrganization": reference("Organization", organization), **more,
    }  # fmt: skip


def about(kind: str, person: str, organization: str, **more: Any) -> Resource:
    """A resource of this type about this person, from this organization."""
    subject = reference("Patient", person)
    test = concept("urn:tests", f"code-{person}")
    bodies: dict[str, Resource] = {
        "Immunization": {
            "status": "completed", "patient": subject, "occurrenceDateTime": "2021-01-05",
            "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "207"),
            "performer": [{"actor": reference("Organization", organization)}],
        },
        "Observation": {"status": "final", "code": test, "subject": subject},
        "Condition": {"subject": subject, "code": test},
        "Encounter": {
            "status": "finished", "class": {"code": "AMB"}, "subject": subject,
            "serviceProvider": reference("Organization", organization),
        },
        "Consent": {
            "status": "active", "patient": subject, "category": [concept(CATEGORY, "no-contact")],
            "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
            "policyRule": {"text": "house rules"},
        },
        "QuestionnaireResponse": {"status": "completed", "subject": subject, "questionnaire": "urn:registration"},
        "AllergyIntolerance": {"patient": subject, "code": test},
        "DocumentReference": {
            "status": "current", "subject": subject, "content": [{"attachment": {"title": f"of {person}"}}],
        },
        "Communication": {"status": "completed", "subject": subject},
        "Coverage": {"status": "active", "beneficiary": subject, "payor": [reference("Organization", organization)]},
    }  # fmt: skip
    return {"resourceType": kind, "id": f"{kind}-{person}", **bodies[kind], **more}


def directory() -> list[Resource]:
    """What belongs to nobody."""
    return [
        *({"resourceType": "Organization", "id": each, "name": each} for each in ("north", "south", "plant")),
        *({"resourceType": "Practitioner", "id": f"doctor-{each}"} for each in ("north", "south")),
        {"resourceType": "Location", "id": "hall", "name": "Hall"},
        {"resourceType": "CodeSystem", "id": "codes", "status": "active", "content": "complete", "url": "urn:codes"},
        {"resourceType": "Questionnaire", "id": "form", "status": "active", "url": "urn:form"},
        {"resourceType": "Group", "id": "phase", "type": "person", "actual": False},
    ]


def resources() -> list[tuple[Caller, list[Resource]]]:
    """Everything, by who writes it, in order."""
    plant = {
        "resourceType": "Group", "id": "roster-plant", "type": "person", "actual": True,
        "managingEntity": reference("Organization", "plant"), "member": [{"entity": reference("Patient", "dan")}],
    }  # fmt: skip
    south = {
        "resourceType": "Group", "id": "roster-south", "type": "person", "actual": True,
        "managingEntity": reference("Organization", "south"), "member": [{"entity": reference("Patient", "ben")}],
    }  # fmt: skip
    tasks = [
        {
            "resourceType": "Task", "id": f"task-{each}", "status": "requested", "intent": "proposal",
            "requester": reference("Organization", each),
        }
        for each in ("north", "south", "plant")
    ]  # fmt: skip
    people = [patient(id, organization) for id, organization in PEOPLE.items()]
    records = [about(kind, id, organization) for id, organization in PEOPLE.items() for kind in ABOUT]
    secret = about("Observation", "ann", "north", id="secret-ann")
    secret["meta"] = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    shared = about("Encounter", "fay", "north", id="visit-fay")
    unshared = about("Consent", "fay", "south", id="silence-fay", category=[concept(CATEGORY, "do-not-share")])
    return [
        (STEWARD, directory()),
        (STEWARD, [*people, plant, south, *tasks]),
        (STEWARD, [*records, secret, shared]),
        (STEWARD, [unshared]),
    ]
