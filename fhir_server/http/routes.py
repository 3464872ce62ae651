"""Routes: which interaction each address and method stands for.

https://hl7.org/fhir/R4/http.html#summary
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.http.exchange import Exchange, form_pairs
from fhir_server.http.wire import Endpoint, Handler
from fhir_server.interactions import (
    batch,
    capabilities,
    compartments,
    conditional,
    history,
    paging,
    patches,
    reads,
    search,
    writes,
)
from fhir_server.interactions.incoming import known_type, require_valid
from fhir_server.interactions.reply import Reply
from fhir_server.operations import arguments
from fhir_server.operations.registry import Call, Level, Operation, Registry

_FORM = "application/x-www-form-urlencoded"
_SLOWEST_UPLOAD = 100_000
"""Bytes a second; a file that arrives as fast may take longer than a request may otherwise."""


def fhir_routes(context: Callable[[], Context], registry: Registry) -> list[BaseRoute]:
    """The API's few parametrised routes, the most used first."""

    offered = [
        capabilities.Offered(row.code, registry.definition_of(row)["url"], row.types, "system" in row.levels)
        for row in registry.rows
    ]

    async def metadata(exchange: Exchange) -> Reply:
        return capabilities.statement(exchange.context.settings, offered)

    async def operation(exchange: Exchange) -> Reply:
        return await _operation(exchange, registry)

    conditionally: dict[str, Handler] = {
        "PUT": _conditional_update,
        "PATCH": _conditional_patch,
        "DELETE": _conditional_delete,
    }
    call: dict[str, Handler] = {"GET": operation, "POST": operation}
    table: list[tuple[str, dict[str, Handler]]] = [
        ("/fhir/{type}/{id}/${operation}", call),
        ("/fhir/{type}/${operation}", call),
        ("/fhir/{type}/_history", {"GET": _type_history}),
        ("/fhir/{type}/_search", {"POST": _search}),
        ("/fhir/{type}/{id}", {"GET": _read, "PUT": _update, "PATCH": _patch, "DELETE": _delete}),
        ("/fhir/metadata", {"GET": metadata}),
        ("/fhir/_history", {"GET": _system_history}),
        ("/fhir/${operation}", call),
        ("/fhir/{type}", {"GET": _search, "POST": _create, **conditionally}),
        ("/fhir/{type}/{id}/_history", {"GET": _instance_history}),
        ("/fhir/{type}/{id}/_history/{version}", {"GET": _vread}),
        ("/fhir/{type}/{id}/*", {"GET": _compartment}),
        ("/fhir/{owner}/{id}/{type}", {"GET": _search}),
        ("/fhir/{owner}/{id}/{type}/_search", {"POST": _search}),
        ("/fhir", {"POST": _batch}),
        ("/fhir/", {"POST": _batch}),
        ("/fhir/{rest:path}", dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), _nowhere)),
    ]
    return [Route(path, Endpoint(context, handlers)) for path, handlers in table]


async def _read(exchange: Exchange) -> Reply:
    path = exchange.path
    return await reads.read(
        exchange.context, exchange.caller, exchange.predicate, path["type"], path["id"], exchange.parameters
    )


async def _vread(exchange: Exchange) -> Reply:
    path = exchange.path
    return await reads.vread(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        path["type"],
        path["id"],
        path["version"],
        exchange.parameters,
    )


async def _create(exchange: Exchange) -> Reply:
    resource_type = known_type(exchange.path["type"])
    exchange.require_no_parameters()
    return await writes.create(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        resource_type,
        await _resource_body(exchange, resource_type),
        exchange.headers.get("if-none-exist"),
    )


async def _update(exchange: Exchange) -> Reply:
    resource_type = known_type(exchange.path["type"])
    exchange.require_no_parameters()
    return await writes.update(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        resource_type,
        exchange.path["id"],
        await _resource_body(exchange, resource_type),
        exchange.headers.get("if-match"),
        exchange.headers.get("if-none-match"),
    )


async def _delete(exchange: Exchange) -> Reply:
    exchange.require_no_parameters()
    return await writes.delete(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        exchange.path["type"],
        exchange.path["id"],
        exchange.headers.get("if-match"),
    )


async def _patch(exchange: Exchange) -> Reply:
    resource_type = known_type(exchange.path["type"])
    exchange.require_no_parameters()
    return await patches.patch(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        resource_type,
        exchange.path["id"],
        await _change(exchange),
        exchange.headers.get("if-match"),
    )


async def _conditional_update(exchange: Exchange) -> Reply:
    resource_type = known_type(exchange.path["type"])
    return await conditional.update(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        resource_type,
        urlencode(exchange.parameters),
        await _resource_body(exchange, resource_type),
        exchange.headers.get("if-match"),
        exchange.headers.get("if-none-match"),
    )


