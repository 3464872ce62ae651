"""Claims: the unique keys that make a conditional create happen once.

https://hl7.org/fhir/R4/http.html#ccreate

Uniqueness comes from a unique key, never from search-then-insert, not even inside a transaction. A claim is
    {_id: sha256(type, canonical criteria, visibility domain), t: type, rid: id}
and is the first thing a conditional create writes. It can outlive its truth (resource deleted, identifier changed,
match written plainly), so the resources themselves are searched, too, and a stale claim is replaced by
compare-and-set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec
from pymongo.errors import PyMongoError

from fhir_server.caller import Predicate
from fhir_server.fhir.condition import Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.store import failures
from fhir_server.store.database import Database
from fhir_server.store.driver import Document, Session
from fhir_server.store.query.plan import IDS_AT_ONCE, KEYS_AT_ONCE
from fhir_server.store.query.search import Search, joined
from fhir_server.store.records import Claim, Create, Selection, Stored, Update

Conditional = tuple[Create | Update, Claim]
"""A write and its precondition."""


class LostClaim(Exception):  # noqa: N818 - not an error: an event to look again on
    """Another create took the claim, or wrote a match, since we looked. Nothing of this transaction may stay."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Nothing satisfies the criteria; the claim `key` is free, or stands for `stale`, which no longer does."""

    key: str
    stale: str | None


def key_of(resource_type: str, claim: Claim) -> str:
    """The unique key of this promise."""
    return sha256(msgspec.json.encode([resource_type, claim.criteria, claim.domain])).hexdigest()


async def look(
    database: Database, search: Search, predicate: Predicate, wanted: Mapping[int, Conditional]
) -> dict[int, Stored | Ticket]:
    """By the number of the write: the resource that is already there, or the ticket to create it.

    FhirError 412 where a write has several matches.
    """
    found: dict[int, Stored | Ticket] = {}
    for number in await _doubtful(search, predicate, wanted):
        matches = await _matches(search, predicate, *wanted[number])
        if matches:
            found[number] = matches[0]
    keys = {number: key_of(write.type, claim) for number, (write, claim) in wanted.items() if number not in found}
    held = await _held(database, list(keys.values()))
    return found | {number: Ticket(key, held.get(key)) for number, key in keys.items()}


async def take(
    database: Database,
    search: Search,
    session: Session,
    predicate: Predicate,
    wanted: Mapping[int, Conditional],
    tickets: Mapping[int, Ticket],
) -> None:
    """Take the claims inside the transaction, before anything else is written. Raises LostClaim."""
    claims = database.collection("claims")
    fresh: list[Document] = []
    for number, ticket in tickets.items():
        write, _ = wanted[number]
        document = {"_id": ticket.key, "t": write.type, "rid": write.id}
        if ticket.stale is None:
            fresh.append(document)
            continue
        replaced = await claims.replace_one({"_id": ticket.key, "rid": ticket.stale}, document, session=session)
        if replaced.matched_count != 1:
            raise LostClaim
    if fresh:
        try:
            await claims.insert_many(fresh, session=session)
        except PyMongoError as error:
            if failures.code_of(error) != failures.DUPLICATE_KEY:
                raise
            raise LostClaim from None
    taken = {number: wanted[number] for number in tickets}
    for number in await _doubtful(search, predicate, taken, session):
        if await _matches(search, predicate, *taken[number], session):
            raise LostClaim


async def _doubtful(
    search: Search, predicate: Predicate, wanted: Mapping[int, Conditional], session: Session | None = None
) -> list[int]:
    """The writes that may have a match. Those that look for token keys are asked about together, a query for a
    hundred: a roster's people, an import's, are nearly always all new."""
    doubtful: list[int] = []
    together: dict[str, list[tuple[int, str]]] = {}
    for number, (write, claim) in wanted.items():
        match claim.where:
            case Keys("tk", (key,)):
                together.setdefault(write.type, []).append((number, key))
            case _:
                doubtful.append(number)
    for resource_type, asked in together.items():
        for start in range(0, len(asked), KEYS_AT_ONCE):
            part = asked[start : start + KEYS_AT_ONCE]
            where = joined(predicate(resource_type), Keys("tk", tuple(key for _, key in part)))
            if len(part) == 1 or (await search.page(Selection(resource_type, where, limit=1), session)).rows:
                doubtful += [number for number, _ in part]
    return doubtful


async def _held(database: Database, keys: Sequence[str]) -> dict[str, str]:
    """Of these claims those that somebody holds, each with the id of the resource."""
    held: dict[str, str] = {}
    for start in range(0, len(keys), IDS_AT_ONCE):
        part = keys[start : start + IDS_AT_ONCE]
        first = {"_id": part[0] if len(part) == 1 else {"$in": part}}
        held.update({row["_id"]: row["rid"] for row in await database.rows("claims", [{"$match": first}])})
    return held


async def _matches(
    search: Search, predicate: Predicate, write: Create | Update, claim: Claim, session: Session | None = None
) -> tuple[Stored, ...]:
    where = joined(predicate(write.type), claim.where)
    page = await search.page(Selection(write.type, where, limit=2), session)
    if len(page.rows) > 1:
        text = f"The condition matches several {write.type} resources; nothing was created."
        raise refuse(412, "multiple-matches", "several-matches", text, "If-None-Exist")
    return page.rows
