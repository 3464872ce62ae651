"""Provenance: which client stored a resource, for whom and when; written with it.

https://hl7.org/fhir/R4/provenance.html

Pure.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.caller import Caller

Resource = dict[str, Any]

_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def provenance(caller: Caller, targets: Sequence[str], action: str, recorded: str) -> Resource:
    """The Provenance, without an id, of versions (`Immunization/1/_history/2`) that came of an `action` (CREATE,
    UPDATE, DELETE) at `recorded`, a FHIR instant: the client transmitted it, the user or organization is its author."""
    behalf = {"onBehalfOf": {"reference": f"Organization/{caller.organization}"}} if caller.organization else {}
    who: Resource = {"identifier": {"value": caller.subject}}
    if caller.practitioner:
        who = {"reference": f"Practitioner/{caller.practitioner}"}
    author = {"type": _type("author"), "who": who, **behalf}
    agents = [author]
    if caller.client:
        agents.append({"type": _type("transmitter"), "who": {"identifier": {"value": caller.client}}, **behalf})
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": recorded,
        "activity": {"coding": [{"system": _OPERATION, "code": action}]},
        "agent": agents,
    }


def _type(code: str) -> Resource:
    system = _PARTICIPANT
    if code == "transmitter":
        system = "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type"
    return {"coding": [{"system": system, "code": code}]}
