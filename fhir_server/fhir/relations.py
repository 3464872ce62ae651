"""Relations: the keys by which resources say which organizations they belong to, came from, and are open to.

https://hl7.org/fhir/R4/security.html

They stand side by side in the index entries' `org`, which has an index.
"""

from fhir_server.fhir.condition import SEPARATOR

SEES = f"sees{SEPARATOR}"
"""Begins the key of an organization that has a relationship with the patient whom a resource is about."""
BY = f"by{SEPARATOR}"
"""Begins the key of the organization that submitted a resource."""


def own(organization: str) -> str:
    """The key of a resource that names the Organization with this id as its own (`index.OWNERS`)."""
    return f"Organization/{organization}"


def sees(organization: str) -> str:
    """The key of a resource that is open to the Organization with this id."""
    return f"{SEES}Organization/{organization}"


def wrote(organization: str) -> str:
    """The key of a resource that the Organization with this id submitted."""
    return f"{BY}Organization/{organization}"


REASONS = ("registered", "roster", "treated", "matched")
"""Why an organization has a relationship with a patient: it registered them, has them on a roster, treated them, or
found them, certainly, in a match made for care."""

TREATMENTS = frozenset({"Immunization", "Encounter", "EpisodeOfCare", "MedicationAdministration", "Procedure"})
"""Types that say that the organizations they name as their own treat the patient."""

UNTIED = frozenset({"AuditEvent", "Group"})
"""Types in the patient's compartment that a relationship does not open: a roster shows all the others on it."""

DO_NOT_SHARE = f"category{SEPARATOR}https://fhir-server.example/fhir/CodeSystem/consent-category|do-not-share"
ACTIVE = f"status{SEPARATOR}*|active"