async def _conditional_patch(exchange: Exchange) -> Reply:
    resource_type = known_type(exchange.path["type"])
    return await conditional.patch(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        resource_type,
        urlencode(exchange.parameters),
        await _change(exchange),
        exchange.headers.get("if-match"),
    )


async def _conditional_delete(exchange: Exchange) -> Reply:
    return await conditional.delete(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        exchange.path["type"],
        urlencode(exchange.parameters),
        exchange.headers.get("if-match"),
    )


async def _change(exchange: Exchange) -> patches.Patch:
    limit = exchange.context.settings.max_resource
    if exchange.media_type == patches.JSON_PATCH:
        return patches.of_json(await exchange.body(limit))
    return patches.of_parameters(await exchange.resource(limit))


async def _search(exchange: Exchange) -> Reply:
    pairs = exchange.pairs
    if exchange.method == "POST":
        if exchange.media_type != _FORM:
            raise refuse(
                415, "not-supported", "unsupported-content-type", f"A search by POST takes {_FORM}.", "Content-Type"
            )
        pairs = pairs + form_pairs(await exchange.body(exchange.context.settings.max_resource))
    path = exchange.path
    owner = (known_type(path["owner"]), path["id"]) if "owner" in path else None
    return await search.search(
        exchange.context, exchange.caller, exchange.predicate, path["type"], pairs, exchange.lenient, owner
    )


async def _compartment(exchange: Exchange) -> Reply:
    owner = (exchange.path["type"], exchange.path["id"])
    return await compartments.search(exchange.context, exchange.caller, exchange.predicate, owner, exchange.parameters)


async def _batch(exchange: Exchange) -> Reply:
    body = await exchange.resource(exchange.context.settings.max_bundle)
    minimal = exchange.prefer.get("return") == "minimal"
    return await batch.bundle(exchange.context, exchange.caller, exchange.predicate, body, exchange.lenient, minimal)


async def _system_history(exchange: Exchange) -> Reply:
    return await history.history(exchange.context, exchange.caller, exchange.predicate, None, None, exchange.parameters)


async def _type_history(exchange: Exchange) -> Reply:
    return await history.history(
        exchange.context, exchange.caller, exchange.predicate, exchange.path["type"], None, exchange.parameters
    )


async def _instance_history(exchange: Exchange) -> Reply:
    path = exchange.path
    return await history.history(
        exchange.context, exchange.caller, exchange.predicate, path["type"], path["id"], exchange.parameters
    )


async def _operation(exchange: Exchange, registry: Registry) -> Reply:
    path = exchange.path
    resource_type, resource_id, code = path.get("type"), path.get("id"), path["operation"]
    if resource_type is not None:
        known_type(resource_type)
    level: Level = "system" if resource_type is None else "type" if resource_id is None else "instance"
    row = registry.find(code, level, resource_type)
    if row is None:
        raise refuse(404, "not-supported", "unknown-operation", f"There is no operation ${code} at this address.")
    if exchange.method == "GET" and row.affects_state:
        raise refuse(405, "not-supported", "wrong-method", f"${code} changes data and must be called by POST.")
    if exchange.method == "GET" and row.only_post:
        text = f"${code} must be called by POST, for what it takes does not belong in an address."
        raise refuse(405, "not-supported", "wrong-method", text)
    return await row.handler(await _call(exchange, row, registry.definition_of(row), resource_type, resource_id))


async def _call(
    exchange: Exchange, row: Operation, definition: dict[str, Any], resource_type: str | None, resource_id: str | None
) -> Call:
    settings = exchange.context.settings
    raw = exchange.method == "POST" and exchange.media_type in row.accepts
    body = exchange.stream(settings.max_upload, pace=_SLOWEST_UPLOAD) if raw else None
    token = None
    if raw or exchange.method == "GET":
        pairs = exchange.parameters
        if row.paged:
            token = next((value for name, value in pairs if name == paging.PARAMETER), None)
            pairs = [pair for pair in pairs if pair[0] != paging.PARAMETER]
        given = arguments.from_query(pairs, definition)
    else:
        exchange.require_no_parameters()
        sent = await exchange.resource(settings.max_bundle)
        resource = json.parse(sent) if sent.strip() else {"resourceType": "Parameters"}
        require_valid(resource)
        given = arguments.from_resource(resource, definition)
    return Call(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        given,
        resource_type,
        resource_id,
        body,
        exchange.media_type,
        exchange.language,
        exchange.prefer,
        token,
    )


async def _resource_body(exchange: Exchange, resource_type: str) -> bytes:
    settings = exchange.context.settings
    return await exchange.resource(settings.max_bundle if resource_type == "Bundle" else settings.max_resource)


async def _nowhere(exchange: Exchange) -> Reply:
    first = exchange.path["rest"].partition("/")[0]
    if not first.startswith(("$", "_")):
        known_type(first)
    raise refuse(404, "not-found", "unknown-address", "There is nothing at this address.")
