"""Routes: which interaction each address and method stands for.

https://hl7.org/fhir/R4/http.html#summary
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.pairs import of_bytes
from fhir_server.fhir.sentences import reader
from fhir_server.http import binary, writing
from fhir_server.http.exchange import Exchange, not_acceptable
from fhir_server.http.wire import Elsewhere, Endpoint, Handler
from fhir_server.interactions import (
    batch,
    capabilities,
    compartments,
    history,
    reads,
    search,
    system_search,
)
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.perform import FORM, Asking
from fhir_server.interactions.reply import Reply
from fhir_server.operations.invocation import Invocation
from fhir_server.operations.registry import Registry
from fhir_server.settings import Settings

Describe = Callable[[Settings, Sequence[tuple[str, str]]], Reply]

_SLOWEST_UPLOAD = 100_000
"""Bytes a second; a file that arrives as fast may take longer than a request may otherwise."""


def fhir_routes(context: Callable[[], Context], registry: Registry) -> list[BaseRoute]:
    """The API's few parametrised routes, the most used first."""

    offered = [
        capabilities.Offered(row.code, registry.definition_of(row)["url"], row.types, "system" in row.levels)
        for row in registry.rows
    ]

    def describe(settings: Settings, pairs: Sequence[tuple[str, str]]) -> Reply:
        return capabilities.metadata(settings, offered, pairs)

    async def metadata(exchange: Exchange) -> Reply:
        # The first time it is authored, which takes half a second: meanwhile others are answered.
        return await asyncio.to_thread(describe, exchange.context.settings, exchange.parameters)

    async def operation(exchange: Exchange) -> Reply:
        return await _operation(exchange, registry)

    async def posted(exchange: Exchange) -> Reply:
        return await _batch(exchange, registry, describe)

    conditionally: dict[str, Handler] = {
        "PUT": writing.conditional_update,
        "PATCH": writing.conditional_patch,
        "DELETE": writing.conditional_delete,
    }
    call: dict[str, Handler] = {"GET": operation, "POST": operation}
    table: list[tuple[str, dict[str, Handler]]] = [
        ("/fhir/{type}/{id}/${operation}", call),
        ("/fhir/{type}/${operation}", call),
        ("/fhir/{type}/_history", {"GET": _type_history}),
        ("/fhir/{type}/_search", {"POST": _search}),
        ("/fhir/{type}/{id}", {"GET": _read, "PUT": writing.update, "PATCH": writing.patch, "DELETE": writing.delete}),
        ("/fhir/metadata", {"GET": metadata}),
        ("/fhir/_history", {"GET": _system_history}),
        ("/fhir/_search", {"POST": _system_search}),
        ("/fhir/${operation}", call),
        ("/fhir/{type}", {"GET": _search, "POST": writing.create, **conditionally}),
        ("/fhir/{type}/{id}/_history", {"GET": _instance_history}),
        ("/fhir/{type}/{id}/_history/{version}", {"GET": _vread}),
        ("/fhir/{type}/{id}/*", {"GET": _compartment}),
        ("/fhir/{owner}/{id}/{type}", {"GET": _search}),
        ("/fhir/{owner}/{id}/{type}/_search", {"POST": _search}),
        ("/fhir", {"GET": _system_search, "POST": posted}),
        ("/fhir/", {"GET": _system_search, "POST": posted}),
    ]

    def possible(path: Mapping[str, str]) -> frozenset[str] | None:
        row = registry.at(path["operation"], path.get("type"), path.get("id")) if "operation" in path else None
        return None if row is None else row.methods

    public = {"/fhir/metadata"}
    routes = [Route(path, Endpoint(context, handlers, possible, is_public=path in public)) for path, handlers in table]
    nowhere = Endpoint(context, dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), _nowhere))
    return [*routes, Route("/fhir/{rest:path}", Elsewhere(routes, nowhere))]


async def _read(exchange: Exchange) -> Reply:
    path = exchange.path
    reply = await reads.read(
        exchange.context, exchange.caller, exchange.predicate, path["type"], path["id"], exchange.parameters
    )
    return _as_taken(exchange, reply)


async def _vread(exchange: Exchange) -> Reply:
    path = exchange.path
    reply = await reads.vread(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        path["type"],
        path["id"],
        path["version"],
        exchange.parameters,
    )
    return _as_taken(exchange, reply)


def _as_taken(exchange: Exchange, reply: Reply) -> Reply:
    if not exchange.native:
        return reply
    return binary.content(reply, exchange.native) or not_acceptable("Accept", exchange.native)


