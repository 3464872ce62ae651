"""$health-cards-preview: which doses would be on no card, and why.

https://hl7.org/fhir/uv/smart-health-cards-and-links/OperationDefinition-patient-i-health-cards-issue.html
"""

from collections.abc import Mapping

from fhir_server.fhir import json
from fhir_server.fhir.outcome import Issue, operation_outcome, refuse
from fhir_server.interactions.reply import Reply
from fhir_server.operations.health_cards.record import issuer, keys_for, read, rids
from fhir_server.operations.registry import Call
from fhir_server.store.records import Stored
from smart_health_cards import CardError, LeftOut, prepare

_CODES: Mapping[str, str] = {
    "no-standard-code": "code-invalid",
    "vaccine-code-not-allowed": "code-invalid",
    "no-date": "required",
    "date-invalid": "value",
    "no-room": "too-long",
    "not-in-value-set": "informational",
    "not-changed-since": "informational",
}
"""FHIR issue types by the reason a dose is left out; `business-rule` for the others."""


async def preview(call: Call) -> Reply:
    """200 with an OperationOutcome: an issue for each dose that would be on no card. Nothing is signed or logged.

    FhirError 400 for arguments, 404 or 410 for the patient, 422 where the record has no name to put on a card.
    """
    context, record = call.context, await read(call)
    now = context.clock() // 1_000_000
    iss, keys = keys_for(context, record.person)
    try:
        kid = keys.signing_key(now).kid
        prepared = prepare(
            issuer(context, iss),
            kid,
            record.person,
            record.resources,
            not_before=now,
            rid=rids(keys, kid, record.patient.id),
            identity_claims=call.arguments.all("includeIdentityClaim") or None,
        )
    except CardError as error:
        raise refuse(422, "business-rule", error.code, error.text, "Patient") from None
    issues = [_issue(record.doses[reason.position], reason) for reason in prepared.left_out]
    issues += [_issue(dose, reason) for dose, reason in record.passed]
    if not issues:
        cards = len(prepared.drafts)
        text = f"Every dose on record goes on a card; cards: {cards}." if record.doses else "No dose is on record."
        issues.append(Issue("informational", "nothing-left-out", text, (), "information"))
    return Reply(200, json.dump(operation_outcome(issues)), headers=(("cache-control", "no-store"),))


def _issue(dose: Stored, reason: LeftOut) -> Issue:
    place = reason.expression.replace("Immunization", f"Immunization.where(id = '{dose.id}')", 1)
    code = _CODES.get(reason.code, "business-rule")
    return Issue(code, reason.code, reason.text, (place,), "information" if code == "informational" else "warning")
