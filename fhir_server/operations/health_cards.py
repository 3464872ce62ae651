"""$health-cards-issue: a person's immunizations as signed SMART Health Cards.

https://hl7.org/fhir/uv/smart-health-cards-and-links/OperationDefinition-patient-i-health-cards-issue.html

Order: check -> issuance log -> sign -> verify the own signature -> keep -> release.
"""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.context import Context
from fhir_server.fhir import dates, index, json
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.interactions.search import gather
from fhir_server.interactions.writes import new_id
from fhir_server.operations.registry import Call
from fhir_server.store.records import Create, Stored
from profiles.definitions import RESOURCE_TYPES
from smart_health_cards import Card, CardError, Issuer, LogEntry, prepare, release, rid, write_file
from smart_health_cards.file import MEDIA_TYPE
from terminology import codes
from terminology.systems import CVX, preferred

Resource = dict[str, Any]

CARD_ADDRESS = "https://fhir-server.example/fhir/StructureDefinition/card-address"
"""Extension of `verifiableCredential`: where the card's QR picture is; other endings give its other forms."""

_TYPE_PREFIX = "https://smarthealth.cards#"
_TYPES = {"immunization": "Immunization", "health-card": None}
"""Types of smarthealth.cards by the FHIR type they stand for; `health-card` asks for nothing in particular."""


async def issue(call: Call) -> Reply:
    """200 with `verifiableCredential`* and `resourceLink`*; no parameter at all where there is nothing to certify.

    FhirError 404 or 410 for the patient, 422 where the patient's record has no name to put on a card.
    """
    context = call.context
    patient = await context.store.read(call.caller, call.predicate, "Patient", call.id or "")
    if not _immunizations_wanted(call):
        return _answer(context, [], [], patient, [])
    about = Keys("tk", (f"patient{SEPARATOR}Patient/{patient.id}",))
    doses = await gather(context, call.caller, call.predicate, "Immunization", about)
    since = call.arguments.text("_since")
    if since is not None:
        earliest = dates.microseconds(dates.parse(since).lo)
        doses = [dose for dose in doses if dose.updated >= earliest]
    cards = await _sign(call, patient, doses)
    files = [_file(patient, card) for card in cards]
    await _store(call, files)
    return _answer(context, cards, files, patient, doses)


def issuer(context: Context) -> Issuer:
    """The issuer of this server and its rules."""
    return Issuer(context.settings.issuer, disease_group, historical=context.settings.historical_on_cards)


def disease_group(immunization: Mapping[str, Any]) -> str | None:
    """The vaccine group of a dose by its CVX code (several, for a combination, joined), None where it has none."""
    for coding in immunization.get("vaccineCode", {}).get("coding", ()):
        if preferred(coding.get("system", "")) == CVX and "code" in coding:
            groups = codes.vaccine_groups(coding["code"])
            if groups:
                return "+".join(groups)
    return None


def _immunizations_wanted(call: Call) -> bool:
    """Several types mean AND, so only Immunization can be served. FhirError 400 for what is no credential type."""
    wanted = True
    for given in call.arguments.all("credentialType"):
        name = given.removeprefix(_TYPE_PREFIX).removeprefix("#")
        resource_type = _TYPES.get(name, name)
        if name not in _TYPES and name not in RESOURCE_TYPES:
            text = f"'{given}' is neither a FHIR resource type nor a type of https://smarthealth.cards."
            raise refuse(400, "value", "unknown-credential-type", text, "credentialType")
        wanted = wanted and resource_type in ("Immunization", None)
    return wanted


async def _sign(call: Call, patient: Stored, doses: Sequence[Stored]) -> list[Card]:
    context, now = call.context, call.context.clock() // 1_000_000
    try:
        key = context.card_keys.signing_key(now)
        secret = context.card_keys.rid_secret()
        prepared = prepare(
            issuer(context),
            key.kid,
            _resource(patient),
            [_resource(dose) for dose in doses],
            not_before=now,
            rid=lambda group: rid(secret, key.kid, f"{patient.id}{SEPARATOR}{group}"),
            identity_claims=call.arguments.all("includeIdentityClaim") or None,
        )
        # Durable before anything is signed: a signature without its log entry must not exist.
        await _store(call, [_log_entry(context, patient, draft.entry) for draft in prepared.drafts])
        return [release(draft, key) for draft in prepared.drafts]
    except CardError as error:
        raise refuse(422, "business-rule", error.code, error.text, "Patient") from None


def _answer(
    context: Context, cards: Sequence[Card], files: Sequence[Resource], patient: Stored, doses: Sequence[Stored]
) -> Reply:
    credentials: list[Resource] = [
        {
            "name": "verifiableCredential",
            "extension": [{"url": CARD_ADDRESS, "valueUrl": f"{context.settings.origin}/cards/{file['id']}.png"}],
            "valueString": card.jws,
        }
        for card, file in zip(cards, files, strict=True)
    ]
    links = [link for number, card in enumerate(cards) for link in _links(context, number, card, patient, doses)]
    parameters = {"parameter": credentials + links} if credentials else {}
    return Reply(200, json.dump({"resourceType": "Parameters", **parameters}), headers=(("cache-control", "no-store"),))


def _links(context: Context, number: int, card: Card, patient: Stored, doses: Sequence[Stored]) -> Iterator[Resource]:
    sources = {"resource:0": patient} | {placed.resource: doses[placed.position] for placed in card.placed}
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


def _log_entry(context: Context, patient: Stored, entry: LogEntry) -> Resource:
    """The issuance log's entry, an AuditEvent: which key signs what for whom, nothing that stands on the card."""
    noted = {
        "iss": entry.iss, "kid": entry.kid, "nbf": str(entry.not_before), "rid": entry.rid or "",
        "group": entry.group, "sha256": entry.digest,
    }  # fmt: skip
    return {
        "resourceType": "AuditEvent",
        "id": new_id(),
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "subtype": [{"system": "https://fhir-server.example/fhir/CodeSystem/audit", "code": "health-card-issued"}],
        "action": "E",
        "recorded": json.instant(context.clock()),
        "outcome": "0",
        "agent": [{"who": {"display": "server"}, "requestor": False}],
        "source": {"observer": {"display": context.settings.issuer}},
        "entity": [
            {
                "what": {"reference": f"Patient/{patient.id}"},
                "detail": [{"type": name, "valueString": value} for name, value in noted.items() if value],
            }
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


async def _store(call: Call, resources: Sequence[Resource]) -> None:
    creates = [
        Create(resource["resourceType"], resource["id"], json.dump(resource), index.entries(resource))
        for resource in resources
    ]
    if creates:
        await call.context.store.commit(call.caller, call.predicate, creates)


def _resource(stored: Stored) -> Resource:
    return json.parse(stored.raw or b"{}")
