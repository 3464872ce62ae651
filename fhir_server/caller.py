"""Caller: who asks, and the predicate that every store call adds to what they ask.

https://hl7.org/fhir/R4/security.html
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fhir_server.fhir.condition import EVERYTHING, NOTHING, Condition
from fhir_server.fhir.outcome import FhirError, Issue

Verb = Literal["c", "r", "u", "d", "s", "n"]
"""Create, read, update, delete, search: what SMART's scopes distinguish; and n, to learn only the number, for which the
scope to search is needed."""

_SAID: dict[str, str] = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search", "n": "search"}

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
    emergency: str = ""
    """Id of the Patient whose record the break-glass read opens."""
    proxies: tuple[tuple[str, int], ...] = ()
    """Those of `patients` whom the recipient acts for: id and the moment (microseconds) a child is 18; 0 for others."""


@dataclass(slots=True)
class Trace:
    """What one request touched, for the access log: ids of patients, and what it asked for inside a Bundle."""

    patients: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)


Witness = Callable[[Sequence[str], str, str], dict[str, Any]]
"""Versions written (`Immunization/1/_history/2`), what was done (CREATE, UPDATE, DELETE) and when -> its Provenance."""

Rules = Callable[[Verb | None, str], Condition | None]
"""What one wants to do (None: anything) and a resource type -> the condition of the resources it may be done with; None
where no scope is about that at all."""


@dataclass(frozen=True, slots=True)
class Access:
    """A predicate that tells apart what its caller wants to do. Made by access/policy.py from a token; a plain function
    is a predicate that is the same for everything, as under `--dev` and for the server itself."""

    rules: Rules
    verb: Verb | None = "r"
    """What it stands for when called."""
    organization: str = ""
    """Id of the Organization that writes, to which every patient of what is written must be related; empty: of none."""
    patients: frozenset[str] | None = None
    """Whom alone what is written may be about (`Patient/1`); None: anybody."""
    least: int = 0
    """Numbers below this one the caller may not learn."""
    witness: Witness | None = None
    """Makes the Provenance that is stored with what the caller writes."""
    trace: Trace | None = None
    """Takes note of what the request at hand touches."""
    places: frozenset[str] = frozenset()
    """Types of which an update may create resources under ids of the client's."""
    level: str = "user"
    """Of the scopes that would be needed for more: patient, user or system."""

    def __call__(self, resource_type: str) -> Condition:
        """What exists, for what this predicate stands for."""
        found = self.rules(self.verb, resource_type)
        return NOTHING if found is None else found


def to(predicate: Predicate, verb: Verb | None) -> Predicate:
    """The predicate for doing this; for None, for knowing at all that a resource is there."""
    return replace(predicate, verb=verb) if isinstance(predicate, Access) else predicate


SERVER_OWNED = frozenset({"AuditEvent"})
"""Types that only the server writes."""


def permitted(predicate: Predicate, verb: Verb, resource_type: str) -> Predicate:
    """The predicate for doing this with resources of this type. FhirError 403 where no scope is about that, 405 for
    writing what only the server writes."""
    if verb in ("c", "u", "d") and resource_type in SERVER_OWNED:
        issue = Issue("not-supported", "server-owned", f"{resource_type} resources are written by the server only.")
        raise FhirError(405, (issue,), {"Allow": "GET, HEAD, OPTIONS"})
    if not isinstance(predicate, Access):
        return predicate
    if predicate.rules(verb, resource_type) is None:
        raise unscoped(predicate, (resource_type, verb))
    return replace(predicate, verb=verb)


def reaches(predicate: Predicate, verb: Verb, resource_type: str) -> bool:
    """Whether any scope is about doing this with resources of this type."""
    return not isinstance(predicate, Access) or predicate.rules(verb, resource_type) is not None


def note(predicate: Predicate, request: str) -> None:
    """Note for the access log what is asked for inside a Bundle."""
    if isinstance(predicate, Access) and predicate.trace is not None:
        predicate.trace.requests.append(request)


def concern(predicate: Predicate, patients: Iterable[str]) -> None:
    """Note for the access log whom a request is about (`Patient/1`)."""
    if isinstance(predicate, Access) and predicate.trace is not None:
        predicate.trace.patients.update(each.removeprefix("Patient/") for each in patients)


def placing(predicate: Predicate, resource_type: str) -> None:
    """FhirError 403 where no scope is about updating resources of this type, nor about creating them by an update."""
    places = isinstance(predicate, Access) and resource_type in predicate.places
    permitted(predicate, "c" if places else "u", resource_type)


def unscoped(predicate: Predicate, *lacking: tuple[str, str]) -> FhirError:
    """403: the token's scopes do not reach so far. What is lacking are types and verbs (`("Patient", "rs")`); RFC 6750
    has a client told so in a challenge that names the scopes to ask for."""
    level = predicate.level if isinstance(predicate, Access) else "user"
    wanted = " ".join(f"{level}/{each}.{verbs.replace('n', 's')}" for each, verbs in lacking)
    resource_type, verb = lacking[0][0], lacking[0][1][0]
    text = f"The access token has no scope to {_SAID[verb]} {resource_type} resources (`{resource_type}.{verb}`)."
    challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{wanted}"'}
    return FhirError(403, (Issue("forbidden", "insufficient-scope", text),), challenge)


DEVELOPER = Caller("dev", frozenset({"administrator"}))
"""Everybody under `--dev`."""

NOBODY = Caller("")
"""Who has not said who they are."""

SERVER = Caller("server", frozenset({"administrator"}))
"""The server's own housekeeping: loading shipped data, sequencing the feed."""


def allow_none(resource_type: str) -> Condition:
    """The predicate of who has not said who they are: nothing exists."""
    return NOTHING


def allow_all(resource_type: str) -> Condition:
    """The predicate under `--dev`: every resource exists for everybody."""
    return EVERYTHING
