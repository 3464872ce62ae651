"""Transaction: every entry or none, references between the entries resolved.

https://hl7.org/fhir/R4/http.html#trules
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fhir_server.caller import Caller, Predicate, permitted, placing
from fhir_server.context import Context
from fhir_server.fhir import bundle as bundles
from fhir_server.fhir import json, query, references, rewrite
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.interactions import answers, conditional, duplicates, idempotency, paging, patches, plausible
from fhir_server.interactions.address import EVERY
from fhir_server.interactions.again import again
from fhir_server.interactions.conditional import Found
from fhir_server.interactions.entry import Entry, identities, take_apart, within
from fhir_server.interactions.incoming import Incoming, entries_of, require_whole
from fhir_server.interactions.perform import ORDER, Asking, is_reading, perform, require_writable
from fhir_server.interactions.writes import (
    expected_version,
    must_be_new,
    new_id,
    pinned,
    reply_to,
    require_same_id,
)
from fhir_server.store.records import AlreadyDone, ClaimTaken, Committed, Create, Delete, Update, Write


@dataclass(frozen=True, slots=True)
class _Step:
    """An entry with the identity it acts on. `found`: it is already there, nothing is to be created. `looked` is what
    its criteria found; `patched` the outcome of its patch, links not yet resolved. `reads`: it only looks."""

    entry: Entry
    id: str | None
    found: bool = False
    looked: Found | None = None
    patched: Update | None = None
    reads: bool = False

    @property
    def links(self) -> Iterable[tuple[str, str, str]]:
        """The links that this entry brings."""
        if self.reads:
            return ()
        if self.patched is None:
            return rewrite.links(self.entry.resource) if self.entry.resource is not None else ()
        return rewrite.links(json.parse(self.patched.body))


@dataclass(frozen=True, slots=True)
class _Names:
    """What references become: `everywhere` in the Bundle, and `beside` an entry with a RESTful fullUrl, by its base.

    There a relative reference names the entry that has the fullUrl it comes to.
    https://hl7.org/fhir/R4/bundle.html#references
    """

    everywhere: dict[str, str] = field(default_factory=dict)
    beside: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, full_url: str, name: str) -> None:
        """The entry with this fullUrl becomes the resource of this name."""
        self.everywhere[full_url] = name
        base = references.service(full_url)
        if base is not None and full_url != base + name:
            self.beside.setdefault(base, {})[full_url.removeprefix(base)] = name

    def seen_from(self, entry: Entry) -> dict[str, str]:
        """What the references of an entry become."""
        beside = self.beside.get(references.service(entry.full_url or "") or "") if self.beside else None
        return self.everywhere if beside is None else self.everywhere | beside


async def run(asking: Asking, found: dict[str, object], body: bytes) -> list[bundles.Entry]:
    """The answers to all entries, in order. FhirError when a write or the asking of a read fails; then nothing is done.

    A read looks at what the writes left. One that finds nothing fails alone: the writes are done by then.
    """
    entries = _understood(asking, take_apart(asking.context, found, body, {}))
    context, caller, predicate, once = asking.context, asking.caller, asking.predicate, asking.once
    recalled = await context.store.recall(caller, predicate, once) if once is not None else None
    if recalled is not None:
        return await _answers(asking, entries, dict(zip(recalled.numbers, recalled.committed, strict=True)))

    async def attempt() -> list[bundles.Entry] | None:
        try:
            return await _attempt(asking, entries)
        except AlreadyDone:
            assert once is not None
            done = await idempotency.expect(context, caller, predicate, once)
            return await _answers(asking, entries, dict(zip(done.numbers, done.committed, strict=True)))
        except ClaimTaken:
            # Between looking and writing somebody created what an entry asked for: its id differs from the one that
            # other entries would refer to, so everything is resolved afresh.
            return None

    return await again(attempt, stale_too=all(entry.if_match in (None, "*") for entry in entries))


async def _attempt(asking: Asking, entries: Sequence[Entry]) -> list[bundles.Entry]:
    context, caller, predicate = asking.context, asking.caller, asking.predicate
    steps = [
        _Step(entry, entry.id, reads=True)
        if is_reading(asking, entry)
        else await _identify(context, caller, predicate, entry)
        for entry in entries
    ]
    clash = identities((step.entry, step.id) for step in steps if not step.reads)
    if clash is not None:
        raise clash
    names = await _names(context, caller, predicate, steps)
    changing = [step for step in steps if not step.reads and not step.found]
    changing.sort(key=lambda step: ORDER.index(step.entry.method))
    present = {
        step.entry.number: Committed(step.looked.stored, "matched")
        for step in steps
        if step.found and step.looked is not None
    }
    once = asking.once
    if once is not None:
        numbers = (*(step.entry.number for step in changing), *present)
        once = replace(once, numbers=numbers, besides=tuple(present.values())) if numbers else None
    writes = [_write(context, step, names) for step in changing]
    doubts = await _doubts(asking, changing, writes)
    committed = await context.store.commit(caller, predicate, writes, once)
    await duplicates.queue(context, predicate, writes, committed)
    done = {step.entry.number: outcome for step, outcome in zip(changing, committed, strict=True)}
    return await _answers(asking, entries, present | done, doubts)


async def _doubts(asking: Asking, steps: Sequence[_Step], writes: Sequence[Write]) -> dict[int, Sequence[Issue]]:
    """What is to be said of the doses among the writes, by the numbers of their entries. FhirError 422 where one is
    refused."""
    judged = {
        f"{write.type}/{write.id}": (step.entry, json.parse(write.body))
        for step, write in zip(steps, writes, strict=True)
        if not isinstance(write, Delete) and write.type in ("Immunization", "Patient")
    }
    written = {at: resource for at, (_, resource) in judged.items()}
    found = await plausible.judge_all(asking.context, asking.caller, asking.predicate, written)
    told: dict[int, Sequence[Issue]] = {}
    for at, said in found.items():
        entry = judged[at][0]
        if isinstance(said, FhirError):
            raise within(said, entry.expression)
        told[entry.number] = said
    return told


async def _answers(
    asking: Asking,
    entries: Sequence[Entry],
    done: Mapping[int, Committed],
    doubts: Mapping[int, Sequence[Issue]] = MappingProxyType({}),
) -> list[bundles.Entry]:
    """The answers to what has been done, and to the entries that only look, which look now."""
    answered = []
    for entry in entries:
        try:
            told = (*_told(asking, entry), *doubts.get(entry.number, ()))
            reply = reply_to(done[entry.number], told) if entry.number in done else await perform(asking, entry)
            answered.append(answers.of_reply(reply, asking.context.settings.base, asking.preferred))
        except FhirError as error:
            answered.append(answers.of_failure(within(error, entry.expression)))
    return answered


def _told(asking: Asking, entry: Entry) -> tuple[Issue, ...]:
    """What is to be said of an entry's resource although it was written."""
    is_written = entry.method in ("POST", "PUT") and entry.resource is not None and not is_reading(asking, entry)
    return tuple(asking.context.guides.judge(entry.resource)) if is_written and entry.resource is not None else ()


