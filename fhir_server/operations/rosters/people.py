"""The people of a roster's lines: found again, or created, each exactly once.

https://hl7.org/fhir/R4/http.html#ccreate

A line's identity is an identifier on the Patient: the organization's row_id, else names and birth date within the
Group. Creating is conditional on that identifier, so two uploads at once make one Patient.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhir_server.domain.roster import Row, person_key
from fhir_server.fhir import index, json, references, tokens
from fhir_server.fhir.condition import SEPARATOR, Keys
from fhir_server.fhir.outcome import FhirError
from fhir_server.interactions.search import gather
from fhir_server.interactions.writes import new_id
from fhir_server.operations import vocabulary
from fhir_server.operations.registry import Call
from fhir_server.operations.rosters.lines import Line
from fhir_server.operations.rosters.members import Members
from fhir_server.operations.rosters.person import is_somebody_else, merged, official_name, with_identifier
from fhir_server.store.records import Claim, Create, Stored, Update

Resource = dict[str, Any]
Status = Literal["created", "matched", "unchanged", "refused"]

BATCH = 100
"""Rows looked up, and created, in one go."""

_TRIES = 10
"""Times a Patient that others are changing is read again before the upload gives up."""

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

    def __init__(self, call: Call, group: str, owner: str, members: Members) -> None:
        """`group` and `owner` are relative references; the owner gives the row_ids."""
        self._call = call
        self._context = call.context
        self._group = group
        self._owner = owner
        self._members = members
        self._strangers: dict[str, list[Stored]] | None = None

    async def place(self, lines: Iterable[Line]) -> list[Found]:
        """What becomes of every usable line, in no particular order."""
        found: list[Found] = []
        sought: list[tuple[Line, Row]] = []
        for line in lines:
            if line.row is None:
                continue
            known = self._known(line, line.row)
            if known is None:
                sought.append((line, line.row))
            elif known.status != "matched":
                found.append(known)
            else:
                stored = await self._read(known.patient)
                if stored is None:
                    sought.append((line, line.row))
                else:
                    found.append(await self._revise(line, line.row, stored, known.row_id))
        # One after the other: transactions side by side were slower (20 s instead of 14 for 5,000 rows).
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
        unchanged = digest == line.digest and self._members.is_active(patient)
        return Found(line, row, "unchanged" if unchanged else "matched", patient, row_id)

    async def _seek(self, lines: Sequence[tuple[Line, Row]]) -> list[Found]:
        """Lines by which nobody in the Group is known: found by identifier, among its other members, or created."""
        found: list[Found] = []
        creates: list[tuple[Line, Row, Create]] = []
        identified = await self._identified(lines)
        for line, row in lines:
            held = identified.get(_token(self._identifier(line, row)), []) or await self._among_strangers(row)
            if len(held) > 1:
                found.append(Found(line, row, "refused", code="several-patients"))
            elif held:
                found.append(await self._revise(line, row, held[0], line.row_id))
            else:
                creates.append((line, row, self._create(line, row)))
        writes = [create for _, _, create in creates]
        committed = await self._context.store.commit(self._call.caller, self._call.predicate, writes)
        for (line, row, create), result in zip(creates, committed, strict=True):
            if result.effect == "matched" and result.stored is not None:
                found.append(await self._revise(line, row, result.stored, line.row_id))
            else:
                found.append(Found(line, row, "created", f"Patient/{create.id}", line.row_id))
        return found

    async def _identified(self, lines: Sequence[tuple[Line, Row]]) -> dict[str, list[Stored]]:
        """The Patients that carry the identifiers of these lines, by the identifier's token."""
        wanted = {_token(self._identifier(line, row)) for line, row in lines}
        where = Keys("tk", tuple(sorted(f"identifier{SEPARATOR}{token}" for token in wanted)))
        found: dict[str, list[Stored]] = {}
        for stored in await gather(self._context, self._call.caller, self._call.predicate, "Patient", where):
            for identifier in _resource(stored).get("identifier", ()):
                if _token(identifier) in wanted:
                    found.setdefault(_token(identifier), []).append(stored)
        return found

    async def _among_strangers(self, row: Row) -> list[Stored]:
        """Members of the Group that no upload put there, with the row's names and birth date."""
        if self._strangers is None:
            self._strangers = {}
            local = [references.local(reference) for reference in self._members.strangers]
            wanted = [("Patient", found.id) for found in local if found is not None and found.type == "Patient"]
            for start in range(0, len(wanted), BATCH):
                chunk = wanted[start : start + BATCH]
                for stored in await self._context.store.read_many(self._call.caller, self._call.predicate, chunk):
                    patient = _resource(stored)
                    name = official_name(patient)
                    given = next(iter(name.get("given", ())), "")
                    key = person_key(name.get("family", ""), given, patient.get("birthDate", ""))
                    self._strangers.setdefault(key, []).append(stored)
        return self._strangers.get(row.person, [])

    async def _revise(self, line: Line, row: Row, stored: Stored, row_id: str | None) -> Found:
        """The line's word merged into a Patient who is there, unless it is about somebody else."""
        reference = f"Patient/{stored.id}"
        for _ in range(_TRIES):
            known, said = _resource(stored), line.patient or {}
            if is_somebody_else(known, said):
                return Found(line, row, "refused", code="row-id-reused")
            changed = with_identifier(merged(known, said), self._identifier(line, row))
            if changed is known:
                break
            entries = index.entries(changed, self._context.settings.base)
            write = Update("Patient", stored.id, json.dump(changed), entries, stored.version, may_create=False)
            try:
                await self._context.store.commit(self._call.caller, self._call.predicate, [write])
                break
            except FhirError as error:
                if error.status != 412:
                    raise
            stored = await self._context.store.read(self._call.caller, self._call.predicate, "Patient", stored.id)
        return Found(line, row, "matched", reference, row_id)

    async def _read(self, reference: str) -> Stored | None:
        found = references.local(reference)
        if found is None:
            return None
        wanted = [(found.type, found.id)]
        rows = await self._context.store.read_many(self._call.caller, self._call.predicate, wanted)
        return rows[0] if rows else None

    def _create(self, line: Line, row: Row) -> Create:
        identifier = self._identifier(line, row)
        resource = with_identifier(line.patient or {}, identifier)
        resource_id = new_id()
        entries = index.entries(resource, self._context.settings.base, resource_id)
        token = _token(identifier)
        claim = Claim(f"identifier={token}", Keys("tk", (f"identifier{SEPARATOR}{token}",)))
        return Create("Patient", resource_id, json.dump(resource), entries, claim)

    def _identifier(self, line: Line, row: Row) -> Resource:
        if line.row_id is None:
            return {"use": "secondary", "system": f"{vocabulary.ROSTER_PERSON}/{self._group}", "value": row.person}
        identifier: Resource = {
            "use": "secondary",
            "type": _EMPLOYEE_NUMBER,
            "system": f"{vocabulary.ROSTER_ROW}/{self._owner}",
            "value": line.row_id,
        }
        if self._owner.startswith("Organization/"):
            identifier["assigner"] = {"reference": self._owner}
        return identifier


def _token(identifier: Resource) -> str:
    """The identifier as it is indexed: `system|value`."""
    return next(iter(tokens.identifier(identifier)), "")


def _resource(stored: Stored) -> Resource:
    return json.parse(stored.raw or b"{}")
