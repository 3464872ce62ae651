"""Caller: who asks, and the predicate that every store call adds to what they ask.

https://hl7.org/fhir/R4/security.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from fhir_server.fhir.condition import EVERYTHING, Condition

Predicate = Callable[[str], Condition]
"""Resource type -> the condition a resource of that type must satisfy to exist for this caller."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user or system, as its token says. `subject` is a stable opaque name (never a person's)."""

    subject: str
    roles: frozenset[str] = field(default_factory=frozenset)
    """Of: recipient, provider, employer, registry, analyst, administrator."""
    client: str = ""
    """Id of the client (the app or system) that acts; empty for the server itself."""
    scopes: tuple[str, ...] = ()
    """Granted SMART scopes, as they stand in the token."""
    patients: frozenset[str] = field(default_factory=frozenset)
    """Ids of the Patients a recipient acts as, or for as their proxy."""
    patient: str = ""
    """Id of the Patient in the launch context, to which `patient/` scopes are bound."""
    practitioner: str = ""
    """Id of the Practitioner a provider is."""
    organization: str = ""
    """Id of the Organization a provider, employer or registry client belongs to."""
    purpose: str = ""
    """Why a break-glass read was asked for; empty otherwise."""


DEVELOPER = Caller("dev", frozenset({"administrator"}))
"""Everybody under `--dev`."""

SERVER = Caller("server", frozenset({"administrator"}))
"""The server's own housekeeping: loading shipped data, sequencing the feed."""


def allow_all(resource_type: str) -> Condition:
    """The predicate under `--dev`: every resource exists for everybody."""
    return EVERYTHING
