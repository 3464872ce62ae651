"""$health-cards-revoke: staff withdraw a person's cards, with a reason.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#revocation
"""

from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations.health_cards import log
from fhir_server.operations.health_cards.corrections import revoke as revoke_cards
from fhir_server.operations.registry import Call


async def revoke(call: Call) -> Reply:
    """200 with `card`*: `group`, `kid`, `before` of what is revoked now; none where there was nothing to revoke.

    FhirError 400 without a reason or for a disease group without cards, 404 or 410 for the patient.
    """
    context = call.context
    patient = await context.store.read(call.caller, call.predicate, "Patient", call.id or "")
    reason = (call.arguments.text("reason") or "").strip()
    if not reason:
        raise refuse(400, "required", "missing-parameter", "'reason' says why the cards are revoked.", "reason")
    cards = [card for card in await log.of_patient(context, patient.id) if card.rid]
    groups = call.arguments.all("group")
    for group in groups:
        if group not in {card.group for card in cards}:
            known = ", ".join(sorted({card.group for card in cards})) or "none"
            text = f"No card of '{group}' was issued to this person. Disease groups of their cards: {known}."
            raise refuse(400, "value", "unknown-card-group", text, "group")
    chosen = [card for card in cards if not groups or card.group in groups]
    moment = max((card.not_before + 1 for card in chosen), default=0)
    await revoke_cards(context, chosen, moment, call.caller.subject, reason)
    revoked = {(card.group, card.kid) for card in chosen}
    parameters = [
        {
            "name": "card",
            "part": [
                {"name": "group", "valueString": group},
                {"name": "kid", "valueString": kid},
                {"name": "before", "valueInstant": json.instant(moment * 1_000_000)},
            ],
        }
        for group, kid in sorted(revoked)
    ]
    answer = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
    return Reply(200, json.dump(answer))
