"""Capabilities: the CapabilityStatement, made from what is registered, so that it cannot promise anything else.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server import __version__
from fhir_server.caller import SERVER_OWNED
from fhir_server.fhir import json, subset
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.params import compartments, parameters
from fhir_server.guides import supported
from fhir_server.interactions import includes, patches, terminology_capabilities
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.security import security
from fhir_server.settings import Settings
from profiles.definitions import RESOURCE_TYPES

RELEASED = "2026-11-29"
"""The day this version's capabilities last changed."""

_TYPE_INTERACTIONS = (
    *("read", "vread", "update", "patch", "delete"),
    *("history-instance", "history-type", "create", "search-type"),
)
_READING = ("read", "vread", "history-instance", "search-type")
"""Of types that only the server writes."""
_SYSTEM_INTERACTIONS = ("batch", "transaction", "history-system", "search-system")
INSTANTIATES = ("http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server",)
"""Canonical URLs of the published statements that this server fulfils."""
_ABOUT = (
    "Unknown search parameters are refused, unless `Prefer: handling=lenient` is asked for. Creates, updates, patches, "
    "deletes, batches and transactions take an Idempotency-Key. Contained resources are not searched by themselves."
)
_COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"
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
    said = json.dump(security(settings) or {})
    return Reply(200, _statement(settings.base, tuple(offered), conditional_delete, settings.us_core, said))


@lru_cache(maxsize=4)
def _statement(base: str, offered: tuple[Offered, ...], conditional_delete: str, us_core: str, access: bytes) -> bytes:
    # Here and not above: its models take a fifth of what starting a server takes, for what is asked for now and then.
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement

    authored = CapabilityStatement.model_validate(
        {
            "resourceType": "CapabilityStatement",
            "url": f"{base}/metadata",
            "version": __version__,
            "name": "FhirServer",
            "title": "FHIR server for vaccination",
            "status": "active",
            "date": RELEASED,
            "kind": "instance",
            "publisher": "The FHIR server for vaccination project",
            "software": {"name": "FHIR server for vaccination", "version": __version__},
            "implementation": {"description": "Vaccination records, eligibility and proof", "url": base},
            "instantiates": list(INSTANTIATES),
            "fhirVersion": "4.0.1",
            "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
            "patchFormat": list(patches.FORMATS),
            "rest": [
                {
                    "mode": "server",
                    **({"security": said} if (said := json.parse(access)) else {}),
                    "documentation": _ABOUT,
                    "resource": [
                        _resource(each, offered, conditional_delete, supported(us_core).get(each, ()))
                        for each in sorted(RESOURCE_TYPES)
                    ],
                    "interaction": [{"code": code} for code in _SYSTEM_INTERACTIONS],
                    "searchParam": [{"name": name, "type": "string"} for name in _LINKS],
                    "compartment": [f"{_COMPARTMENT}{code.lower()}" for code in sorted(compartments())],
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
    writes = resource_type not in SERVER_OWNED
    return {
        "type": resource_type,
        **({"supportedProfile": list(profiles)} if profiles else {}),
        "interaction": [{"code": code} for code in (_TYPE_INTERACTIONS if writes else _READING)],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": writes,
        "conditionalCreate": writes,
        "conditionalRead": "full-support",
        "conditionalUpdate": writes,
        "conditionalDelete": conditional_delete if writes else "not-supported",
        "searchInclude": list(_included(resource_type)),
        "searchRevInclude": list(_referring(resource_type)),
        "searchParam": [
            {"name": name, "type": parameter.type}
            for name, parameter in sorted(parameters(resource_type).items())
            if parameter.type != "special"
        ],
        **_operations(operation for operation in offered if {resource_type, "Resource"} & operation.types),
    }


def _included(resource_type: str) -> Iterator[str]:
    yield "*"
    for parameter in sorted(parameters(resource_type).values(), key=lambda each: each.name):
        if parameter.type == "reference":
            yield f"{resource_type}:{parameter.name}"


def _referring(resource_type: str) -> Iterator[str]:
    yield "*"
    for source, names in sorted(includes.referring(resource_type).items()):
        yield from (f"{source}:{name}" for name in sorted(names))


def _operations(offered: Iterable[Offered]) -> dict[str, Any]:
    listed = [{"name": operation.code, "definition": operation.url} for operation in offered]
    return {"operation": listed} if listed else {}
