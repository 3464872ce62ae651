"""Capabilities: the CapabilityStatement, made from what is registered, so that it cannot promise anything else.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from fhir_server import __version__
from fhir_server.context import Settings
from fhir_server.fhir import subset
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import parameters
from fhir_server.guides import supported
from fhir_server.interactions import patches, terminology_capabilities
from fhir_server.interactions.reply import Reply
from profiles.definitions import RESOURCE_TYPES

RELEASED = "2026-11-23"
"""The day this version's capabilities last changed."""

_TYPE_INTERACTIONS = (
    *("read", "vread", "update", "patch", "delete"),
    *("history-instance", "history-type", "create", "search-type"),
)
_SYSTEM_INTERACTIONS = ("batch", "transaction", "history-system")
_LINKS = ("_has", "_list")
"""Search parameters of every type that are no SearchParameter of any."""


class Offered(NamedTuple):
    """An operation, where it is offered, and its OperationDefinition's canonical URL."""

    code: str
    url: str
    types: frozenset[str]
    system: bool


def metadata(settings: Settings, offered: Iterable[Offered], pairs: Sequence[tuple[str, str]]) -> Reply:
    """200 with what `mode` asks for, or an excerpt of it. FhirError 400 for another mode or parameter."""
    modes = [value for name, value in pairs if name == "mode"]
    if len(modes) > 1:
        raise refuse(400, "invalid", "repeated-parameter", "mode may be given once.", "mode")
    mode = modes[0] if modes else "full"
    if mode not in ("full", "normative", "terminology"):
        text = f"mode={mode[:200]} is not served: it is full, normative or terminology."
        raise refuse(400, "not-supported", "invalid-value", text, "mode")
    is_terminology = mode == "terminology"
    reply = terminology_capabilities.statement(settings, RELEASED) if is_terminology else statement(settings, offered)
    described = "TerminologyCapabilities" if is_terminology else "CapabilityStatement"
    wanted = subset.asked(described, [pair for pair in pairs if pair[0] != "mode"])
    return reply if wanted is None or reply.body is None else replace(reply, body=wanted(reply.body))


def statement(settings: Settings, offered: Iterable[Offered]) -> Reply:
    """200 with the CapabilityStatement of the server with these settings."""
    conditional_delete = "multiple" if settings.conditional_delete_multiple else "single"
    return Reply(200, _statement(settings.base, tuple(offered), conditional_delete, settings.us_core))


@lru_cache(maxsize=4)
def _statement(base: str, offered: tuple[Offered, ...], conditional_delete: str, us_core: str) -> bytes:
    authored = CapabilityStatement.model_validate(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": RELEASED,
            "kind": "instance",
            "publisher": "The FHIR server for vaccination project",
            "software": {"name": "FHIR server for vaccination", "version": __version__},
            "implementation": {"description": "Vaccination records, eligibility and proof", "url": base},
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
            "patchFormat": list(patches.FORMATS),
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        _resource(each, offered, conditional_delete, supported(us_core).get(each, ()))
                        for each in sorted(RESOURCE_TYPES)
                    ],
                    "interaction": [{"code": code} for code in _SYSTEM_INTERACTIONS],
                    "searchParam": [{"name": name, "type": "string"} for name in _LINKS],
                    **_operations(operation for operation in offered if operation.system),
                }
            ],
        }
    )
    body: str = authored.model_dump_json(exclude_none=True)
    return body.encode()


def _resource(
    resource_type: str, offered: tuple[Offered, ...], conditional_delete: str, profiles: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "type": resource_type,
        **({"supportedProfile": list(profiles)} if profiles else {}),
        "interaction": [{"code": code} for code in _TYPE_INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": conditional_delete,
        "searchParam": [
            {"name": name, "type": parameter.type}
            for name, parameter in sorted(parameters(resource_type).items())
            if parameter.type != "special"
        ],
        **_operations(operation for operation in offered if {resource_type, "Resource"} & operation.types),
    }


def _operations(offered: Iterable[Offered]) -> dict[str, Any]:
    listed = [{"name": operation.code, "definition": operation.url} for operation in offered]
    return {"operation": listed} if listed else {}
