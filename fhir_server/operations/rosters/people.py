"""The people of a roster's lines: found again, or created, each exactly once.

https://hl7.org/fhir/R4/http.html#ccreate

A line's identity is an identifier on the Patient: the organization's row_id, else names and birth date within the
Group. Creating is conditional on that identifier, so two uploads at once make one Patient. All of it can be repeated:
who was created by the same upload before is told by the id, which the upload and the line decide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhir_server.domain.roster import Row, person_key
from fhir_server.fhir import index, json, references, tokens
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.interactions.search import gather
from fhir_server.operations import vocabulary
from fhir_server.operations.rosters.lines import Line
from fhir_server.operations.rosters.members import Members
from fhir_server.operations.rosters.person import official_name, with_identifier
from fhir_server.operations.rosters.revision import Revision, Said
from fhir_server.operations.rosters.upload import Upload
from fhir_server.store.records import Claim, Create, Stored, Update

Resource = dict[str, Any]
Status = Literal["created", "matched", "unchanged", "refused"]

Known = tuple[Line, Row, Stored, str | None]
"""A line, its row, the Patient it is about, and the row_id the member is to have."""

BATCH = 100
"""Rows looked up, and stored, in one go."""

_EMPLOYEE_NUMBER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "EI"}]}


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a line: the person, or for a refusal the reason's code. `row_id` is what the member has."""

    line: Line
    row: Row
    status: Status
    patient: str = ""
    row_id: str | None = None
    code: str = ""


