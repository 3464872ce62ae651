"""Perform: what one entry of a batch or transaction asks, done as if it had come alone.

https://hl7.org/fhir/R4/http.html#trules
"""

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.interactions import conditional, patches, reads, search, writes
from fhir_server.interactions.entry import Entry, query_pairs
from fhir_server.interactions.reply import Reply

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""The order in which entries are processed; answers come in the order of the request."""


async def perform(context: Context, caller: Caller, predicate: Predicate, entry: Entry, lenient: bool) -> Reply:
    """Do what one entry asks, as if it had come alone."""
    if entry.type is None:
        raise entry.refuse(400, "not-supported", "unsupported-url", "The entry names no resource type.", "request.url")
    match entry.method, entry.id, entry.criteria:
        case "GET" | "HEAD", str(), criteria if entry.version is not None:
            pairs = query_pairs(criteria or "")
            return await reads.vread(context, caller, predicate, entry.type, entry.id, entry.version, pairs)
        case "GET" | "HEAD", str(), criteria if not entry.history:
            pairs = query_pairs(criteria or "")
            return await reads.read(context, caller, predicate, entry.type, entry.id, pairs)
        case "GET" | "HEAD", None, criteria if not entry.history:
            pairs = query_pairs(criteria or "")
            return await search.search(context, caller, predicate, entry.type, pairs, lenient, entry.owner)
        case "POST", None, None:
            return await writes.create(context, caller, predicate, entry.type, entry.body, entry.if_none_exist)
        case "PUT", str(), None:
            return await writes.update(
                context, caller, predicate, entry.type, entry.id, entry.body, entry.if_match, entry.if_none_match
            )
        case "PUT", None, str() as criteria:
            return await conditional.update(
                context, caller, predicate, entry.type, criteria, entry.body, entry.if_match, entry.if_none_match
            )
        case "PATCH", str(), None:
            change = patches.of_resource(entry.resource)
            return await patches.patch(context, caller, predicate, entry.type, entry.id, change, entry.if_match)
        case "PATCH", None, str() as criteria:
            change = patches.of_resource(entry.resource)
            return await conditional.patch(context, caller, predicate, entry.type, criteria, change, entry.if_match)
        case "DELETE", str(), None:
            return await writes.delete(context, caller, predicate, entry.type, entry.id, entry.if_match)
        case "DELETE", None, str() as criteria:
            return await conditional.delete(context, caller, predicate, entry.type, criteria, entry.if_match)
        case _:
            text = f"{entry.method} is not possible at this address inside a Bundle."
            raise entry.refuse(400, "not-supported", "unsupported-request", text, "request")
