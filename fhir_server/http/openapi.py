"""OpenAPI: the document of this API, made of the routes, their descriptions and the registry of operations.

https://spec.openapis.org/oas/v3.1.0

It lists what is routed and nothing else: an address without a description, or one described and not routed, fails a
test. One path stands for all resource types; their search parameters are in the CapabilityStatement.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from starlette.routing import BaseRoute, Route

from fhir_server import __version__
from fhir_server.http.components import SPECIFICATION, components, content, ref
from fhir_server.http.described import ALWAYS, DESCRIBED, FHIR, PAGE, REFUSALS, SHAPING, Interaction, Schema, Tag
from fhir_server.http.wire import Endpoint
from fhir_server.operations.registry import Level, Operation, Registry

_EMPTY = (202, 204, 304)
_ABOUT = f"""The REST API of HL7 FHIR R4 (4.0.1), and what belongs to it.

- Every refusal of the API is an OperationOutcome; `issue.details.coding` holds a stable code.
- `application/fhir+json` and `application/fhir+xml` are answered by `Accept` or `_format`; their plain names
  (`application/json`, `text/xml`, ...) are understood, too.
- HEAD answers as GET without its body; OPTIONS says which methods an address has; others are 405.
- The search parameters of each type are listed in the [CapabilityStatement](fhir/metadata).

Generated from the routes of version {__version__}."""

_PRIMITIVES: Mapping[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "positiveInt": {"type": "integer", "minimum": 1},
    "unsignedInt": {"type": "integer", "minimum": 0},
    "decimal": {"type": "number"},
    "date": {"type": "string", "examples": ["2021-01-14"]},
    "dateTime": {"type": "string", "examples": ["2021-01-14T09:30:00-05:00"]},
    "instant": {"type": "string", "examples": ["2021-01-14T09:30:00.000Z"]},
    **{name: {"type": "string"} for name in ("string", "uri", "url", "canonical", "code", "id", "markdown", "uuid")},
}


def served(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of all the application serves, without HEAD, OPTIONS and the address of everything unknown."""
    for route in routes:
        if isinstance(route, Route) and "{rest:path}" not in route.path:
            methods = route.endpoint.methods if isinstance(route.endpoint, Endpoint) else route.methods or ()
            path = re.sub(r":\w+\}", "}", route.path)
            yield from ((method, path) for method in sorted(methods) if method != "HEAD")


def document(routes: Iterable[BaseRoute], registry: Registry, origin: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes, on a server at `origin` (no slash at its end)."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in served(routes):
        if (method, path) in DESCRIBED:
            paths.setdefault(path, {})[method.lower()] = _described(path, DESCRIBED[method, path])
    for path, method, row, level in _operations(registry):
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, row, registry.definition_of(row), level)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FHIR server for vaccination",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": origin}],
        "tags": [{"name": name} for name in get_args(Tag)],
        "paths": paths,
        "security": [{"smart": []}],
        "components": components(),
    }


def _described(path: str, interaction: Interaction) -> dict[str, Any]:
    is_api = path.startswith("/fhir") and ".well-known" not in path
    found: dict[str, Any] = {
        "operationId": interaction.id,
        "summary": interaction.summary,
        "tags": [interaction.tag],
        "parameters": [
            *_path_parameters(path),
            *([ref("parameters", "search")] if interaction.searches else []),
            *(ref("parameters", name) for name in (*interaction.query, *(SHAPING if is_api else ()))),
            *(ref("parameters", name) for name in interaction.headers),
        ],
        "responses": {
            **{str(status): _answer(status, text, interaction) for status, text in interaction.answers.items()},
            **_refusals(interaction.refuses, is_api),
        },
    }
    if not is_api or path == "/fhir/metadata":
        found["security"] = []
    if interaction.spec:
        url = interaction.spec if interaction.spec.startswith("https:") else SPECIFICATION + interaction.spec
        found["externalDocs"] = {"url": url}
    if interaction.takes:
        found["requestBody"] = {"required": True, "content": content(interaction.takes)}
    return found