class People:
    """Finds and creates the people of one upload into one Group."""

    def __init__(self, upload: Upload, members: Members) -> None:
        self._upload = upload
        self._context = upload.context
        self._members = members
        self._revision = Revision(upload)
        self._strangers: dict[str, list[Stored]] | None = None

    def joining(self, lines: Iterable[Line]) -> int:
        """How many of these lines are about nobody who is known as a member."""
        return sum(1 for line in lines if line.row is not None and self._known(line, line.row) is None)

    async def place(self, lines: Iterable[Line]) -> list[Found]:
        """What becomes of every usable line, in no particular order."""
        found: list[Found] = []
        held: list[Found] = []
        sought: list[tuple[Line, Row]] = []
        for line in lines:
            if line.row is None:
                continue
            known = self._known(line, line.row)
            if known is None:
                sought.append((line, line.row))
            else:
                (held if known.status == "matched" else found).append(known)
        for start in range(0, len(held), BATCH):
            part = held[start : start + BATCH]
            stored = await self._read([each.patient for each in part])
            present = [
                (each.line, each.row, stored[each.patient], each.row_id) for each in part if each.patient in stored
            ]
            sought += [(each.line, each.row) for each in part if each.patient not in stored]
            found += await self._revise(present)
        # One after the other: transactions side by side were slower.
        for start in range(0, len(sought), BATCH):
            found += await self._seek(sought[start : start + BATCH])
        return found

    def _known(self, line: Line, row: Row) -> Found | None:
        """The member a line is about, None if there is none: unchanged, refused, or still to be revised (matched)."""
        same = self._members.by_person.get(row.person, [])
        row_id = line.row_id
        if row_id is None:
            if len(same) > 1:
                return Found(line, row, "refused", code="ambiguous-person")
            patient, row_id, digest = same[0] if same else ("", None, "")
        elif row_id in self._members.by_row:
            patient, digest = self._members.by_row[row_id]
        else:
            # A person once sent without row_id gets one now.
            unnumbered = [held for held, number, _ in same if number is None]
            patient, digest = (unnumbered[0] if len(unnumbered) == 1 else ""), ""
        if not patient:
            return None
        if patient == f"Patient/{self._upload.id_for(line)}":
            return Found(line, row, "created", patient, row_id)
        return Found(line, row, "unchanged" if digest == line.digest else "matched", patient, row_id)

    async def _seek(self, lines: Sequence[tuple[Line, Row]]) -> list[Found]:
        """Lines by which nobody in the Group is known: found by identifier, among its other members, or created."""
        found: list[Found] = []
        revised: list[Known] = []
        creates: list[tuple[Line, Row, Create | Update]] = []
        identified = await self._identified(lines)
        own = await self._own(lines)
        for line, row in lines:
            held = identified.get(_token(self._identifier(line, row)), []) or await self._among_strangers(row)
            if self._upload.id_for(line) in own:
                found.append(Found(line, row, "created", f"Patient/{self._upload.id_for(line)}", line.row_id))
            elif len(held) > 1:
                found.append(Found(line, row, "refused", code="several-patients"))
            elif held:
                revised.append((line, row, held[0], line.row_id))
            else:
                creates.append((line, row, self._create(line, row)))
        writes = [create for _, _, create in creates]
        committed = await self._context.store.commit(self._upload.caller, self._upload.predicate, writes)
        for (line, row, create), result in zip(creates, committed, strict=True):
            if result.effect == "matched" and result.stored is not None:
                revised.append((line, row, result.stored, line.row_id))
            else:
                found.append(Found(line, row, "created", f"Patient/{create.id}", line.row_id))
        return found + await self._revise(revised)

    async def _revise(self, known: Sequence[Known]) -> list[Found]:
        """What the lines say merged into Patients who are there, unless they are about somebody else."""
        said = [Said(stored, line.patient or {}, self._identifier(line, row)) for line, row, stored, _ in known]
        agreed = await self._revision.merge(said)
        return [
            Found(line, row, "matched", f"Patient/{stored.id}", row_id)
            if same
            else Found(line, row, "refused", code="row-id-reused")
            for (line, row, stored, row_id), same in zip(known, agreed, strict=True)
        ]

    async def _identified(self, lines: Sequence[tuple[Line, Row]]) -> dict[str, list[Stored]]:
        """The Patients that carry the identifiers of these lines, by the identifier's token."""
        wanted = {_token(self._identifier(line, row)) for line, row in lines}
        where = Keys("tk", tuple(sorted(f"identifier{SEPARATOR}{token}" for token in wanted)))
        found: dict[str, list[Stored]] = {}
        for stored in await gather(self._context, self._upload.caller, self._upload.predicate, "Patient", where):
            for identifier in json.parse(stored.raw or b"{}").get("identifier", ()):
                if _token(identifier) in wanted:
                    found.setdefault(_token(identifier), []).append(stored)
        return found

    async def _own(self, lines: Sequence[tuple[Line, Row]]) -> set[str]:
        """The ids of those this upload itself has created for these lines, before it was interrupted."""
        if not self._upload.resumed:
            return set()
        stored = await self._read([f"Patient/{self._upload.id_for(line)}" for line, _ in lines])
        return {each.id for each in stored.values()}

    async def _among_strangers(self, row: Row) -> list[Stored]:
        """Members of the Group that no upload put there, with the row's names and birth date."""
        if self._strangers is None:
            self._strangers = {}
            for start in range(0, len(self._members.strangers), BATCH):
                for stored in (await self._read(self._members.strangers[start : start + BATCH])).values():
                    patient = json.parse(stored.raw or b"{}")
                    name = official_name(patient)
                    given = next(iter(name.get("given", ())), "")
                    key = person_key(name.get("family", ""), given, patient.get("birthDate", ""))
                    self._strangers.setdefault(key, []).append(stored)
        return self._strangers.get(row.person, [])

    async def _read(self, patients: Iterable[str]) -> dict[str, Stored]:
        """Those of these Patients (relative references) that are there."""
        local = {reference: references.local(reference) for reference in patients}
        wanted = {found.id: reference for reference, found in local.items() if found and found.type == "Patient"}
        pairs = [("Patient", id) for id in wanted]
        rows = await self._context.store.read_many(self._upload.caller, self._upload.predicate, pairs)
        return {wanted[stored.id]: stored for stored in rows}

    def _create(self, line: Line, row: Row) -> Create | Update:
        identifier = self._identifier(line, row)
        resource = with_identifier(line.patient or {}, identifier)
        resource_id = self._upload.id_for(line)
        body, entries = json.dump(resource), index.entries(resource, self._context.settings.base, resource_id)
        token = _token(identifier)
        claim = Claim(f"identifier={token}", Keys("tk", (f"identifier{SEPARATOR}{token}",)))
        if self._upload.resumed:
            # Made before the interruption and deleted since, perhaps: then its versions go on.
            return Update(
                "Patient", resource_id, body, entries, may_replace=False, unless=claim, ties=self._upload.ties
            )
        return Create("Patient", resource_id, body, entries, claim, ties=self._upload.ties)

    def _identifier(self, line: Line, row: Row) -> Resource:
        if line.row_id is None:
            group = f"Group/{self._upload.group}"
            return {"use": "secondary", "system": f"{vocabulary.ROSTER_PERSON}/{group}", "value": row.person}
        identifier: Resource = {
            "use": "secondary",
            "type": _EMPLOYEE_NUMBER,
            "system": f"{vocabulary.ROSTER_ROW}/{self._upload.owner}",
            "value": line.row_id,
        }
        if self._upload.owner.startswith("Organization/"):
            identifier["assigner"] = {"reference": self._upload.owner}
        return identifier


def _token(identifier: Resource) -> str:
    """The identifier as it is indexed: `system|value`."""
    return next(iter(tokens.identifier(identifier)), "")
