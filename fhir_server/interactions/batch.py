"""Batch: entries one by one, none failing another.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import bundle as bundles
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.interactions import answers, conditional, patches, reads, search, transaction, writes
from fhir_server.interactions.entry import Entry, query_pairs, take_apart, within
from fhir_server.interactions.incoming import require_valid
from fhir_server.interactions.reply import Reply

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""The order in which entries are processed; answers come in the order of the request."""


async def bundle(
    context: Context, caller: Caller, predicate: Predicate, body: bytes, lenient: bool, minimal: bool
) -> Reply:
    """200 with a batch-response or transaction-response; FhirError for a Bundle that is neither, or not done at all.

    `minimal` withholds from the response the resources just written.
    """
    found = json.parse(body)
    if found.get("resourceType") != "Bundle" or found.get("type") not in ("batch", "transaction"):
        raise refuse(
            400,
            "invalid",
            "not-a-batch",
            "Only a Bundle of type batch or transaction can be posted to the base.",
            "Bundle.type",
        )
    entries = found.get("entry", [])
    limit = context.settings.max_bundle_entries
    if isinstance(entries, list) and len(entries) > limit:
        text = f"The Bundle has {len(entries)} entries; at most {limit} are accepted."
        raise refuse(413, "too-costly", "too-many-entries", text, "Bundle.entry")
    if found["type"] == "transaction":
        require_valid(found)
        done = await transaction.run(context, caller, predicate, found, json.compact(body), lenient, minimal)
        return Reply(200, bundles.bundle("transaction-response", done))
    taken = take_apart(context, found, json.compact(body), _malformed_entries(found))
    return Reply(200, bundles.bundle("batch-response", await _run(context, caller, predicate, taken, lenient, minimal)))


async def _run(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    entries: Sequence[Entry | FhirError],
    lenient: bool,
    minimal: bool,
) -> list[bundles.Entry]:
    done: dict[int, bundles.Entry] = {}
    for number, entry in sorted(enumerate(entries), key=_turn):
        try:
            if isinstance(entry, FhirError):
                raise entry
            reply = await perform(context, caller, predicate, entry, lenient)
            done[number] = answers.of_reply(reply, context.settings.base, minimal)
        except FhirError as error:
            done[number] = answers.of_failure(within(error, f"Bundle.entry[{number}]"))
    return [done[number] for number in range(len(entries))]


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


def _turn(numbered: tuple[int, Entry | FhirError]) -> tuple[int, int]:
    number, entry = numbered
    method = entry.method if isinstance(entry, Entry) else "POST"
    return ORDER.index(method) if method in ORDER else len(ORDER), number


def _malformed_entries(found: dict[str, Any]) -> dict[int, FhirError]:
    """What is wrong with entries apart from their resources, by number: each is judged on its own account.

    FhirError 422 where the Bundle around them is not valid.
    """
    entries = found.get("entry")
    if not isinstance(entries, list) or not entries:
        require_valid(found)
        return {}
    require_valid({name: value for name, value in found.items() if name != "entry"})
    refused = {}
    for number, entry in enumerate(entries):
        shell = {name: value for name, value in entry.items() if name != "resource"} if type(entry) is dict else entry
        try:
            require_valid({"resourceType": "Bundle", "type": "batch", "entry": [shell]})
        except FhirError as error:
            refused[number] = FhirError(400, [_renumbered(issue, number) for issue in error.issues])
    return refused


def _renumbered(issue: Issue, number: int) -> Issue:
    places = tuple(place.replace("Bundle.entry[0]", f"Bundle.entry[{number}]", 1) for place in issue.expression)
    return replace(issue, expression=places)
