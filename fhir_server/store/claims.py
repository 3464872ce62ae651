"""Claims: the unique keys that make a conditional create happen once.

https://hl7.org/fhir/R4/http.html#ccreate

Uniqueness comes from a unique key, never from search-then-insert, not even inside a transaction. A claim is
    {_id: sha256(type, canonical criteria, visibility domain), t: type, rid: id}
and is the first thing a conditional create writes. It can outlive its truth (resource deleted, identifier changed,
match written plainly), so the resources themselves are searched, too, and a stale claim is replaced by
compare-and-set.
"""

from dataclasses import dataclass
from hashlib import sha256

import msgspec
from pymongo.errors import DuplicateKeyError

from fhir_server.fhir.condition import Condition
from fhir_server.fhir.outcome import refuse
from fhir_server.store.database import Database
from fhir_server.store.driver import Session
from fhir_server.store.records import Claim, Create, Selection, Stored, Update
from fhir_server.store.search import Search, joined


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
    database: Database, search: Search, visible: Condition, create: Create | Update, claim: Claim
) -> Stored | Ticket:
    """The resource that is already there, or the ticket to create it. FhirError 412 for several matches."""
    found = await _matches(search, visible, create, claim)
    if found:
        return found[0]
    key = key_of(create.type, claim)
    held = await database.collection("claims").find_one({"_id": key}, {"rid": 1})
    return Ticket(key, held["rid"] if held is not None else None)


async def take(
    database: Database,
    search: Search,
    session: Session,
    visible: Condition,
    create: Create | Update,
    ticket: Ticket,
    claim: Claim,
) -> None:
    """Take the claim inside the transaction, before anything else is written. Raises LostClaim."""
    claims = database.collection("claims")
    document = {"_id": ticket.key, "t": create.type, "rid": create.id}
    if ticket.stale is None:
        try:
            await claims.insert_one(document, session=session)
        except DuplicateKeyError:
            raise LostClaim from None
    else:
        replaced = await claims.replace_one({"_id": ticket.key, "rid": ticket.stale}, document, session=session)
        if replaced.matched_count != 1:
            raise LostClaim
    if await _matches(search, visible, create, claim, session):
        raise LostClaim


async def _matches(
    search: Search, visible: Condition, create: Create | Update, claim: Claim, session: Session | None = None
) -> tuple[Stored, ...]:
    page = await search.page(Selection(create.type, joined(visible, claim.where), limit=2), session)
    if len(page.rows) > 1:
        text = f"The criteria '{claim.criteria}' match several {create.type} resources; nothing was created."
        raise refuse(412, "multiple-matches", "several-matches", text, "If-None-Exist")
    return page.rows
