"""Perform: what one entry of a batch or transaction asks, done as if it had come alone.

https://hl7.org/fhir/R4/http.html#trules
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.caller import Caller, Predicate, note
from fhir_server.context import Context
from fhir_server.fhir import dates
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.pairs import of_bytes
from fhir_server.interactions import (
    compartments,
    conditional,
    history,
    idempotency,
    patches,
    reads,
    search,
    system_search,
    writes,
)
from fhir_server.interactions.address import EVERY
from fhir_server.interactions.entry import Entry
from fhir_server.interactions.reply import Reply, unmodified
from fhir_server.store.records import Once

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""The order in which entries are processed; answers come in the order of the request."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for the entries of a Bundle, and how: `lenient` passes over unknown search parameters, `preferred`
    is what comes back of resources just written, as Prefer says it.

    `invoke` calls the operation an entry names (FhirError 404, 405), `changes` tells whether that would change data;
    `metadata` describes the server. They stand above the interactions and are handed down.
    """

    context: Context
    caller: Caller
    predicate: Predicate
    invoke: Callable[[Entry], Awaitable[Reply]]
    changes: Callable[[Entry], bool]
    metadata: Callable[[Sequence[tuple[str, str]]], Reply]
    lenient: bool = False
    preferred: str = ""
    once: Once | None = None
    """The promise of the request's Idempotency-Key."""


def is_reading(asking: Asking, entry: Entry) -> bool:
    """Whether the entry only looks: then it is performed when all others have been."""
    if entry.at.operation:
        return not asking.changes(entry)
    return entry.method in ("GET", "HEAD") or (entry.method == "POST" and entry.at.special == "_search")


async def perform(asking: Asking, entry: Entry) -> Reply:
    """Do what one entry asks, as if it had come alone."""
    note(asking.predicate, f"{entry.method} {entry.at}")
    if entry.at.operation:
        if asking.once is not None and asking.changes(entry):
            text = f"${entry.at.operation} cannot be called under an Idempotency-Key; call it outside of the Bundle."
            raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")
        return _fitting(entry, await asking.invoke(entry))
    if is_reading(asking, entry):
        reply = await _read(asking, entry)
        return reply if not _is_unmodified(entry, reply) else Reply(304, None, reply.version, reply.updated)
    once = idempotency.of_entry(asking.once, entry.number)
    return await idempotency.performed(
        asking.context, asking.caller, asking.predicate, once, lambda: _write(asking, entry, once)
    )


async def _read(asking: Asking, entry: Entry) -> Reply:
    context, caller, predicate, at = asking.context, asking.caller, asking.predicate, entry.at
    pairs = entry.pairs + (_form(entry) if entry.method == "POST" else [])
    match at.special:
        case "metadata":
            return asking.metadata(pairs)
        case "_history":
            return await history.history(context, caller, predicate, at.type, at.id, pairs)
        case "_search" if entry.method != "POST":
            raise _impossible(entry)
    if at.type is None:
        return await system_search.system_search(context, caller, predicate, pairs, asking.lenient)
    if at.id is None:
        if at.type == EVERY and at.owner is not None:
            return await compartments.search(context, caller, predicate, at.owner, pairs)
        return await search.search(context, caller, predicate, at.type, pairs, asking.lenient, at.owner)
    if at.version is not None:
        return await reads.vread(context, caller, predicate, at.type, at.id, at.version, pairs)
    return await reads.read(context, caller, predicate, at.type, at.id, pairs)


async def _write(asking: Asking, entry: Entry, once: Once | None) -> Reply:
    require_writable(entry)
    context, caller, predicate, kind = asking.context, asking.caller, asking.predicate, entry.type or ""
    match entry.method, entry.id, entry.criteria:
        case "POST", _, _:
            return await writes.create(context, caller, predicate, kind, entry.body, entry.if_none_exist, once)
        case "PUT", str() as id, _:
            return await writes.update(
                context, caller, predicate, kind, id, entry.body, entry.if_match, entry.if_none_match, once
            )
        case "PUT", None, criteria:
            return await conditional.update(
                context, caller, predicate, kind, criteria or "", entry.body, entry.if_match, entry.if_none_match, once
            )
        case "PATCH", id, criteria:
            change = patches.of_resource(entry.resource)
            if id is None:
                return await conditional.patch(
                    context, caller, predicate, kind, criteria or "", change, entry.if_match, once
                )
            return await patches.patch(context, caller, predicate, kind, id, change, entry.if_match, once)
        case _, str() as id, _:
            return await writes.delete(context, caller, predicate, kind, id, entry.if_match, once)
        case _, None, criteria:
            return await conditional.delete(context, caller, predicate, kind, criteria or "", entry.if_match, once)


def require_writable(entry: Entry) -> None:
    """FhirError 400 where the method cannot be used at this address."""
    at, method = entry.at, entry.method
    if method not in ORDER or at.special or at.version is not None or at.owner is not None:
        raise _impossible(entry)
    if at.type is None:
        text = "The entry names no resource type."
        if method == "POST":
            text = "A Bundle of requests cannot be part of another; send its entries here."
        raise entry.refuse(400, "not-supported", "unsupported-url", text, "request.url")
    if method == "POST":
        if at.id is not None:
            text = f"A POST creates a resource under an id of the server's: its address is {at.type}. PUT chooses one."
            raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")
        if at.criteria is not None:
            text = "The condition of a create stands in ifNoneExist, not in the address."
            raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")
    elif at.id is not None and at.criteria:
        text = "The address has both an id and criteria; one of them says which resource is meant."
        raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")
    elif at.id is None and at.criteria is None:
        text = f"{method} {at.type} does not say which one: it needs an id ({at.type}/1) or criteria ({at.type}?..)."
        raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")


def _impossible(entry: Entry) -> FhirError:
    text = f"{entry.method} is not possible at this address inside a Bundle."
    return entry.refuse(400, "not-supported", "unsupported-request", text, "request")


def _form(entry: Entry) -> list[tuple[str, str]]:
    """The parameters that a search by POST brings: none, or a form in a Binary."""
    match entry.resource:
        case None:
            return []
        case {"resourceType": "Binary", "contentType": str(media_type), "data": str(data)} if media_type == FORM:
            try:
                return of_bytes(b64decode(data, validate=True))
            except Base64Error:
                text = "The Binary's data are not base64."
                raise entry.refuse(400, "value", "not-a-form", text, "resource") from None
        case _:
            text = f"A search by POST in a Bundle has its parameters in the address, or in a Binary of {FORM}."
            raise entry.refuse(400, "invalid", "not-a-form", text, "resource")


def _is_unmodified(entry: Entry, reply: Reply) -> bool:
    since: Any = entry.if_modified_since
    if reply.version is None or (since is None and entry.if_none_match is None):
        return False
    before = None
    if since is not None:
        try:
            before = dates.microseconds(dates.parse(since).hi)
        except ValueError as error:
            text = f"ifModifiedSince: {error}."
            raise entry.refuse(400, "value", "invalid-value", text, "request.ifModifiedSince") from None
    return unmodified(reply, entry.if_none_match, before)


def _fitting(entry: Entry, reply: Reply) -> Reply:
    """The reply itself. FhirError 400 for one that is no resource."""
    if reply.stream is not None or not reply.media_type.startswith("application/fhir+json") or reply.status == 202:
        text = f"${entry.at.operation} does not answer with a resource; call it outside of a Bundle."
        raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")
    return reply
