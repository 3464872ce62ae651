"""Conditional update, patch and delete: the resource is named by criteria.

https://hl7.org/fhir/R4/http.html#cond-update

Looking and writing are one step: what was found is written only in the very version that was found, and what was not
found is created under a claim, which a second request with the same criteria cannot take.
"""

from dataclasses import dataclass

from fhir_server.caller import Caller, Predicate, permitted, placing
from fhir_server.context import Context
from fhir_server.fhir import query
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.interactions import duplicates, patches, plausible, search
from fhir_server.interactions.again import again
from fhir_server.interactions.incoming import Incoming, accept, entries_of, known_type
from fhir_server.interactions.patches import Patch
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.writes import expected_version, must_be_new, new_id, pinned, reply_to, require_same_id
from fhir_server.store.records import ANY_VERSION, Claim, Create, Delete, Once, Selection, Stored, Update
from fhir_server.store.versions import stale

DELETED = 1_000
"""Most resources that one conditional delete deletes."""


@dataclass(frozen=True, slots=True)
class Found:
    """What satisfies the criteria: nothing, or one. `unless` is the promise that a create is bound to."""

    unless: Claim
    stored: Stored | None


async def find(context: Context, caller: Caller, predicate: Predicate, resource_type: str, criteria: str) -> Found:
    """What the criteria (`identifier=s|v`) find for this caller.

    FhirError 400 for criteria that are wrong or could mean everybody, 412 where several satisfy them.
    """
    unless, rows = await _look(context, caller, predicate, resource_type, criteria, 2)
    if len(rows) > 1:
        raise several(resource_type, criteria)
    return Found(unless, rows[0] if rows else None)


async def update(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    criteria: str,
    body: bytes,
    if_match: str | None = None,
    if_none_match: str | None = None,
    once: Once | None = None,
) -> Reply:
    """200 with the next version of the one match; without a match 201, under the resource's own id if it has one.

    FhirError 412 for several matches, 400 where the resource has another id than the match, 409 where there is no match
    but a resource with that id.
    """
    known_type(resource_type)
    placing(predicate, resource_type)
    expected, only_new = expected_version(if_match), must_be_new(if_none_match)
    incoming = accept(context, resource_type, body)
    told = (*incoming.issues, *await plausible.judge(context, caller, predicate, incoming.resource))

    async def attempt() -> Reply | None:
        found = await find(context, caller, predicate, resource_type, criteria)
        change = write(context, found, incoming, new_id(), expected, only_new)
        [committed] = await context.store.commit(caller, predicate, [change], once)
        await duplicates.queue(context, predicate, [change], [committed])
        # Matched: somebody else has just created it. Now there is something to update.
        return reply_to(committed, told) if committed.effect != "matched" else None

    return await again(attempt, stale_too=expected in (None, ANY_VERSION))


async def patch(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    criteria: str,
    change: Patch,
    if_match: str | None = None,
    once: Once | None = None,
) -> Reply:
    """200 with the next version of the one match. FhirError 404 without one, 412 for several; else as of a patch."""
    known_type(resource_type)
    permitted(predicate, "u", resource_type)

    async def look() -> Stored:
        found = await find(context, caller, predicate, resource_type, criteria)
        if found.stored is None:
            raise nothing(resource_type, criteria)
        return found.stored

    return await patches.patch_found(context, caller, predicate, look, change, if_match, once)


async def delete(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    criteria: str,
    if_match: str | None = None,
    once: Once | None = None,
) -> Reply:
    """204, also where nothing matched. FhirError 412 for several matches, unless the setting allows them: then all are
    deleted or none."""
    known_type(resource_type)
    permitted(predicate, "d", resource_type)
    expected = expected_version(if_match)
    most = DELETED if context.settings.conditional_delete_multiple else 1

    async def attempt() -> Reply:
        _, rows = await _look(context, caller, predicate, resource_type, criteria, most + 1)
        if len(rows) > most:
            raise several(resource_type, criteria)
        deletes = [Delete(row.type, row.id, pinned(expected, row.version)) for row in rows]
        committed = await context.store.commit(caller, predicate, deletes, once)
        return reply_to(committed[0]) if len(committed) == 1 else Reply(204)

    return await again(attempt, stale_too=expected in (None, ANY_VERSION))


def write(
    context: Context, found: Found, incoming: Incoming, fresh: str, expected: int | None, only_new: bool
) -> Create | Update:
    """The write of a conditional update that has looked: under the id `fresh` where there is neither a match nor an id.

    FhirError 400 for another id, 412 for another version, or where `only_new` meets a match.
    """
    sent = incoming.resource.get("id")
    if found.stored is not None:
        stored = found.stored
        if only_new:
            text = f"{stored.type}/{stored.id} satisfies the criteria; If-None-Match: * asks for it to be new."
            raise refuse(412, "conflict", "already-present", text, "If-None-Match")
        if sent is not None:
            require_same_id(sent, stored.id, f"{incoming.type}.id")
        entries = entries_of(context, incoming.resource, stored.id)
        return Update(
            stored.type, stored.id, incoming.body, entries, pinned(expected, stored.version), may_create=False
        )
    resource_id = sent if isinstance(sent, str) else fresh
    if expected is not None:
        raise stale(incoming.type, resource_id, expected, None)
    entries = entries_of(context, incoming.resource, resource_id)
    if sent is None:
        return Create(incoming.type, resource_id, incoming.body, entries, found.unless)
    return Update(incoming.type, resource_id, incoming.body, entries, may_replace=False, unless=found.unless)


def nothing(resource_type: str, criteria: str) -> FhirError:
    """404: nothing satisfies the criteria of a patch."""
    return refuse(404, "not-found", "no-match", f"'{criteria}' matches no {resource_type}; there is nothing to patch.")


def several(resource_type: str, criteria: str) -> FhirError:
    """412: the criteria are satisfied by more resources than may be."""
    text = f"'{criteria}' matches several {resource_type} resources; one is needed."
    return refuse(412, "multiple-matches", "several-matches", text)


async def _look(
    context: Context, caller: Caller, predicate: Predicate, resource_type: str, criteria: str, most: int
) -> tuple[Claim, tuple[Stored, ...]]:
    """The promise that nothing satisfies the criteria, and up to `most` resources that do."""
    permitted(predicate, "s", resource_type)
    wanted = query.criteria(resource_type, criteria, context.settings.base)
    where = await search.resolve(context, caller, predicate, wanted)
    page = await context.store.search(caller, predicate, Selection(resource_type, where, limit=most))
    return Claim(wanted.canonical, where), page.rows