def _understood(asking: Asking, taken: Sequence[Entry | FhirError]) -> list[Entry]:
    failed = [entry for entry in taken if isinstance(entry, FhirError)]
    if failed:
        # An unknown type answers 404 at its own address; here it is a mistake in what was sent.
        status = 400 if failed[0].status == 404 else failed[0].status
        raise FhirError(status, [issue for error in failed for issue in error.issues])
    entries = [entry for entry in taken if isinstance(entry, Entry)]
    for entry in entries:
        try:
            _require_possible(asking, entry)
        except FhirError as error:
            told = within(error, entry.expression)
            # An unknown operation, likewise.
            raise FhirError(400, told.issues) if error.status in (404, 405) else told from None
    return entries


def _require_possible(asking: Asking, entry: Entry) -> None:
    """FhirError for what can be refused before anything is looked at."""
    if is_reading(asking, entry):
        if entry.type is not None and entry.id is None and entry.at.special in ("", "_search") and entry.type != EVERY:
            settings = asking.context.settings
            query.parse(entry.type, _searched(entry), asking.lenient, settings.base, settings.max_page_size)
        return
    if entry.at.operation:
        text = f"${entry.at.operation} changes data by itself; it cannot be part of a transaction. Call it alone."
        raise entry.refuse(400, "not-supported", "unsupported-request", text, "request.url")
    require_writable(entry)
    _require_scope(asking.predicate, entry)
    if entry.method in ("POST", "PUT") and entry.resource is not None:
        found = entry.resource.get("resourceType")
        if found != entry.type:
            text = f"The address takes a {entry.type}; the resource is a {found}."
            raise entry.refuse(400, "invalid", "wrong-type", text, "resource")
        require_whole(entry.resource)
        asking.context.guides.judge(entry.resource)


def _require_scope(predicate: Predicate, entry: Entry) -> None:
    """FhirError 403 where no scope is about what the entry wants to do."""
    kind = entry.type or ""
    match entry.method:
        case "POST":
            permitted(predicate, "c", kind)
        case "PUT":
            placing(predicate, kind)
        case "PATCH":
            permitted(predicate, "u", kind)
        case _:
            permitted(predicate, "d", kind)


def _searched(entry: Entry) -> list[tuple[str, str]]:
    return [pair for pair in entry.pairs if pair[0] != paging.PARAMETER]


