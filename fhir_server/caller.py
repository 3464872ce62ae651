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
    """An authenticated user or system. `subject` is a stable opaque name (never a person's), for audit and tokens."""

    subject: str
    roles: frozenset[str] = field(default_factory=frozenset)


DEVELOPER = Caller("dev", frozenset({"administrator"}))
"""Everybody under `--dev`."""

SERVER = Caller("server", frozenset({"administrator"}))
"""The server's own housekeeping: loading shipped data, sequencing the feed."""


def allow_all(resource_type: str) -> Condition:
    """The predicate under `--dev`: every resource exists for everybody."""
    return EVERYTHING