async def _search(exchange: Exchange) -> Reply:
    pairs = await _search_pairs(exchange)
    path = exchange.path
    owner = (known_type(path["owner"]), path["id"]) if "owner" in path else None
    return await search.search(
        exchange.context, exchange.caller, exchange.predicate, path["type"], pairs, exchange.lenient, owner
    )


async def _system_search(exchange: Exchange) -> Reply:
    pairs = await _search_pairs(exchange)
    return await system_search.system_search(
        exchange.context, exchange.caller, exchange.predicate, pairs, exchange.lenient
    )


async def _search_pairs(exchange: Exchange) -> list[tuple[str, str]]:
    """The parameters of a search, those of its address first, then those of its form."""
    pairs = exchange.pairs
    if exchange.lenient:
        reader.set(exchange.language)
    if exchange.method == "POST":
        if exchange.media_type != FORM:
            raise refuse(
                415, "not-supported", "unsupported-content-type", f"A search by POST takes {FORM}.", "Content-Type"
            )
        body = await exchange.body(exchange.context.settings.max_resource)
        exchange.form = (body.decode("latin-1"),)
        form = of_bytes(body)
        exchange.shape(form)
        pairs = pairs + form
    return pairs


async def _compartment(exchange: Exchange) -> Reply:
    owner = (exchange.path["type"], exchange.path["id"])
    return await compartments.search(exchange.context, exchange.caller, exchange.predicate, owner, exchange.pairs)


async def _batch(exchange: Exchange, registry: Registry, metadata: Describe) -> Reply:
    body = await exchange.resource(exchange.context.settings.max_bundle)
    reader.set(exchange.language)
    invocation = _invocation(exchange, registry)
    asking = Asking(
        exchange.context,
        exchange.caller,
        exchange.predicate,
        invocation.of_entry,
        invocation.changes,
        partial(metadata, exchange.context.settings),
        exchange.lenient,
        exchange.prefer.get("return", ""),
        writing.promised(exchange, body),
    )
    return await batch.bundle(asking, body)


async def _system_history(exchange: Exchange) -> Reply:
    return await history.history(exchange.context, exchange.caller, exchange.predicate, None, None, exchange.pairs)


async def _type_history(exchange: Exchange) -> Reply:
    return await history.history(
        exchange.context, exchange.caller, exchange.predicate, exchange.path["type"], None, exchange.pairs
    )


async def _instance_history(exchange: Exchange) -> Reply:
    path = exchange.path
    return await history.history(
        exchange.context, exchange.caller, exchange.predicate, path["type"], path["id"], exchange.pairs
    )


async def _operation(exchange: Exchange, registry: Registry) -> Reply:
    path, settings = exchange.path, exchange.context.settings
    at = (path.get("type"), path.get("id"))
    invocation = _invocation(exchange, registry)
    row = invocation.found(path["operation"], *at, exchange.method)
    if row.affects_state and "idempotency-key" in exchange.headers:
        text = f"${row.code} cannot be called under an Idempotency-Key: it would be passed over."
        raise refuse(400, "not-supported", "not-supported", text, "Idempotency-Key")
    if exchange.method != "POST":
        return await row.handler(invocation.by_query(row, at, exchange.pairs))
    if exchange.media_type in row.accepts:
        body = exchange.stream(settings.max_upload, pace=_SLOWEST_UPLOAD)
        pairs = exchange.parameters
        return await row.handler(invocation.by_query(row, at, pairs, body=body, media_type=exchange.media_type))
    if row.accepts and exchange.media_type:
        # It takes a file, whatever else FHIR itself would take.
        text = f"${row.code} takes {' or '.join(sorted(row.accepts))}."
        raise refuse(415, "not-supported", "unsupported-content-type", text, "Content-Type")
    if not row.judges:
        exchange.require_no_parameters()
    sent = await exchange.resource(settings.max_bundle)
    pairs = exchange.parameters if row.judges else []
    return await row.handler(invocation.by_resource(row, at, json.parse(sent) if sent.strip() else None, pairs))


def _invocation(exchange: Exchange, registry: Registry) -> Invocation:
    return Invocation(
        registry, exchange.context, exchange.caller, exchange.predicate, exchange.language, exchange.prefer
    )


async def _nowhere(exchange: Exchange) -> Reply:
    first = exchange.path["rest"].partition("/")[0]
    if not first.startswith(("$", "_")):
        known_type(first)
    raise refuse(404, "not-found", "unknown-address", "There is nothing at this address.")
