"""Audit: what is noted of an interaction with personal data, in the shape of IHE's Basic Audit Log Patterns.

https://profiles.ihe.net/ITI/BALP/

Pure. An interaction that touched several patients makes an event for each, which names no other of them, and one for
the query itself: a patient who reads the access log learns nothing of others.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from fhir_server.caller import Caller
from fhir_server.fhir import json
from fhir_server.store.access_log.notes import Frame, Note

Resource = dict[str, Any]

_INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
_AUDIT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_PROFILES = {"R": "Read", "E": "Query", "C": "Create", "U": "Update", "D": "Delete"}

_PATIENTS = re.compile(rb'[/"]Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/\d+)?"')
_REQUEST = re.compile(r"[A-Z]+ ")
_MENTIONED = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})")

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


def notes(happened: Interaction, patients: Sequence[str], base: str) -> list[Note]:
    """What is kept of the interaction: a note for each of its AuditEvents."""
    target, query = happened.target if _is_told(happened.target) else "", happened.query
    deed = happened.caller, happened.code, happened.action, happened.status, base
    found = [Note(_frame(*deed, True), happened.moment, each, target, "", happened.request) for each in patients]
    if len(found) == 1 and not _may_name_others(query):
        return [found[0]._replace(query=query)]
    return [Note(_frame(*deed, False), happened.moment, "", target, query, happened.request), *found]


@lru_cache(maxsize=4_096)
def _frame(caller: Caller, code: str, action: str, status: int, base: str, about_patient: bool) -> Frame:
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
    return Frame(json.dump(meta)[1:-1], json.dump(event)[1:-1])


def _is_told(target: str) -> bool:
    """Whether it is told besides the patient: who is a Patient is not told twice, and never another one."""
    return bool(target) and not target.startswith("Patient/")


def _may_name_others(query: str) -> bool:
    """Whether what was asked may be about more people than were found: by a list of identifiers or names, or in several
    requests of a Bundle. Each part of one search without lists is true of everybody it finds."""
    asked, *others = query.split("\n")
    bundled = [line for line in others if _REQUEST.match(line)]
    if len(bundled) > 1 and any("?" in line for line in bundled):
        return True
    criteria = [line.partition("?")[2] for line in (asked, *bundled)]
    criteria += [line for line in others if line not in bundled]
    return any(_is_list(pair) for each in criteria for pair in each.split("&"))


def _is_list(pair: str) -> bool:
    name, _, value = unquote(pair).partition("=")
    return "," in value and (not name.startswith("_") or name.startswith(("_id", "_has")))


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
