"""The issuance log: an AuditEvent for every card, written before the card is signed; and one for every revocation.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#revocation

An entry says which key signs what for whom, made from which versions of which doses; nothing that stands on the card.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import index, json
from fhir_server.fhir.condition import SEPARATOR, All, Keys
from fhir_server.fhir.outcome import FhirError
from fhir_server.interactions.search import gather
from fhir_server.interactions.writes import new_id
from fhir_server.store.records import Create, Stored
from smart_health_cards import LogEntry

Resource = dict[str, Any]

_SYSTEM = "https://fhir-server.example/fhir/CodeSystem/audit"
_ISSUED, _REVOKED = "health-card-issued", "health-card-revoked"


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry: the card's key, rid, disease group and moment (Unix seconds), and the version of each dose on it."""

    patient: str
    kid: str
    rid: str
    group: str
    not_before: int
    doses: Mapping[str, int]


async def append(context: Context, entries: Sequence[tuple[LogEntry, Stored, Sequence[Stored]]]) -> None:
    """Durable when this returns: each card's entry, with its patient and the doses on it. FhirError 503."""
    await _write(context, [_issued(context, entry, patient, doses) for entry, patient, doses in entries])


async def of_patient(context: Context, patient: str) -> list[Logged]:
    """The entries of a person's cards."""
    return await _read(context, f"patient{SEPARATOR}Patient/{patient}")


async def of_dose(context: Context, dose: str) -> list[Logged]:
    """The entries of the cards that a dose is on, in any of its versions."""
    return await _read(context, f"entity{SEPARATOR}Immunization/{dose}")


async def revoked(context: Context, card: Logged, before: int, agent: str, reason: str) -> None:
    """The record of a revocation, once for the same card group, key and moment. FhirError 503."""
    noted = {"kid": card.kid, "rid": card.rid, "group": card.group, "before": str(before), "reason": reason}
    once = hashlib.sha256(f"{card.kid}|{card.rid}|{before}|{reason}".encode()).hexdigest()[:40]
    entity = {"what": {"reference": f"Patient/{card.patient}"}, "detail": _details(noted)}
    event = _event(context, once, _REVOKED, agent, [entity])
    try:
        await _write(context, [event])
    except FhirError as error:
        if error.status != 409:
            raise


def _issued(context: Context, entry: LogEntry, patient: Stored, doses: Sequence[Stored]) -> Resource:
    noted = {
        "iss": entry.iss, "kid": entry.kid, "nbf": str(entry.not_before), "rid": entry.rid or "",
        "group": entry.group, "sha256": entry.digest,
    }  # fmt: skip
    about = {"what": {"reference": f"Patient/{patient.id}"}, "detail": _details(noted)}
    certified = [{"what": {"reference": f"Immunization/{dose.id}/_history/{dose.version}"}} for dose in doses]
    return _event(context, new_id(), _ISSUED, "server", [about, *certified])


def _event(context: Context, id: str, kind: str, agent: str, entities: Sequence[Resource]) -> Resource:
    return {
        "resourceType": "AuditEvent",
        "id": id,
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "subtype": [{"system": _SYSTEM, "code": kind}],
        "action": "E",
        "recorded": json.instant(context.clock()),
        "outcome": "0",
        "agent": [{"who": {"display": agent}, "requestor": agent != "server"}],
        "source": {"observer": {"display": context.settings.issuer}},
        "entity": list(entities),
    }


def _details(noted: Mapping[str, str]) -> list[Resource]:
    return [{"type": name, "valueString": value} for name, value in noted.items() if value]


async def _write(context: Context, events: Sequence[Resource]) -> None:
    base = context.settings.base
    creates = [Create("AuditEvent", event["id"], json.dump(event), index.entries(event, base)) for event in events]
    if creates:
        await context.store.commit(SERVER, allow_all, creates)


async def _read(context: Context, key: str) -> list[Logged]:
    # As the server: the log is the server's own memory, whoever asks for a card.
    where = All((Keys("tk", (key,)), Keys("tk", (f"subtype{SEPARATOR}{_SYSTEM}|{_ISSUED}",))))
    rows = await gather(context, SERVER, allow_all, "AuditEvent", where)
    return [_logged(json.parse(row.raw or b"{}")) for row in rows]


def _logged(event: Resource) -> Logged:
    about, *certified = event["entity"]
    noted = {detail["type"]: detail["valueString"] for detail in about["detail"]}
    doses = {}
    for entity in certified:
        _, id, _, version = entity["what"]["reference"].split("/")
        doses[id] = int(version)
    patient = about["what"]["reference"].removeprefix("Patient/")
    return Logged(patient, noted["kid"], noted.get("rid", ""), noted["group"], int(noted["nbf"]), doses)
