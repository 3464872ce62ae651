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
    """The members of a Group: all by patient (a relative reference), and by what an upload knows them by: `by_row`
    (patient, digest), `by_person` (patient, row_id, digest). `strangers` are those no upload put there."""

    today: date
    every: dict[str, Resource] = field(default_factory=dict)
    by_row: dict[str, tuple[str, str]] = field(default_factory=dict)
    by_person: dict[str, list[tuple[str, str | None, str]]] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)

    def add(self, member: Resource, base: str) -> None:
        """Take in one Group.member; references under the server's own `base` are made relative."""
        patient = references.normalise(member.get("entity", {}).get("reference", ""), base)
        self.every[patient] = member
        parts = _parts(member)
        person, row_id, digest = parts.get("person"), parts.get("row"), parts.get("digest", "")
        if person is None:
            self.strangers.append(patient)
            return
        if row_id is not None:
            self.by_row[row_id] = (patient, digest)
        self.by_person.setdefault(person, []).append((patient, row_id, digest))

    def is_active(self, patient: str) -> bool:
        """Whether that patient is a member today."""
        return patient in self.every and is_member(self.every[patient], self.today)

    def seated(self, seats: Iterable[Seat]) -> list[Resource]:
        """The members that are new or change with these seats: new memberships begin today, ended ones again."""
        changed: dict[str, Resource] = {}
        for seat in seats:
            held = self.every.get(seat.patient)
            if held is None:
                period = {"start": self.today.isoformat()}
                entity = {"reference": seat.patient}
                changed[seat.patient] = {"extension": [seat.extension()], "entity": entity, "period": period}
                continue
            renewed = self._renewed(held, seat)
            if renewed != held:
                changed[seat.patient] = renewed
        return list(changed.values())

    def ended(self, staying: set[str]) -> list[Resource]:
        """The members besides `staying`, with their membership ended today."""
        return [
            {**member, "period": {**member.get("period", {}), "end": self.today.isoformat()}, "inactive": True}
            for patient, member in self.every.items()
            if patient not in staying and is_member(member, self.today)
        ]

    def _renewed(self, member: Resource, seat: Seat) -> Resource:
        others = [found for found in member.get("extension", ()) if found.get("url") != vocabulary.MEMBER_ROW]
        renewed = {**member, "extension": [*others, seat.extension()]}
        if not is_member(member, self.today):
            renewed["period"] = {"start": self.today.isoformat()}
            renewed.pop("inactive", None)
        return renewed


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
