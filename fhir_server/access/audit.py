"""Audit: the AuditEvents of an interaction with personal data, in the shape of IHE's Basic Audit Log Patterns.

https://profiles.ihe.net/ITI/BALP/

Pure. An interaction that touched several patients makes an event for each, which names no other of them, and one for
the query itself: a patient who reads the access log learns nothing of others.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from fhir_server.caller import Caller
from fhir_server.fhir import dates, index, json
from fhir_server.fhir.entries import Entries
from fhir_server.store.built import labelled
from fhir_server.store.kinds import Event, Kind, kind

Resource = dict[str, Any]

_INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
_AUDIT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_PROFILES = {"R": "Read", "E": "Query", "C": "Create", "U": "Update", "D": "Delete"}

_PATIENTS = re.compile(rb'[/"]Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/\d+)?"')
_MENTIONED = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})")

_BEGINNING = b'{"resourceType":"AuditEvent","id":"'
_DAY = len("YYYY-MM-DD")
_add_entity, _add_patient = index.adder("AuditEvent", "entity"), index.adder("AuditEvent", "patient")
_OWN = ("entity", "patient", "date")
"""Search parameters by which every event is something of its own; by `agent` the events of one caller are."""

CLIENT = {"coding": [{"system": _DICOM, "code": "110153", "display": "Source Role ID"}]}
SERVER = {"coding": [{"system": _DICOM, "code": "110152", "display": "Destination Role ID"}]}
USER = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"},
    ]
}


@dataclass(frozen=True, slots=True)
class Interaction:
    """What happened: who asked for what, when (microseconds since 1970), and what came of it.

    `code` is that of FHIR's interactions, `action` AuditEvent's C, R, U, D or E; `target` the resource named
    (`Immunization/1`), `query` the address and parameters of what was asked, `status` the answer's; `request` is the
    id of the request.
    """

    caller: Caller
    code: str
    action: str
    moment: int
    status: int
    target: str = ""
    query: str = ""
    request: str = ""


def patients_in(body: bytes) -> set[str]:
    """The ids of the patients that an answer names, or is."""
    return {found.decode() for found in _PATIENTS.findall(body)}


def patients_named(text: str) -> set[str]:
    """The ids of the patients that an address or query names."""
    return set(_MENTIONED.findall(unquote(text)))


def events(happened: Interaction, patients: Sequence[str], base: str) -> Iterator[Event]:
    """The AuditEvents of the interaction, each with an id of its own."""
    if len(patients) != 1:
        yield _event(happened, base, "", with_query=True)
    for patient in patients:
        yield _event(happened, base, patient, with_query=len(patients) == 1)


class _Frame(NamedTuple):
    """What events have in common that tell of the same caller and outcome: the bytes between id and lastUpdated, and
    between that and `recorded`; the keys of the agents, the sort keys, and the kind that stands for all other keys."""

    meta: bytes
    body: bytes
    agents: list[str]
    so: dict[str, dict[str, str]]
    kind: Kind
    edition: int


def _event(happened: Interaction, base: str, patient: str, *, with_query: bool) -> Event:
    """Bytes and entries are put together of those of the frame and of the rest: as a whole they cost three times as
    much, and no search parameter looks at both at once."""
    entities = list(_entities(happened, patient, with_query))
    frame = _frame(
        *(happened.caller, happened.code, happened.action, happened.status, base, bool(patient)),
        *(_is_told(happened.target), with_query and bool(happened.query), bool(happened.request)),
    )
    when = json.instant(happened.moment)
    own = Entries(tk=frame.agents.copy(), so=frame.so.copy(), ix=frame.edition)
    _add_moment(own, happened.moment, when)
    for entity in entities:
        if "what" in entity:
            _add_entity(own, entity["what"], "")
    if patient:
        _add_patient(own, entities[0]["what"], "")
    id = secrets.token_hex(16)
    told = b'","entity":' + json.dump(entities) + b"}" if entities else b'"}'
    moment = when.encode()
    raw = b"".join((_BEGINNING, id.encode(), frame.meta, moment, frame.body, moment, told))
    return Event(id, raw, own, frame.kind)


@lru_cache(maxsize=4_096)
def _frame(
    caller: Caller,
    code: str,
    action: str,
    status: int,
    base: str,
    about_patient: bool,
    with_target: bool,
    with_query: bool,
    with_request: bool,
) -> _Frame:
    event: Resource = {
        "type": {"system": _AUDIT_TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": _INTERACTIONS, "code": code}],
        "action": action,
        "outcome": _outcome(status),
        "outcomeDesc": f"HTTP {status}",
    }
    if caller.purpose:
        glass = {"system": _ACT_REASON, "code": "BTG", "display": "break the glass"}
        event["purposeOfEvent"] = [{"coding": [glass], "text": caller.purpose}]
    event["agent"] = list(_agents(caller, base))
    event["source"] = {"observer": {"display": base}}
    meta = {"profile": [_PROFILE + ("Patient" if about_patient else "") + _PROFILES[action]]}
    like = Interaction(caller, code, action, 0, status, "Basic/x" * with_target, "x" * with_query, "x" * with_request)
    entities = list(_entities(like, "x" * about_patient, with_query))
    whole = index.entries({"resourceType": "AuditEvent", "meta": meta, **event, "entity": entities}, base)
    return _Frame(
        b'","meta":' + json.dump(meta)[:-1] + b',"versionId":"1","lastUpdated":"',
        b'"},' + json.dump(event)[1:-1] + b',"recorded":"',
        [key for key in whole.tk if labelled(key) == "agent"],
        {name: span for name, span in whole.so.items() if name not in _OWN},
        kind([key for key in whole.tk if labelled(key) not in (*_OWN, "agent")], whole.st, [*whole.hs, "date"]),
        whole.ix,
    )


def _add_moment(found: Entries, moment: int, text: str) -> None:
    """The entries of `recorded`: the microsecond, and its day."""
    begin, end, day = text[:-1], json.instant(moment + 1)[:-1], dates.parse(text[:_DAY])
    found.days("date", begin, end, day.lo, day.hi)
    found.sort("date", begin, end)


def _is_told(target: str) -> bool:
    """Whether it is told besides the patient: who is a Patient is not told twice, and never another one."""
    return bool(target) and not target.startswith("Patient/")


def _outcome(status: int) -> str:
    """0 success, 4 refused, 8 failed."""
    return "0" if status < 400 else "4" if status < 500 else "8"


def _agents(caller: Caller, base: str) -> Iterator[Resource]:
    yield {"type": SERVER, "who": {"display": base}, "requestor": False}
    user: Resource = {"type": USER, "requestor": True}
    # Never a Patient's reference: the log of one patient must not name another.
    identified = {"identifier": {"value": caller.subject}}
    user["who"] = {"reference": f"Practitioner/{caller.practitioner}"} if caller.practitioner else identified
    if not caller.practitioner:
        # Is searched by, where an identifier is not: whoever reads a log can leave out what they did themselves.
        user["altId"] = caller.subject
    if caller.client:
        yield {"type": CLIENT, "who": {"identifier": {"value": caller.client}}, "requestor": False}
    if caller.roles:
        user["role"] = [{"text": role} for role in sorted(caller.roles)]
    yield user
    if caller.organization:
        yield {"who": {"reference": f"Organization/{caller.organization}"}, "requestor": False}


def _entities(happened: Interaction, patient: str, with_query: bool) -> Iterator[Resource]:
    if patient:
        yield {"what": {"reference": f"Patient/{patient}"}, "type": _entity(_ENTITY_TYPE, "1"), "role": _role("1")}
    if _is_told(happened.target):
        yield {"what": {"reference": happened.target}, "type": _entity(_ENTITY_TYPE, "2"), "role": _role("4")}
    if with_query and happened.query:
        told = b64encode(happened.query.encode()).decode()
        yield {"type": _entity(_ENTITY_TYPE, "2"), "role": _role("24"), "query": told}
    if happened.request:
        told_by = {"what": {"identifier": {"value": happened.request}}}
        yield {
            **told_by,
            "type": _entity("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId"),
        }


def _entity(system: str, code: str) -> Resource:
    return {"system": system, "code": code}


def _role(code: str) -> Resource:
    return {"system": _OBJECT_ROLE, "code": code}
