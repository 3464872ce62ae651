"""Components: the parameters, headers, bodies and refusals that the OpenAPI document says once and refers to.

https://spec.openapis.org/oas/v3.1.0#components-object
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.http.described import FHIR, HEADERS, PARAMETERS, REFUSALS, Schema
from profiles.definitions import RESOURCE_TYPES

SPECIFICATION = "https://hl7.org/fhir/R4/"


def ref(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def content(of: Mapping[str, Schema | None]) -> dict[str, Any]:
    """Media types with their schemas; what is no JSON is text."""
    return {media: {"schema": _schema(media, name)} for media, name in of.items()}


def _schema(media: str, name: Schema | None) -> dict[str, Any]:
    if not media.endswith("json"):
        return {"type": "string"}
    return ref("schemas", name) if name else {"type": "object"}


def components() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "schemas": {
            "ResourceType": {"type": "string", "enum": sorted(RESOURCE_TYPES), "examples": ["Patient"]},
            "Segment": {"type": "string", "pattern": "^[^/]+$"},
            **{name: _resource(name) for name in ("Bundle", "Parameters", "CapabilityStatement")},
            "Resource": _resource(None),
            "OperationOutcome": _outcome(),
            "JSONPatch": {"type": "array", "items": {"type": "object", "required": ["op", "path"]}},
        },
        "parameters": {
            "search": {
                "name": "search",
                "in": "query",
                "description": "Search parameters of the type, as the CapabilityStatement lists them, with modifiers "
                "and chains: `family=Lopez`, `birthdate=ge2000`, `patient:Patient.name=ana`.",
                "style": "form",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": text},
                "example": {"_id": "example"},
            },
            **{
                name: {"name": name, "in": "query", "description": says, "schema": text}
                for name, says in PARAMETERS.items()
            },
            **{
                name: {"name": name, "in": "header", "description": says, "schema": text}
                for name, says in HEADERS.items()
            },
        },
        "securitySchemes": {
            "smart": {
                "type": "openIdConnect",
                "description": "SMART App Launch and backend services; not asked for under `--dev`.",
                "openIdConnectUrl": "/fhir/.well-known/openid-configuration",
            }
        },
        "headers": {
            "ETag": {"description": 'The version\'s tag: `W/"2"`.', "schema": text},
            "Last-Modified": {"description": "When the version was stored.", "schema": text},
            "Location": {"description": "The version's address.", "schema": text},
            "Content-Location": {"description": "Where to ask how far it is.", "schema": text},
        },
        "responses": {
            f"Refused{status}": {"description": says, "content": content(dict.fromkeys(FHIR, "OperationOutcome"))}
            for status, says in REFUSALS.items()
        },
    }


def _resource(name: str | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"const": name} if name else {"$ref": "#/components/schemas/ResourceType"}
    page = f"{(name or 'resourcelist').lower()}.html"
    return {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": schema},
        "externalDocs": {"url": SPECIFICATION + page},
    }


def _outcome() -> dict[str, Any]:
    text = {"type": "string"}
    coding = {"type": "object", "properties": {"system": text, "code": text}}
    issue = {
        "type": "object",
        "required": ["severity", "code", "details"],
        "properties": {
            "severity": {"enum": ["fatal", "error", "warning", "information"]},
            "code": text,
            "details": {"type": "object", "properties": {"coding": {"type": "array", "items": coding}, "text": text}},
            "expression": {"type": "array", "items": text},
        },
    }
    found = _resource("OperationOutcome")
    found["required"].append("issue")
    found["properties"]["issue"] = {"type": "array", "minItems": 1, "items": issue}
    return found
