"""Batch: entries one by one, none failing another.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fhir_server.fhir import bundle as bundles
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.interactions import answers, transaction
from fhir_server.interactions.entry import Entry, take_apart, within
from fhir_server.interactions.incoming import require_valid
from fhir_server.interactions.perform import ORDER, Asking, is_reading, perform
from fhir_server.interactions.reply import Reply


async def bundle(asking: Asking, body: bytes) -> Reply:
    """200 with a batch-response or transaction-response; FhirError for a Bundle that is neither, or not done at all."""
    context = asking.context
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
        done = await transaction.run(asking, found, json.compact(body))
        return Reply(200, bundles.bundle("transaction-response", done))
    if asking.once is not None:
        await context.store.begin(asking.caller, asking.predicate, asking.once)
    taken = take_apart(context, found, json.compact(body), _malformed_entries(found))
    return Reply(200, bundles.bundle("batch-response", await _run(asking, taken)))


async def _run(asking: Asking, entries: Sequence[Entry | FhirError]) -> list[bundles.Entry]:
    done: dict[int, bundles.Entry] = {}
    for number, entry in sorted(enumerate(entries), key=partial(_turn, asking)):
        try:
            if isinstance(entry, FhirError):
                raise entry
            reply = await perform(asking, entry)
            done[number] = answers.of_reply(reply, asking.context.settings.base, asking.preferred)
        except FhirError as error:
            done[number] = answers.of_failure(within(error, f"Bundle.entry[{number}]"))
    return [done[number] for number in range(len(entries))]


def _turn(asking: Asking, numbered: tuple[int, Entry | FhirError]) -> tuple[int, int]:
    number, entry = numbered
    if isinstance(entry, FhirError) or entry.method not in ORDER:
        return len(ORDER), number
    try:
        return ORDER.index("GET" if is_reading(asking, entry) else entry.method), number
    except FhirError:
        return len(ORDER), number


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
