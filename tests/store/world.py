"""What the store's tests are made of: a clock, callers' views, and small resources with their entries."""

from typing import Any

from fhir_server.caller import DEVELOPER, Caller, Predicate, allow_all
from fhir_server.fhir import json
from fhir_server.fhir.condition import EVERYTHING, Condition, Keys
from fhir_server.fhir.index import entries
from fhir_server.store.records import Claim, Create, Update

TYPES = ("Group", "Immunization", "Observation", "Organization", "Patient")
START = 1_767_323_045_000_000
"""2026-01-02T03:04:05Z in microseconds."""

ANYBODY: tuple[Caller, Predicate] = (DEVELOPER, allow_all)


class Clock:
    """Microseconds from START, a millisecond further each time it is read."""

    def __init__(self, start: int = START) -> None:
        self.time = start

    def __call__(self) -> int:
        self.time += 1_000
        return self.time


def only(resource_type: str, condition: Condition) -> tuple[Caller, Predicate]:
    """A caller for whom, of one type, only what satisfies the condition exists."""
    return Caller("limited"), lambda asked: condition if asked == resource_type else EVERYTHING


def patient_of(organization: str) -> tuple[Caller, Predicate]:
    """A caller for whom only the patients of one organization exist."""
    return only("Patient", Keys("org", (f"Organization/{organization}",)))


def patient(number: int = 1, family: str = "Smith", organization: str | None = None, **more: Any) -> dict[str, Any]:
    """A Patient with identifier `urn:test|number`."""
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:test", "value": str(number)}],
        "name": [{"family": family, "given": ["Ann"]}],
        **more,
    }
    if organization is not None:
        resource["managingOrganization"] = {"reference": f"Organization/{organization}"}
    return resource


def create(id: str, resource: dict[str, Any], unless: Claim | None = None, must_create: bool = False) -> Create:
    """The write that creates this resource."""
    found = entries(resource, "", id)
    return Create(resource["resourceType"], id, json.dump(resource), found, unless, must_create)


def update(id: str, resource: dict[str, Any], expected: int | None = None, may_create: bool = True) -> Update:
    """The write that puts this resource."""
    found = entries(resource, "", id)
    return Update(resource["resourceType"], id, json.dump(resource), found, expected, may_create)


def identifier(number: int) -> Keys:
    """The condition `identifier=urn:test|number`."""
    return Keys("tk", (f"identifier␟urn:test|{number}",))


def claim(number: int) -> Claim:
    """`If-None-Exist: identifier=urn:test|number`."""
    return Claim(f"identifier=urn:test|{number}", identifier(number))
