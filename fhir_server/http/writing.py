"""Writing: what the addresses that write do with a request.

https://hl7.org/fhir/R4/http.html#create
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.pairs import malformed
from fhir_server.http import binary
from fhir_server.http.exchange import Exchange
from fhir_server.interactions import conditional, idempotency, patches, writes
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply
from fhir_server.store.records import Once

_CONDITIONS = ("if-match", "if-none-match", "if-none-exist")


async def create(exchange: Exchange) -> Reply:
    """POST of a resource to its type."""
    resource_type = known_type(exchange.path["type"])
    exchange.require_no_parameters()
    body = await _resource_body(exchange, resource_type)
    condition = exchange.headers.get("if-none-exist")
    if condition is not None and not condition.isascii():
        raise malformed()
    who = (exchange.context, exchange.caller, exchange.predicate)
    return await _once(exchange, body, lambda once: writes.create(*who, resource_type, body, condition, once))


async def update(exchange: Exchange) -> Reply:
    """PUT of a resource to its id."""
    resource_type, resource_id = known_type(exchange.path["type"]), exchange.path["id"]
    exchange.require_no_parameters()
    _refuse_if_none_exist(exchange)
    body = await _resource_body(exchange, resource_type)
    who = (exchange.context, exchange.caller, exchange.predicate)
    tags = (exchange.headers.get("if-match"), exchange.headers.get("if-none-match"))
    return await _once(exchange, body, lambda once: writes.update(*who, resource_type, resource_id, body, *tags, once))


async def delete(exchange: Exchange) -> Reply:
    """DELETE of a resource."""
    exchange.require_no_parameters()
    _refuse_if_none_exist(exchange)
    who = (exchange.context, exchange.caller, exchange.predicate)
    what = (exchange.path["type"], exchange.path["id"], exchange.headers.get("if-match"))
    return await _once(exchange, b"", lambda once: writes.delete(*who, *what, once))


async def patch(exchange: Exchange) -> Reply:
    """PATCH of a resource."""
    resource_type, resource_id = known_type(exchange.path["type"]), exchange.path["id"]
    exchange.require_no_parameters()
    _refuse_if_none_exist(exchange)
    body, change = await _change(exchange)
    who = (exchange.context, exchange.caller, exchange.predicate)
    tag = exchange.headers.get("if-match")
    return await _once(exchange, body, lambda once: patches.patch(*who, resource_type, resource_id, change, tag, once))


async def conditional_update(exchange: Exchange) -> Reply:
    """PUT of a resource to criteria."""
    resource_type, criteria = known_type(exchange.path["type"]), urlencode(exchange.parameters)
    _refuse_if_none_exist(exchange)
    body = await _resource_body(exchange, resource_type)
    who = (exchange.context, exchange.caller, exchange.predicate)
    tags = (exchange.headers.get("if-match"), exchange.headers.get("if-none-match"))
    return await _once(
        exchange, body, lambda once: conditional.update(*who, resource_type, criteria, body, *tags, once)
    )


async def conditional_patch(exchange: Exchange) -> Reply:
    """PATCH of what criteria find."""
    resource_type, criteria = known_type(exchange.path["type"]), urlencode(exchange.parameters)
    _refuse_if_none_exist(exchange)
    body, change = await _change(exchange)
    who = (exchange.context, exchange.caller, exchange.predicate)
    tag = exchange.headers.get("if-match")
    return await _once(exchange, body, lambda once: conditional.patch(*who, resource_type, criteria, change, tag, once))


async def conditional_delete(exchange: Exchange) -> Reply:
    """DELETE of what criteria find."""
    _refuse_if_none_exist(exchange)
    who = (exchange.context, exchange.caller, exchange.predicate)
    what = (exchange.path["type"], urlencode(exchange.parameters), exchange.headers.get("if-match"))
    return await _once(exchange, b"", lambda once: conditional.delete(*who, *what, once))


def promised(exchange: Exchange, body: bytes) -> Once | None:
    """What an Idempotency-Key asks for, None without one. FhirError 400 for a malformed key."""
    keys = exchange.headers.getlist("idempotency-key")
    if not keys:
        return None
    conditions = [exchange.headers.get(name) for name in _CONDITIONS]
    request = (exchange.method, exchange.address, *conditions, body)
    return idempotency.once(exchange.context, exchange.caller, keys, *request)


async def _once(exchange: Exchange, body: bytes, write: Callable[[Once | None], Awaitable[Reply]]) -> Reply:
    once = promised(exchange, body)
    if once is None:
        return await write(None)
    return await idempotency.performed(exchange.context, exchange.caller, exchange.predicate, once, lambda: write(once))


def _refuse_if_none_exist(exchange: Exchange) -> None:
    """FhirError 400 for If-None-Exist where it would be passed over."""
    if "if-none-exist" in exchange.headers:
        text = f"If-None-Exist belongs to a create; it has no meaning for {exchange.method}."
        raise refuse(400, "invalid", "misplaced-condition", text, "If-None-Exist")


async def _change(exchange: Exchange) -> tuple[bytes, patches.Patch]:
    """The body, and the patch it is."""
    limit = exchange.context.settings.max_resource
    if exchange.media_type == patches.JSON_PATCH:
        body = await exchange.body(limit)
        return body, patches.of_json(body)
    if exchange.media_type == patches.XML_PATCH:
        body = await exchange.body(limit)
        return body, patches.of_xml(body)
    body = await exchange.resource(limit)
    return body, patches.of_parameters(body)


async def _resource_body(exchange: Exchange, resource_type: str) -> bytes:
    settings = exchange.context.settings
    declared = exchange.headers.get("content-type")
    if resource_type == "Binary" and declared is not None and binary.is_content(declared):
        content = await exchange.body(settings.max_resource)
        context = exchange.headers.get(binary.SECURITY_CONTEXT)
        return binary.wrapped(content, declared, exchange.path.get("id"), context)
    return await exchange.resource(settings.max_bundle if resource_type == "Bundle" else settings.max_resource)
