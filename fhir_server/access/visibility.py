"""Visibility: what exists for each role, apart from scopes, and what each role may write, as conditions.

https://hl7.org/fhir/R4/security.html#authorization

Pure. Decision 29 has the table and its reasons. What is about a patient is seen by the patient, and by organizations
that have a relationship with the patient (store/relations.py writes them into the index entries as `sees` keys).
"""

from fhir_server.caller import SERVER_OWNED, Caller, Verb
from fhir_server.fhir.compartments import compartment
from fhir_server.fhir.condition import EVERYTHING, NOTHING, All, Any, Condition, Keys, Not, Prefix
from fhir_server.fhir.criteria import filter
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import compartments
from fhir_server.fhir.relations import BY, own, sees, wrote

IN_PATIENT = frozenset(compartments()["Patient"])
"""The types that can be in a patient's compartment."""

SHARED = frozenset(
    {
        *("ActivityDefinition", "CapabilityStatement", "ChargeItemDefinition", "CodeSystem", "CompartmentDefinition"),
        *("ConceptMap", "DeviceDefinition", "Endpoint", "EventDefinition", "ExampleScenario", "GraphDefinition"),
        *("HealthcareService", "ImplementationGuide", "InsurancePlan", "Library", "Location", "Measure", "Medication"),
        *("MedicationKnowledge", "MessageDefinition", "NamingSystem", "ObservationDefinition", "OperationDefinition"),
        *("Organization", "OrganizationAffiliation", "PlanDefinition", "Practitioner", "PractitionerRole"),
        *("Questionnaire", "SearchParameter", "Slot", "SpecimenDefinition", "StructureDefinition", "StructureMap"),
        *("Substance", "TerminologyCapabilities", "ValueSet"),
    }
)
"""Vaccine knowledge, conformance and directories: no personal data, read by all who are signed in."""

RESTRICTED = ("R", "V")
"""Codes of confidentiality that hide a resource from organizations other than its own."""

OF_RECIPIENTS = frozenset(
    {"QuestionnaireResponse", "Consent", "Appointment", "AppointmentResponse", "Communication", "CommunicationRequest"}
)
"""What recipients write about themselves."""

_OF_EMPLOYERS = frozenset({"Patient", "Group", "Task"})
"""What employers see of people: who is on their rosters. Never what they were vaccinated with."""

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_RESTRICTED = Keys("lb", tuple(f"{_CONFIDENTIALITY}|{code}" for code in RESTRICTED))
STEWARDS = frozenset({"administrator", "registry"})


def is_steward(caller: Caller) -> bool:
    """Whether the caller keeps everybody's records: an administrator, or a registry's own system, which belongs to no
    single organization."""
    return "administrator" in caller.roles or ("registry" in caller.roles and not caller.organization)


def readable(caller: Caller, patients: frozenset[str], resource_type: str) -> Condition:
    """What of this type exists for the caller's roles. `patients` are those they act for today."""
    if is_steward(caller) or resource_type in SHARED:
        return EVERYTHING
    parts = [_of_nobody(resource_type)]
    if "recipient" in caller.roles:
        parts.append(_of_patients(patients, resource_type))
    if caller.organization:
        parts += _of_organization(caller, resource_type)
        if caller.emergency and "provider" in caller.roles:
            parts.append(_of_patients(frozenset({caller.emergency}), resource_type))
    return either(parts)


def is_statistician(caller: Caller) -> bool:
    """Whether the caller learns numbers of people whom they may not see."""
    return "analyst" in caller.roles and not is_steward(caller)


def countable(caller: Caller, patients: frozenset[str], resource_type: str) -> Condition:
    """What of this type the caller's roles may count."""
    if is_statistician(caller) and resource_type in IN_PATIENT - {"AuditEvent"}:
        return EVERYTHING
    return readable(caller, patients, resource_type)


