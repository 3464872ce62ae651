"""Note: what is kept of one event of the access log, and the AuditEvent that it comes to whenever it is read.

https://hl7.org/fhir/R4/auditevent.html

Most events are never read: so none is made when something happens. A frame is the part that the events of one caller,
deed and outcome share; it is kept as bytes, so a later version of this server tells old events in the words they had.
What it adds of its own (`_entities`) belongs to the format of sheets (sheets.py): another wording is another format.
"""

from base64 import b64encode
from collections.abc import Iterator, Set
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.fhir import dates, index, json, references
from fhir_server.fhir.condition import SEPARATOR, All, Condition, Contains, Keys, Not, Prefix
from fhir_server.fhir.condition import Any as AnyOf
from fhir_server.fhir.entries import Entries
from fhir_server.store.rebuild.built import labelled

Resource = dict[str, Any]

_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_OF_REQUEST = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
_DAY = len("YYYY-MM-DD")
_OWN = ("entity", "patient", "date")
"""Search parameters by which every event is something of its own."""
_add_entity, _add_patient = index.adder("AuditEvent", "entity"), index.adder("AuditEvent", "patient")


class Frame(NamedTuple):
    """What events have in common, as members of JSON: `meta` what precedes `lastUpdated` there, `body` what precedes
    `recorded`."""

    meta: bytes
    body: bytes


class Note(NamedTuple):
    """One event: its frame, when it was (microseconds since 1970), the id of the one patient it is about, the other
    resource it names (`Immunization/1`), what was asked, and the id of the request; empty where there is none."""

    frame: Frame
    moment: int
    patient: str
    target: str
    query: str
    request: str


def raw(note: Note, id: str) -> bytes:
    """The AuditEvent, always the same bytes."""
    moment, entities = json.instant(note.moment).encode(), list(_entities(*note[2:]))
    told = b'","entity":' + json.dump(entities) + b"}" if entities else b'"}'
    meta = b'","meta":{' + note.frame.meta + b',"versionId":"1","lastUpdated":"' + moment
    recorded = b'"},' + note.frame.body + b',"recorded":"' + moment
    return b'{"resourceType":"AuditEvent","id":"' + id.encode() + meta + recorded + told


def entries(note: Note) -> Entries:
    """The index entries of the AuditEvent, by the rules of today: those of the frame, made once, and those of the rest.
    No search parameter looks at both at once."""
    like = common(note)
    found = Entries(tk=[*like.tk], hs=like.hs, st=like.st, so={**like.so}, ix=like.ix)
    when = json.instant(note.moment)
    begin, end, day = when[:-1], json.instant(note.moment + 1)[:-1], dates.parse(when[:_DAY])
    found.days("date", begin, end, day.lo, day.hi)
    found.sort("date", begin, end)
    if note.patient:
        _add_entity(found, f"Patient/{note.patient}", "")
        _add_patient(found, f"Patient/{note.patient}", "")
    if note.target:
        _add_entity(found, note.target, "")
    if note.request:
        _add_entity(found, {"identifier": {"value": note.request}}, "")
    return found


def keys(note: Note) -> tuple[str, ...]:
    """By what an index finds the event: the patient, the other resource, and who it was."""
    target = references.local(note.target) if note.target else None
    named = (*((f"Patient/{note.patient}",) if note.patient else ()), *((str(target),) if target is not None else ()))
    return (*named, *_who(note.frame))


def has(note: Note, wanted: Set[str]) -> bool:
    """Whether any of its keys is among these, which `sought` gave."""
    if note.patient and f"Patient/{note.patient}" in wanted:
        return True
    target = note.target.partition("/_history/")[0]
    return (target != "" and target in wanted) or not wanted.isdisjoint(_who(note.frame))


def common(note: Note) -> Entries:
    """Those of its entries that it shares with all that are told with the same frame and tell of as much."""
    return _common(note.frame, bool(note.patient), bool(note.target), bool(note.query), bool(note.request))


def is_common(condition: Condition) -> bool:
    """Whether `common` entries are all that decides on it."""
    match condition:
        case Keys("hs" | "org" | "lb", _) | Prefix("hs" | "org" | "lb", _):
            return True
        case Keys("tk" | "st", keys):
            return all(labelled(key) not in _OWN for key in keys)
        case Prefix("tk" | "st", prefix) | Contains("tk" | "st", prefix, _):
            return SEPARATOR in prefix and labelled(prefix) not in _OWN
        case Not(inner):
            return is_common(inner)
        case All(parts) | AnyOf(parts):
            return all(is_common(part) for part in parts)
    return False


def sought(key: str) -> str | None:
    """What `keys` has of every event that has this key among its tokens; None where it has nothing of that."""
    label, _, value = key.partition(SEPARATOR)
    if label == "altid":
        return value if value.startswith("*|") else None
    found = references.local(value) if label in ("patient", "entity", "agent") else None
    return None if found is None or (label == "agent" and found.type != "Practitioner") else str(found)


def actor(note: Note) -> str:
    """The key of the user whom it names by an identifier; empty where it names them otherwise."""
    return next((key for key in _who(note.frame) if key.startswith("*|")), "")


@lru_cache(maxsize=4_096)
def _who(frame: Frame) -> tuple[str, ...]:
    found = _common(frame, False, False, False, False).tk
    return tuple(dict.fromkeys(key for key in map(sought, found) if key is not None))


@lru_cache(maxsize=4_096)
def _common(frame: Frame, patient: bool, target: bool, query: bool, request: bool) -> Entries:
    like = list(_entities("x" * patient, "Basic/x" * target, "x" * query, "x" * request))
    told = json.parse(b'{"resourceType":"AuditEvent","meta":{' + frame.meta + b"}," + frame.body + b"}")
    whole = index.entries({**told, "entity": like})
    return Entries(
        tk=[key for key in whole.tk if labelled(key) not in _OWN],
        hs=[*whole.hs, "date"],
        st=whole.st,
        so={name: span for name, span in whole.so.items() if name not in _OWN},
        ix=whole.ix,
    )


def _entities(patient: str, target: str, query: str, request: str) -> Iterator[Resource]:
    if patient:
        yield {"what": {"reference": f"Patient/{patient}"}, "type": _entity("1"), "role": _role("1")}
    if target:
        yield {"what": {"reference": target}, "type": _entity("2"), "role": _role("4")}
    if query:
        yield {"type": _entity("2"), "role": _role("24"), "query": b64encode(query.encode()).decode()}
    if request:
        yield {"what": {"identifier": {"value": request}}, "type": _OF_REQUEST}


def _entity(code: str) -> Resource:
    return {"system": _ENTITY_TYPE, "code": code}


def _role(code: str) -> Resource:
    return {"system": _OBJECT_ROLE, "code": code}
