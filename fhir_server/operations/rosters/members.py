"""Members of a roster Group: which row each came from, who joins, who stays, who leaves.

https://hl7.org/fhir/R4/group-definitions.html#Group.member

A member made by an upload carries an extension with its row_id, a digest of names and birth date, a digest of all the
row said, and the occupation the employer gave.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fhir_server.fhir import references
from fhir_server.operations import vocabulary
from fhir_server.operations.facts import is_member

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seat:
    """A membership as a row wants it. `patient` is a relative reference."""

    patient: str
    row_id: str | None
    person: str
    digest: str
    occupation: str | None

    def extension(self) -> Resource:
        parts: list[Resource] = [] if self.row_id is None else [{"url": "row", "valueString": self.row_id}]
        parts.append({"url": "person", "valueString": self.person})
        parts.append({"url": "digest", "valueString": self.digest})
        if self.occupation is not None:
            parts.append({"url": "occupation", "valueCodeableConcept": _occupation(self.occupation)})
        return {"url": vocabulary.MEMBER_ROW, "extension": parts}


@dataclass(slots=True)
class Members:
    """The members of a Group by what they are known by: `by_row` (patient, digest), `by_person` (patient, row_id,
    digest). `strangers` are those no upload put there."""

    by_row: dict[str, tuple[str, str]] = field(default_factory=dict)
    by_person: dict[str, list[tuple[str, str | None, str]]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    strangers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, group: Mapping[str, Any], today: date, base: str) -> "Members":
        """Patients are relative references, whatever form they were stored in under the server's own `base`."""
        found = cls()
        for member in group.get("member", ()):
            patient = _patient(member, base)
            if is_member(member, today):
                found.active.add(patient)
            parts = _parts(member)
            person, digest = parts.get("person"), parts.get("digest", "")
            if person is None:
                found.strangers.append(patient)
                continue
            row_id = parts.get("row")
            if row_id is not None:
                found.by_row[row_id] = (patient, digest)
            found.by_person.setdefault(person, []).append((patient, row_id, digest))
        return found


def seated(group: Resource, seats: Iterable[Seat], today: date, base: str) -> Resource:
    """The Group with these memberships: new ones begin today, ended ones begin again. The same object if nothing
    changes."""
    members = list(group.get("member", ()))
    places = {_patient(member, base): place for place, member in enumerate(members)}
    changed = False
    for seat in seats:
        place = places.get(seat.patient)
        if place is None:
            places[seat.patient] = len(members)
            entity = {"reference": seat.patient}
            members.append({"extension": [seat.extension()], "entity": entity, "period": {"start": today.isoformat()}})
            changed = True
            continue
        renewed = _renewed(members[place], seat, today)
        if renewed != members[place]:
            members[place] = renewed
            changed = True
    return _with(group, members, today) if changed else group


def without(group: Resource, staying: set[str], today: date, base: str) -> tuple[Resource, int]:
    """The Group with the memberships of all others ended today, and how many these are."""
    members = list(group.get("member", ()))
    ended = 0
    for place, member in enumerate(members):
        if _patient(member, base) not in staying and is_member(member, today):
            period = {**member.get("period", {}), "end": today.isoformat()}
            members[place] = {**member, "period": period, "inactive": True}
            ended += 1
    return (_with(group, members, today), ended) if ended else (group, 0)


def _renewed(member: Resource, seat: Seat, today: date) -> Resource:
    others = [found for found in member.get("extension", ()) if found.get("url") != vocabulary.MEMBER_ROW]
    renewed = {**member, "extension": [*others, seat.extension()]}
    if not is_member(member, today):
        renewed["period"] = {"start": today.isoformat()}
        renewed.pop("inactive", None)
    return renewed


def _patient(member: Mapping[str, Any], base: str) -> str:
    return references.normalise(member.get("entity", {}).get("reference", ""), base)


def _with(group: Resource, members: list[Resource], today: date) -> Resource:
    count = sum(is_member(member, today) for member in members)
    return {**group, "quantity": count, "member": members}


def _parts(member: Mapping[str, Any]) -> dict[str, str]:
    for extension in member.get("extension", ()):
        if extension.get("url") == vocabulary.MEMBER_ROW:
            return {
                part["url"]: part["valueString"] for part in extension.get("extension", ()) if "valueString" in part
            }
    return {}


def _occupation(text: str) -> Resource:
    """The employer's word, coded where it is one of our classes by code or name."""
    code = vocabulary.code_named(vocabulary.OCCUPATION, text)
    coded = {} if code is None else {"coding": [{"system": vocabulary.OCCUPATION, "code": code}]}
    return {**coded, "text": text}