async def _identify(context: Context, caller: Caller, predicate: Predicate, entry: Entry) -> _Step:
    """Which resource the entry acts on: named, found by its criteria, or about to be created."""
    criteria = entry.if_none_exist if entry.method == "POST" else entry.criteria
    looked = None
    if criteria is not None:
        looked = await _look(context, caller, predicate, entry, entry.type or "", criteria)
    present = looked.stored.id if looked is not None and looked.stored is not None else None
    if entry.method == "POST":
        return _Step(entry, present or new_id(), present is not None, looked)
    if entry.method == "PATCH":
        return await _patched(context, caller, predicate, entry, looked)
    sent = entry.resource.get("id") if entry.resource is not None else None
    return _Step(entry, entry.id or present or (sent if isinstance(sent, str) else new_id()), looked=looked)


async def _patched(context: Context, caller: Caller, predicate: Predicate, entry: Entry, looked: Found | None) -> _Step:
    """The step of a patch, done to what is there now. FhirError as of a patch that comes alone."""
    try:
        change = patches.of_resource(entry.resource)
        if looked is None:
            stored = await context.store.read(caller, predicate, entry.type or "", entry.id or "")
        elif looked.stored is not None:
            stored = looked.stored
        else:
            raise conditional.nothing(entry.type or "", entry.criteria or "")
        update = patches.changed(context, stored, change, expected_version(entry.if_match))
    except FhirError as error:
        raise within(error, entry.expression) from None
    return _Step(entry, stored.id, looked=looked, patched=update)


async def _look(
    context: Context, caller: Caller, predicate: Predicate, entry: Entry, resource_type: str, criteria: str
) -> Found:
    """What the criteria find; FhirError 412 for several matches."""
    try:
        return await conditional.find(context, caller, predicate, resource_type, criteria)
    except FhirError as error:
        raise within(error, entry.expression) from None


async def _names(context: Context, caller: Caller, predicate: Predicate, steps: Sequence[_Step]) -> _Names:
    """What each reference inside the Bundle becomes: fullUrl (with a fragment, too) or `Type?criteria` -> `Type/id`."""
    names = _Names()
    for step in steps:
        if step.entry.full_url and not step.reads and step.entry.method in ("POST", "PUT", "PATCH"):
            names.add(step.entry.full_url, f"{step.entry.type}/{step.id}")
    for step in steps:
        known = names.seen_from(step.entry)
        for _, kind, text in step.links:
            if kind != "Reference" or text in known or text in names.everywhere:
                continue
            whole, mark, fragment = text.partition("#")
            if mark and whole in names.everywhere:
                names.everywhere[text] = f"{names.everywhere[whole]}#{fragment}"
            elif text.startswith(("urn:uuid:", "urn:oid:")):
                refusal = f"The reference '{text}' names no entry of this Bundle."
                raise step.entry.refuse(400, "not-found", "unresolved-reference", refusal, "resource")
            elif references.is_conditional(text):
                resource_type, _, criteria = text.partition("?")
                looked = await _look(context, caller, predicate, step.entry, resource_type, criteria)
                if looked.stored is None:
                    refusal = f"The conditional reference '{text}' matches nothing."
                    raise step.entry.refuse(412, "not-found", "unresolved-reference", refusal, "resource")
                names.everywhere[text] = f"{resource_type}/{looked.stored.id}"
    return names


def _write(context: Context, step: _Step, names: _Names) -> Write:
    entry, resource_id, resource_type = step.entry, step.id or "", step.entry.type or ""
    stored = step.looked.stored if step.looked is not None else None
    try:
        expected = expected_version(entry.if_match)
        if entry.method == "DELETE":
            # Found by criteria: only in the very version that satisfied them.
            return Delete(resource_type, resource_id, pinned(expected, stored.version) if stored else expected)
        body = rewrite.rewrite(entry.body if step.patched is None else step.patched.body, names.seen_from(step.entry))
        resource = json.parse(body)
        if step.patched is not None:
            return replace(step.patched, body=body, entries=entries_of(context, resource, resource_id))
        if step.looked is not None and entry.method != "POST":
            incoming = Incoming(resource_type, resource, body)
            only_new = must_be_new(entry.if_none_match)
            write = conditional.write(context, step.looked, incoming, resource_id, expected, only_new)
            return replace(write, must_create=True)
        entries = entries_of(context, resource, resource_id)
        if entry.method == "POST":
            unless = step.looked.unless if step.looked is not None else None
            return Create(resource_type, resource_id, body, entries, unless, must_create=True)
        require_same_id(resource.get("id"), resource_id, f"{resource_type}.id")
        only_new = must_be_new(entry.if_none_match)
        return Update(resource_type, resource_id, body, entries, expected, may_replace=not only_new)
    except FhirError as error:
        raise within(error, entry.expression) from None
