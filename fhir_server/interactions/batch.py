"""Batch: entries one by one, none failing another.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Sequence

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.fhir import bundle as bundles
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.interactions import answers, reads, search, transaction, writes
from fhir_server.interactions.entry import Entry, query_pairs, take_apart, within
from fhir_server.interactions.incoming import require_valid
from fhir_server.interactions.reply import Reply
from profiles import structure

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""The order in which entries are processed; answers come in the order of the request."""


async def bundle(context: Context, caller: Caller, predicate: Predicate, body: bytes, lenient: bool) -> Reply:
    """200 with a batch-response or transaction-response; FhirError for a Bundle that is neither, or not done at all."""
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
        done = await transaction.run(context, caller, predicate, found, json.compact(body), lenient)
        return Reply(200, bundles.bundle("transaction-response", done))
    _require_valid_shell(found)
    taken = take_apart(context, found, json.compact(body))
    return Reply(200, bundles.bundle("batch-response", await _run(context, caller, predicate, taken, lenient)))


async def _run(
    context: Context, caller: Caller, predicate: Predicate, entries: Sequence[Entry | FhirError], lenient: bool
) -> list[bundles.Entry]:
    done: dict[int, bundles.Entry] = {}
    for number, entry in sorted(enumerate(entries), key=_turn):
        try:
            if isinstance(entry, FhirError):
                raise entry
            reply = await perform(context, caller, predicate, entry, lenient)
            done[number] = answers.of_reply(reply, context.settings.base)
        except FhirError as error:
            done[number] = answers.of_failure(within(error, f"Bundle.entry[{number}]"))
    return [done[number] for number in range(len(entries))]


async def perform(context: Context, caller: Caller, predicate: Predicate, entry: Entry, lenient: bool) -> Reply:
    """Do what one entry asks, as if it had come alone."""
    if entry.type is None:
        raise entry.refuse(400, "not-supported", "unsupported-url", "The entry names no resource type.", "request.url")
    match entry.method, entry.id, entry.criteria:
        case "GET" | "HEAD", str(), None if entry.version is not None:
            return await reads.vread(context, caller, predicate, entry.type, entry.id, entry.version)
        case "GET" | "HEAD", str(), None if not entry.history:
            return await reads.read(context, caller, predicate, entry.type, entry.id)
        case "GET" | "HEAD", None, criteria if not entry.history:
            pairs = query_pairs(criteria or "")
            return await search.search(context, caller, predicate, entry.type, pairs, lenient)
        case "POST", None, None:
            return await writes.create(context, caller, predicate, entry.type, entry.body, entry.if_none_exist)
        case "PUT", str(), None:
            return await writes.update(context, caller, predicate, entry.type, entry.id, entry.body, entry.if_match)
        case "DELETE", str(), None:
            return await writes.delete(context, caller, predicate, entry.type, entry.id, entry.if_match)
        case _:
            text = f"{entry.method} is not possible at this address inside a Bundle."
            raise entry.refuse(400, "not-supported", "unsupported-request", text, "request")


def _turn(numbered: tuple[int, Entry | FhirError]) -> tuple[int, int]:
    number, entry = numbered
    method = entry.method if isinstance(entry, Entry) else "POST"
    return ORDER.index(method) if method in ORDER else len(ORDER), number


def _require_valid_shell(found: dict[str, object]) -> None:
    """The Bundle itself must be valid; its resources are judged one by one, each on its own account."""
    entries = found.get("entry", [])
    shell = [
        {name: value for name, value in entry.items() if name != "resource"} if isinstance(entry, dict) else entry
        for entry in (entries if isinstance(entries, list) else [])
    ]
    issues = structure.check({**found, "entry": shell} if isinstance(entries, list) and entries else found)
    if any(issue.severity in ("error", "fatal") for issue in issues):
        raise FhirError(422, issues)
