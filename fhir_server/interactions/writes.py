"""Create, update and delete; the precondition travels with the write.

https://hl7.org/fhir/R4/http.html#create
"""

import re
from dataclasses import replace
from uuid import uuid4

from fhir_server.caller import Caller, Predicate, permitted, placing
from fhir_server.context import Context
from fhir_server.fhir import query
from fhir_server.fhir.outcome import Issue, refuse
from fhir_server.interactions import duplicates, plausible, search
from fhir_server.interactions.incoming import accept, entries_of, known_type, legal_id
from fhir_server.interactions.reply import Reply, of_stored
from fhir_server.store.records import ANY_VERSION, Claim, Committed, Create, Delete, Once, Update, Write

_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')


def new_id() -> str:
    """A server-assigned logical id: random, so that it tells nothing."""
    return str(uuid4())


def expected_version(if_match: str | None) -> int | None:
    """The version named by If-Match, ANY_VERSION for `*`, None without one; FhirError 400 if it is no tag of ours."""
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return ANY_VERSION
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise refuse(
            400, "invalid", "malformed-if-match", f"If-Match must look like W/\"3\"; '{if_match}' does not.", "If-Match"
        )
    return int(match.group(1))


def pinned(expected: int | None, found: int) -> int:
    """The version to write upon: that of If-Match, or where it names none the one that was found."""
    return found if expected in (None, ANY_VERSION) else expected


def must_be_new(if_none_match: str | None) -> bool:
    """Whether the update may only create; FhirError 400 for anything but `*`: a version cannot be excluded."""
    if if_none_match is None:
        return False
    if if_none_match.strip() != "*":
        text = f"If-None-Match of an update can only be *, for one that must create; it is '{if_none_match}'."
        raise refuse(400, "invalid", "malformed-if-none-match", text, "If-None-Match")
    return True


async def claim(
    context: Context, caller: Caller, predicate: Predicate, resource_type: str, if_none_exist: str
) -> Claim:
    """The precondition of a conditional create. FhirError 400 if it could mean everybody."""
    wanted = query.criteria(resource_type, if_none_exist, context.settings.base)
    where = await search.resolve(context, caller, predicate, wanted) if wanted.links else wanted.where
    return Claim(wanted.canonical, where)


async def create(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    body: bytes,
    if_none_exist: str | None = None,
    once: Once | None = None,
) -> Reply:
    """201 with the new resource; with If-None-Exist and one match 200 with that one, several 412."""
    known_type(resource_type)
    permitted(predicate, "c", resource_type)
    if if_none_exist is not None:
        permitted(predicate, "s", resource_type)
    unless = None
    if if_none_exist is not None:
        unless = await claim(context, caller, predicate, resource_type, if_none_exist)
    incoming = accept(context, resource_type, body)
    resource_id = new_id()
    doubts = await plausible.judge(context, caller, predicate, incoming.resource)
    write = Create(
        resource_type, resource_id, incoming.body, entries_of(context, incoming.resource, resource_id), unless
    )
    return reply_to(await _commit(context, caller, predicate, write, once), (*incoming.issues, *doubts))


async def update(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    resource_id: str,
    body: bytes,
    if_match: str | None = None,
    if_none_match: str | None = None,
    once: Once | None = None,
) -> Reply:
    """200 with the new version, 201 where the id was new.

    FhirError 412 if If-Match names another version, or If-None-Match is `*` and the resource is there.
    """
    known_type(resource_type)
    placing(predicate, resource_type)
    expected = expected_version(if_match)
    only_new = must_be_new(if_none_match)
    _require_id(resource_id)
    incoming = accept(context, resource_type, body)
    require_same_id(incoming.resource.get("id"), resource_id, f"{resource_type}.id")
    doubts = await plausible.judge(context, caller, predicate, incoming.resource)
    entries = entries_of(context, incoming.resource, resource_id)
    write = Update(resource_type, resource_id, incoming.body, entries, expected, may_replace=not only_new)
    return reply_to(await _commit(context, caller, predicate, write, once), (*incoming.issues, *doubts))


async def delete(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    resource_id: str,
    if_match: str | None = None,
    once: Once | None = None,
) -> Reply:
    """204, also when there was nothing to delete."""
    known_type(resource_type)
    permitted(predicate, "d", resource_type)
    expected = expected_version(if_match)
    return reply_to(await _commit(context, caller, predicate, Delete(resource_type, resource_id, expected), once))


def require_same_id(found: object, resource_id: str, expression: str) -> None:
    """FhirError 400 unless the resource carries the id of its address."""
    if found == resource_id:
        return
    told = f"has id '{found}'" if found is not None else "has no id"
    raise refuse(
        400, "invalid", "wrong-id", f"The address names id '{resource_id}' but the resource {told}.", expression
    )


def reply_to(committed: Committed, issues: tuple[Issue, ...] = ()) -> Reply:
    """The reply a committed write deserves; `issues` is what is to be said of the resource all the same."""
    stored = committed.stored
    if committed.effect == "deleted" or stored is None or stored.raw is None:
        return Reply(204, version=stored.version if stored else None)
    status = 201 if committed.effect == "created" else 200
    reply = of_stored(status, stored, location=True, written=True)
    return replace(reply, issues=issues) if issues else reply


async def _commit(context: Context, caller: Caller, predicate: Predicate, write: Write, once: Once | None) -> Committed:
    [committed] = await context.store.commit(caller, predicate, [write], once)
    await duplicates.queue(context, predicate, [write], [committed])
    return committed


def _require_id(resource_id: str) -> None:
    if not legal_id(resource_id):
        raise refuse(
            400,
            "value",
            "malformed-id",
            f"'{resource_id}' cannot be an id: 1 to 64 letters, digits, hyphens and dots.",
        )