def _answer(status: int, text: str, interaction: Interaction) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": text}
    if interaction.tells:
        told = (name for name in interaction.tells if name != "Location" or status == 201)
        answer["headers"] = {name: ref("headers", name) for name in told}
    if status not in _EMPTY and (interaction.gives or interaction.media != FHIR):
        answer["content"] = content(dict.fromkeys(interaction.media, interaction.gives))
    return answer


def _refusals(statuses: Iterable[int], is_api: bool = True) -> dict[str, Any]:
    if not is_api:  # these speak JSON only
        only = content({FHIR[0]: "OperationOutcome"})
        return {str(status): {"description": REFUSALS[status], "content": only} for status in statuses}
    return {str(status): ref("responses", f"Refused{status}") for status in sorted({*statuses, *ALWAYS})}


def _operations(registry: Registry) -> Iterator[tuple[str, str, Operation, Level]]:
    """Path, method, row and level of every operation's addresses."""
    for row in registry.rows:
        for level in sorted(row.levels):
            for resource_type in sorted(row.types) if level != "system" else [""]:
                named = "{type}" if resource_type == "Resource" else resource_type
                parts = ("/fhir", named, "{id}" if level == "instance" else "", f"${row.code}")
                for method in ("POST",) if row.affects_state or row.only_post else ("GET", "POST"):
                    yield "/".join(part for part in parts if part), method, row, level


def _operation(path: str, method: str, row: Operation, definition: Mapping[str, Any], level: Level) -> dict[str, Any]:
    inputs = [parameter for parameter in definition.get("parameter", ()) if parameter["use"] == "in"]
    outputs = [parameter for parameter in definition.get("parameter", ()) if parameter["use"] == "out"]
    resource_type = path.split("/")[2]
    refuses = (404, *((410,) if level == "instance" else ()), 409, 412, 422)
    found: dict[str, Any] = {
        "operationId": "-".join((row.code, *((resource_type,) if level != "system" else ()), level, method.lower())),
        "summary": definition.get("title", definition["name"]),
        "description": "\n\n".join(
            part
            for part in (
                definition.get("description", ""),
                _table("in", inputs) if method == "POST" else "",
                _table("out", outputs),
            )
            if part
        ),
        "tags": ["Operations"],
        "externalDocs": {"url": definition["url"], "description": "Canonical URL of the OperationDefinition"},
        "parameters": [
            *_path_parameters(path),
            *(_input(parameter) for parameter in inputs if method == "GET" and parameter.get("type") in _PRIMITIVES),
            *(ref("parameters", name) for name in ((PAGE,) if row.paged and method == "GET" else ()) + SHAPING),
            *(ref("parameters", name) for name in ("Prefer", "Accept-Language")),
        ],
        "responses": {
            "200": {"description": "What the operation came to.", "content": content(dict.fromkeys(FHIR, "Resource"))},
            **_refusals((*refuses, *((408, 413, 415) if method == "POST" else ()))),
        },
    }
    if row.asynchronous:
        found["responses"]["202"] = {
            "description": "Accepted; `Content-Location` is the address to poll.",
            "content": content(dict.fromkeys(FHIR, "OperationOutcome")),
            "headers": {"Content-Location": ref("headers", "Content-Location")},
        }
    if method == "POST":
        takes: dict[str, Schema | None] = {**dict.fromkeys(FHIR, "Parameters"), **dict.fromkeys(sorted(row.accepts))}
        found["requestBody"] = {
            "required": any(parameter["min"] for parameter in inputs) or bool(row.accepts),
            "content": content(takes),
        }
    return found


def _table(use: str, parameters: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for each in parameters:
        says = each.get("documentation", "").replace("|", "&#124;")
        rows.append(f"| `{each['name']}` | {each['min']}..{each['max']} | {each.get('type', '')} | {says} |")
    return "\n".join((f"| {use} | card. | type | |", "|---|---|---|---|", *rows)) if rows else ""


def _input(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = _PRIMITIVES[parameter["type"]]
    return {
        "name": parameter["name"],
        "in": "query",
        "required": parameter["min"] > 0,
        "description": parameter.get("documentation", ""),
        "schema": schema if parameter["max"] == "1" else {"type": "array", "items": schema},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": ref("schemas", "ResourceType" if name in ("type", "owner") else "Segment"),
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