def writable(caller: Caller, patients: frozenset[str], verb: Verb, resource_type: str) -> Condition:
    """Which resources of this type the caller's roles may create (`c`), change (`u`) or delete (`d`); of a change it
    must hold before and after."""
    if resource_type in SERVER_OWNED:
        return NOTHING
    if is_steward(caller):
        return EVERYTHING
    parts: list[Condition] = []
    if "recipient" in caller.roles and resource_type in OF_RECIPIENTS and verb != "d":
        parts.append(_of_patients(patients, resource_type))
    if caller.organization and resource_type not in SHARED:
        parts += _written_by(caller, verb, resource_type)
    return either(parts)


def in_compartment(patient: str, resource_type: str) -> Condition:
    """What of this type `patient/` scopes are about: the compartment of the patient in the launch context, and what
    belongs to nobody. Rosters are in the compartment of everybody on them, but show all the others: they are not."""
    if resource_type in SHARED:
        return EVERYTHING
    return either([_of_nobody(resource_type), _of_patients(frozenset({patient} if patient else ()), resource_type)])


def both(parts: list[Condition]) -> Condition:
    """All of these, told as simply as possible."""
    left = [part for part in dict.fromkeys(parts) if part != EVERYTHING]
    if NOTHING in left:
        return NOTHING
    return left[0] if len(left) == 1 else All(tuple(left))


def either(parts: list[Condition]) -> Condition:
    """Any of these, told as simply as possible."""
    left = [part for part in dict.fromkeys(parts) if part != NOTHING]
    if EVERYTHING in left:
        return EVERYTHING
    return left[0] if len(left) == 1 else Any(tuple(left))


def _of_nobody(resource_type: str) -> Condition:
    """What of a personal type is nobody's: phases (definitional Groups), the schedules of places."""
    if resource_type == "Group":
        return _filter("Group", "actual", "false")
    if resource_type == "Schedule":
        return Not(Prefix("pt", "Patient/"))
    return NOTHING


def _of_patients(patients: frozenset[str], resource_type: str) -> Condition:
    if resource_type not in IN_PATIENT or resource_type == "Group":
        return NOTHING
    return either([compartment("Patient", patient, resource_type) for patient in sorted(patients)])


def _of_organization(caller: Caller, resource_type: str) -> list[Condition]:
    if not caller.roles & {"provider", "registry"} and resource_type not in _OF_EMPLOYERS:
        return [Keys("org", (wrote(caller.organization),))] if "employer" in caller.roles else []
    if not caller.roles & {"provider", "registry", "employer"} or resource_type == "AuditEvent":
        return []
    theirs = Keys("org", (own(caller.organization), wrote(caller.organization)))
    if resource_type == "Group":
        return [theirs]
    if resource_type == "Task":
        return [theirs, *_tasks(caller)]
    if resource_type not in IN_PATIENT:
        return [theirs]
    related = Keys("org", (*theirs.keys, sees(caller.organization)))
    return [both([related, either([Not(_RESTRICTED), theirs])])]


def _written_by(caller: Caller, verb: Verb, resource_type: str) -> list[Condition]:
    is_provider = bool(caller.roles & {"provider", "registry"})
    if not is_provider and ("employer" not in caller.roles or resource_type not in _OF_EMPLOYERS):
        return []
    mine = Keys("org", (wrote(caller.organization),))
    # What came before there was a submitter to record belongs to the organization it names.
    inherited = both([Keys("org", (own(caller.organization),)), Not(Prefix("org", BY))])
    if resource_type == "Patient":
        # Whoever treats a person keeps the address right; people are deleted by stewards.
        related = Keys("org", (sees(caller.organization), own(caller.organization), wrote(caller.organization)))
        return [] if verb == "d" else [related if is_provider else either([mine, inherited])]
    if resource_type == "Group":
        return [Keys("org", (own(caller.organization),))]
    if resource_type == "Task" and verb == "u":
        return [mine, inherited, *_tasks(caller)]
    return [mine, inherited]


def _tasks(caller: Caller) -> list[Condition]:
    who = f"Organization/{caller.organization}"
    return [_filter("Task", "requester", who), _filter("Task", "owner", who)]


def _filter(resource_type: str, name: str, value: str) -> Condition:
    found = filter(resource_type, name, value)
    if not isinstance(found, Condition):
        raise refuse(500, "exception", "internal", f"{name} of {resource_type} leads through other resources.")
    return found
