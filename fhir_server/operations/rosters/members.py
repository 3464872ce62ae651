"""Members of a roster Group: which row each came from, who joins, who stays, who leaves.

https://hl7.org/fhir/R4/group-definitions.html#Group.member

A member made by an upload carries an extension with its row_id, a digest of names and birth date, a digest of all the
row said, and the occupation the employer gave.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from fhir_server.fhir import references
from fhir_server.operations import vocabulary
from fhir_server.operations.membership import is_member

Resource = dict[str, Any]


class Seat(msgspec.Struct, frozen=True, array_like=True):
    """A membership as a row wants it. `patient` is a relative reference."""

    patient: str
    row_id: str | None
    person: str
    digest: str
    occupation: str | None

    def extension(self) -> Resource:
        """What the member carries of its row."""
        parts: list[Resource] = [] if self.row_id is None else [{"url": "row", "valueString": self.row_id}]
        parts.append({"url": "person", "valueString": self.person})
        parts.append({"url": "digest", "valueString": self.digest})
        if self.occupation is not None:
            parts.append({"url": "occupation", "valueCodeableConcept": _occupation(self.occupation)})
        return {"url": vocabulary.MEMBER_ROW, "extension": parts}


@dataclass(slots=True)
class Members:
    """The members of a Group by what an upload knows them by: `by_row` (patient, digest), `by_person` (patient,
    row_id, digest); the digest of one who is no member `today` is empty. `strangers` are those no upload put there,
    `written` is how the reference stands in the Group where it is no relative one."""

    today: date
    count: int = 0
    by_row: dict[str, tuple[str, str]] = field(default_factory=dict)
    by_person: dict[str, list[tuple[str, str | None, str]]] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)

    def add(self, member: Resource, base: str) -> None:
        """Take in one Group.member; references under the server's own `base` are made relative."""
        self.count += 1
        reference = member.get("entity", {}).get("reference", "")
        patient = references.normalise(reference, base)
        if patient != reference:
            self.written[patient] = reference
        parts = _parts(member)
        person, row_id = parts.get("person"), parts.get("row")
        if person is None:
            self.strangers.append(patient)
            return
        digest = parts.get("digest", "") if is_member(member, self.today) else ""
        if row_id is not None:
            self.by_row[row_id] = (patient, digest)
        self.by_person.setdefault(person, []).append((patient, row_id, digest))


def seated(seat: Seat, held: Resource | None, today: date) -> Resource:
    """The member with this seat, in the place of `held`: a new membership begins today, an ended one again; the same
    object where nothing changes."""
    if held is None:
        period = {"start": today.isoformat()}
        return {"extension": [seat.extension()], "entity": {"reference": seat.patient}, "period": period}
    others = [found for found in held.get("extension", ()) if found.get("url") != vocabulary.MEMBER_ROW]
    renewed = {**held, "extension": [*others, seat.extension()]}
    if not is_member(held, today):
        renewed["period"] = {"start": today.isoformat()}
        renewed.pop("inactive", None)
    return held if renewed == held else renewed


def ended(held: Resource, today: date) -> Resource:
    """The member with the membership ended today; the same object where it has ended before."""
    if not is_member(held, today):
        return held
    return {**held, "period": {**held.get("period", {}), "end": today.isoformat()}, "inactive": True}


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
