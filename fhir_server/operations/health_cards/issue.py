"""$health-cards-issue: a person's immunizations as signed SMART Health Cards.

https://hl7.org/fhir/uv/smart-health-cards-and-links/OperationDefinition-patient-i-health-cards-issue.html

Order: check -> issuance log -> look again -> sign -> verify the own signature -> keep -> release. What is looked at
again is the record: a correction made before the log was written is seen then, one made later finds the log entry
(corrections.py), so no card escapes being revoked (docs/decisions/0011-revocation.md).
"""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations.health_cards import log
from fhir_server.operations.health_cards.record import Record, issuer, keys_for, read, rids
from fhir_server.operations.registry import Call
from fhir_server.store.records import Create, Stored
from smart_health_cards import Card, CardError, Draft, Issuer, KeyFolder, prepare, release, write_file
from smart_health_cards.file import MEDIA_TYPE

Resource = dict[str, Any]

CARD_ADDRESS = "https://fhir-server.example/fhir/StructureDefinition/card-address"
"""Extension of `verifiableCredential`: where the card's QR picture is; other endings give its other forms."""

_ATTEMPTS = 5
"""Times a record that changes while its cards are made is read again."""

_KEY_TROUBLE = frozenset({"no-signing-key", "key-unreadable", "key-passphrase", "key-folder-permissions"})


async def issue(call: Call) -> Reply:
    """200 with `verifiableCredential`* and `resourceLink`*; no parameter at all where there is nothing to certify.

    FhirError 400 for arguments, 404 or 410 for the patient, 409 while the record keeps changing, 422 where the
    patient's record has no name to put on a card, 503 without a key to sign with.
    """
    record, cards = await issued(call)
    files = [_file(record.patient, card) for card in cards]
    await _keep(call, files)
    return _answer(call.context, record, cards, files)


async def issued(call: Call, *, cards_per_group: int = 1) -> tuple[Record, list[Card]]:
    """The record asked for, and its signed cards, each entered in the log. Errors as of `issue`."""
    for _ in range(_ATTEMPTS):
        record = await read(call)
        if not record.doses:
            return record, []
        iss, keys = keys_for(call.context, record.person)
        try:
            drafts = await _draft(call, record, issuer(call.context, iss, cards_per_group), keys)
            await log.append(call.context, [(draft.entry, record.patient, _on(draft, record)) for draft in drafts])
            if await _is_current(call, record):
                key = keys.signing_key(call.context.clock() // 1_000_000) if drafts else None
                return record, [release(draft, key) for draft in drafts if key is not None]
        except CardError as error:
            if error.code in _KEY_TROUBLE:
                raise refuse(503, "transient", "no-card-key", error.text) from None
            if error.code != "key-mismatch":
                raise refuse(422, "business-rule", error.code, error.text, "Patient") from None
            # Another key has taken over meanwhile.
    raise refuse(409, "conflict", "contended", "The record keeps changing; ask again.")


async def _draft(call: Call, record: Record, rules: Issuer, keys: KeyFolder) -> Sequence[Draft]:
    context = call.context
    now = context.clock() // 1_000_000
    not_before = max(now, await _earliest(context, record))
    await asyncio.sleep(min(not_before - now, 3))
    kid = keys.signing_key(now).kid
    return prepare(
        rules,
        kid,
        record.person,
        record.resources,
        not_before=not_before,
        rid=rids(keys, kid, record.patient.id),
        identity_claims=call.arguments.all("includeIdentityClaim") or None,
    ).drafts


async def _earliest(context: Context, record: Record) -> int:
    """The moment from which a card counts in spite of every revocation of this person's cards, made or about to be.

    Cards made from other versions than today's are revoked up to one second behind the newest of them, and some
    verifiers refuse a card dated at that very second, too.
    """
    logged = await log.of_patient(context, record.patient.id)
    revoked = await context.store.revocations.of({card.kid for card in logged})
    moments = [revoked[card.kid].rids.get(card.rid, 0) + 1 for card in logged if card.kid in revoked]
    moments += [card.not_before + 2 for card in logged if not card.doses.items() <= record.versions.items()]
    return max(moments, default=0)


async def _is_current(call: Call, record: Record) -> bool:
    wanted = [record.patient, *record.doses]
    found = await call.context.store.read_many(call.caller, call.predicate, [(row.type, row.id) for row in wanted])
    return [(row.id, row.version) for row in found] == [(row.id, row.version) for row in wanted]


def _on(draft: Draft, record: Record) -> list[Stored]:
    return [record.doses[placed.position] for placed in draft.placed]


def _answer(context: Context, record: Record, cards: Sequence[Card], files: Sequence[Resource]) -> Reply:
    credentials: list[Resource] = [
        {
            "name": "verifiableCredential",
            "extension": [{"url": CARD_ADDRESS, "valueUrl": f"{context.settings.origin}/cards/{file['id']}.png"}],
            "valueString": card.jws,
        }
        for card, file in zip(cards, files, strict=True)
    ]
    links = [link for number, card in enumerate(cards) for link in _links(context, number, card, record)]
    parameters = {"parameter": credentials + links} if credentials else {}
    return Reply(200, json.dump({"resourceType": "Parameters", **parameters}), headers=(("cache-control", "no-store"),))


def _links(context: Context, number: int, card: Card, record: Record) -> Iterator[Resource]:
    sources = {"resource:0": record.patient}
    sources |= {placed.resource: record.doses[placed.position] for placed in card.placed}
    for bundled, source in sources.items():
        hosted = f"{context.settings.base}/{source.type}/{source.id}/_history/{source.version}"
        yield {
            "name": "resourceLink",
            "part": [
                {"name": "vcIndex", "valueInteger": number},
                {"name": "bundledResource", "valueUri": bundled},
                {"name": "hostedResource", "valueUri": hosted},
            ],
        }


def _file(patient: Stored, card: Card) -> Resource:
    """The card as it can be fetched again: a Binary whose id cannot be guessed."""
    return {
        "resourceType": "Binary",
        "id": secrets.token_hex(20),
        "contentType": MEDIA_TYPE,
        "securityContext": {"reference": f"Patient/{patient.id}"},
        "data": b64encode(write_file([card.jws])).decode(),
    }


async def _keep(call: Call, files: Sequence[Resource]) -> None:
    base = call.context.settings.base
    creates = [Create("Binary", file["id"], json.dump(file), index.entries(file, base)) for file in files]
    if creates:
        # The server keeps what it issued, whoever asked for it.
        await call.context.store.commit(SERVER, allow_all, creates)
