"""$health-cards-verify: what a presented card is worth, check by check.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier

Nothing of what is presented is stored, logged or sent anywhere.
"""

from base64 import b64decode
from binascii import Error
from functools import lru_cache
from pathlib import Path

from fhir_server.access import card_directory
from fhir_server.context import Context
from fhir_server.fhir import dates, json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations.registry import Call
from fhir_server.store.cards.revocations import Revoked
from smart_health_cards import KeyFolder, Report, RevocationList, TrustList
from smart_health_cards import verify as verify_cards

_LEEWAY = 60
"""Seconds by which clocks may differ."""

_DATA = "data:image/"


async def verify(call: Call) -> Reply:
    """200 with, for the card presented, `accepted` and six `verdict`s; a `card` with these parts each where a file or
    picture holds several. FhirError 400 for arguments only: a bad card is an answer, not an error."""
    context = call.context
    at = call.arguments.text("at")
    moment = dates.microseconds(dates.parse(at).lo) if at is not None else context.clock()
    found = await reports(context, _picture(call.arguments.text("credential") or ""), moment)
    cards = [{"name": "card", "part": _parts(report)} for report in found]
    parameters = _parts(found[0]) if len(found) == 1 else cards
    answer = {"resourceType": "Parameters", "parameter": parameters}
    return Reply(200, json.dump(answer), headers=(("cache-control", "no-store"),))


async def reports(
    context: Context, presented: bytes | str, moment: int | None = None, *, chunks: bool = False
) -> list[Report]:
    """A report for each card presented, at a moment (microseconds since 1970, UTC; now if none is given).

    `chunks`: also for one that is spread over several QR codes, which is deprecated.
    """
    seconds = (context.clock() if moment is None else moment) / 1_000_000
    trust = await trust_list(context)
    found = verify_cards(presented, trust, seconds, leeway=_LEEWAY, chunks=chunks)
    if context.settings.card_fetch:
        renewed = await context.issuer_keys.renew(trust, found)
        if renewed is not None:
            return verify_cards(presented, renewed, seconds, leeway=_LEEWAY, chunks=chunks)
    return found


async def trust_list(context: Context) -> TrustList:
    """This server's own issuers with their revocations as they are now, and those of the directory snapshot."""
    settings, trust = context.settings, TrustList()
    if settings.card_directory is not None:
        changed = settings.card_directory.stat().st_mtime_ns
        trust = _directory(settings.card_directory, settings.card_directory_key, changed)
    own: dict[str, KeyFolder] = {settings.issuer: context.card_keys}
    own |= {f"{settings.issuer}/{name}": keys for name, keys in context.tenants.items()}
    for iss, keys in own.items():
        found = await context.store.revocations.of(record.kid for record in keys.records())
        lists = [revocation_list(kid, revoked).document() for kid, revoked in found.items()]
        versions = {kid: revoked.counter for kid, revoked in found.items()}
        trust |= TrustList.from_jwks(iss, keys.jwks(versions), revocations=lists)
    return trust


def revocation_list(kid: str, revoked: Revoked) -> RevocationList:
    """The list of a key as it is published."""
    return RevocationList(kid, revoked.counter, dict(revoked.rids))


@lru_cache(maxsize=1)
def _directory(snapshot: Path, key: Path | None, changed: int) -> TrustList:
    """The snapshot, read again when the file has `changed` (nanoseconds)."""
    return card_directory.load(snapshot, key)


def _picture(credential: str) -> str | bytes:
    """What was presented; a picture comes as a data URL. FhirError 400 where its base64 is broken."""
    if not credential.startswith(_DATA):
        return credential
    try:
        return b64decode(credential.partition(",")[2], validate=True)
    except Error:
        raise refuse(
            400, "value", "invalid-value", "The picture in the data URL is not base64.", "credential"
        ) from None


def _parts(report: Report) -> list[dict[str, object]]:
    verdicts: list[dict[str, object]] = [
        {
            "name": "verdict",
            "part": [
                {"name": "check", "valueCode": verdict.check},
                {"name": "status", "valueCode": verdict.status},
                {"name": "code", "valueCode": verdict.code},
                {"name": "text", "valueString": verdict.text},
            ],
        }
        for verdict in report.verdicts
    ]
    return [{"name": "accepted", "valueBoolean": report.accepted}, *verdicts]
