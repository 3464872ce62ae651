"""$health-link-create, $health-links, $health-link-revoke: a person's record by SMART Health Link, and who used it.

https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html

The files are encrypted when the link is made, and the key leaves with it: the server keeps ciphertext only.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from fhir_server.context import Context
from fhir_server.fhir import dates, json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations.health_cards.issue import issued
from fhir_server.operations.registry import Call
from fhir_server.store.cards.links import StoredLink
from fhir_server.store.records import Stored
from smart_health_cards import CardError, write_file
from smart_health_cards.file import MEDIA_TYPE
from smart_health_cards.jwe import encrypt
from smart_health_cards.links import Link, new_key, new_token

Resource = dict[str, Any]

_NO_STORE = (("cache-control", "no-store"),)
_TRIES = 10
_ALL_CARDS = 1_000
"""Cards of one disease group: as many as its doses need, for a link holds them all."""
_SALT = 16
FHIR_JSON = "application/fhir+json"


async def create(call: Call) -> Reply:
    """200 with `link` and `id`. FhirError 400 for arguments, 404 or 410 for the patient, 422 without anything to share,
    and what $health-cards-issue may answer."""
    context, arguments = call.context, call.arguments
    passcode, direct = arguments.text("passcode"), arguments.one("direct") is True
    if passcode is not None and direct:
        text = "A link that is one file cannot ask for a passcode: give 'direct' or 'passcode'."
        raise refuse(400, "invalid", "direct-with-passcode", text, "direct")
    now = context.clock()
    expires = _moment(arguments.text("expires"), now)
    record, cards = await issued(call, cards_per_group=_ALL_CARDS)
    if direct and not cards:
        raise refuse(422, "business-rule", "nothing-to-share", "There is no card to share for this person.", "Patient")
    key, token = new_key(), new_token()
    flags = "U" if direct else "P" if passcode is not None else ""
    try:
        link = Link(f"{context.settings.origin}/shl/{token}", key, expires, flags, arguments.text("label"))
    except CardError as error:
        raise refuse(400, "value", error.code, error.text, "label") from None
    files = [(MEDIA_TYPE, write_file([card.jws for card in cards]))] if cards else []
    if not direct:
        files.append((FHIR_JSON, _whole(context, [record.patient, *record.doses])))
    stored = StoredLink(
        id=id_of(token),
        patient=record.patient.id,
        made=now,
        expires=expires,
        label=link.label,
        flags=flags,
        passcode=None if passcode is None else await asyncio.to_thread(hashed, passcode, secrets.token_bytes(_SALT)),
        tries=arguments.one("passcodeTries") or _TRIES,
        uses=arguments.one("maxRetrievals"),
        revoked=False,
        files=tuple((kind, encrypt(data, kind, key, deflate=True).encode()) for kind, data in files),
    )
    await context.store.links.add(stored, call.caller.subject)
    answer = [{"name": "link", "valueUri": link.text()}, {"name": "id", "valueString": stored.id}]
    return Reply(200, json.dump({"resourceType": "Parameters", "parameter": answer}), headers=_NO_STORE)


async def overview(call: Call) -> Reply:
    """200 with a `link` for each of the person's links, and in it an `access` for each use, newest first."""
    context = call.context
    patient = await context.store.read(call.caller, call.predicate, "Patient", call.id or "")
    links = await context.store.links.of_patient(patient.id)
    uses = await context.store.links.uses([link.id for link in links])
    parameters = []
    for link in links:
        parts: list[Resource] = [
            {"name": "id", "valueString": link.id},
            {"name": "made", "valueInstant": json.instant(link.made)},
            {"name": "active", "valueBoolean": is_active(link, context.clock())},
        ]
        parts += [{"name": "label", "valueString": link.label}] if link.label else []
        if link.expires is not None:
            parts.append({"name": "expires", "valueInstant": json.instant(link.expires * 1_000_000)})
        if link.uses is not None:
            parts.append({"name": "retrievalsLeft", "valueInteger": link.uses})
        for use in uses.get(link.id, ()):
            details = [
                {"name": "at", "valueInstant": json.instant(use.at)},
                {"name": "recipient", "valueString": use.recipient},
                {"name": "outcome", "valueCode": use.outcome},
            ]
            parts.append({"name": "access", "part": details})
        parameters.append({"name": "link", "part": parts})
    answer = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
    return Reply(200, json.dump(answer), headers=_NO_STORE)


async def revoke(call: Call) -> Reply:
    """200 once the link is ended and its files are gone. FhirError 404 for the patient or the link."""
    context = call.context
    patient = await context.store.read(call.caller, call.predicate, "Patient", call.id or "")
    await context.store.links.revoke(patient.id, call.arguments.text("id") or "")
    return Reply(200, json.dump({"resourceType": "Parameters"}), headers=_NO_STORE)


def id_of(token: str) -> str:
    """The id under which a link is stored, from the secret part of its address."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_active(link: StoredLink, now: int, *, spent: bool = False) -> bool:
    """Whether a link still leads anywhere at `now` (microseconds). `spent`: retrievals used up do not count, for the
    files of the last one are fetched afterwards."""
    expired = link.expires is not None and link.expires * 1_000_000 <= now
    locked = link.passcode is not None and link.tries <= 0
    return not (link.revoked or expired or locked or (link.uses == 0 and not spent))


def hashed(passcode: str, salt: bytes) -> bytes:
    """The passcode as it is stored, salt first: slow to compute on purpose (about 50 ms)."""
    return salt + hashlib.scrypt(passcode.encode(), salt=salt, n=2**14, r=8, p=1)


def is_passcode(passcode: str, stored: bytes) -> bool:
    """Whether a passcode is the one stored."""
    return secrets.compare_digest(hashed(passcode, stored[:_SALT]), stored)


def _whole(context: Context, rows: Sequence[Stored]) -> bytes:
    """The resources as they are stored, in a Bundle of type collection."""
    entries = [
        b'{"fullUrl":%b,"resource":%b}' % (json.dump(f"{context.settings.base}/{row.type}/{row.id}"), row.raw)
        for row in rows
        if row.raw is not None
    ]
    return b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % b",".join(entries)


def _moment(text: str | None, now: int) -> int | None:
    if text is None:
        return None
    interval = dates.parse(text)
    moment = dates.microseconds(interval.lo if "T" in text else interval.hi) // 1_000_000
    if moment * 1_000_000 <= now:
        raise refuse(400, "value", "expiry-in-past", "The moment the link is to expire at has passed.", "expires")
    return moment
