"""Placing: a window of lines, and what becomes of each: whom it is about, and the membership it wants.

https://hl7.org/fhir/R4/group.html
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.domain.roster_file import Problem
from fhir_server.fhir import json
from fhir_server.fhir.outcome import refuse
from fhir_server.operations.rosters.lines import Line
from fhir_server.operations.rosters.members import Members, Seat
from fhir_server.operations.rosters.outcomes import Outcome
from fhir_server.operations.rosters.people import Found, People
from fhir_server.operations.rosters.upload import MOST_MEMBERS, Upload


@dataclass(frozen=True, slots=True)
class Placed:
    """`staying` are the patients whose memberships last when the file is the whole roster; None where a refused row
    could be about any member."""

    outcomes: Sequence[Outcome]
    seats: Sequence[Seat]
    staying: Sequence[str] | None


class Placing:
    """Places the lines of one upload."""

    def __init__(self, upload: Upload, members: Members) -> None:
        self._people = People(upload, members)
        self._members = members
        self._joined = 0

    async def place(self, lines: Sequence[Line]) -> Placed:
        """What becomes of these lines; their people are stored, their memberships still to be. Safe to repeat.

        FhirError 413, before anything is stored of them, where the roster would have too many members.
        """
        self._joined += self._people.joining(lines)
        if self._members.count + self._joined > MOST_MEMBERS:
            raise refuse(413, "too-costly", "roster-too-large", f"A roster may have {MOST_MEMBERS:,} members.")
        found = {each.line.number: each for each in await self._people.place(lines)}
        outcomes = [_outcome(line, found.get(line.number)) for line in lines]
        seats = [
            Seat(each.patient, each.row_id, each.row.person, each.line.digest, each.row.occupation)
            for each in (found[line.number] for line in lines if line.number in found)
            if each.status in ("created", "matched")
        ]
        return Placed(outcomes, seats, self._staying(outcomes))

    def _staying(self, outcomes: Sequence[Outcome]) -> list[str] | None:
        staying: list[str] = []
        for outcome in outcomes:
            if outcome.status != "refused":
                staying.append(outcome.patient)
                continue
            held = self._members.by_row.get(outcome.line.row_id or "")
            if held is None:
                return None
            staying.append(held[0])
        return staying


async def members_of(upload: Upload) -> Members:
    """By what the members of the Group are known, however many."""
    members, position = Members(upload.today), None
    base = upload.context.settings.base
    while True:
        page = await upload.context.store.members(upload.caller, upload.predicate, upload.group, position)
        for member in page.members:
            members.add(json.parse(member.raw), base)
        position = page.next
        if position is None or members.count > MOST_MEMBERS:
            return members


def _outcome(line: Line, found: Found | None) -> Outcome:
    if found is None:
        return Outcome(line, "refused", "", line.problems)
    if found.status == "refused":
        column = "row_id" if line.row_id is not None else None
        return Outcome(line, "refused", "", (*line.problems, Problem(line.number, column, found.code)))
    return Outcome(line, found.status, found.patient, line.problems)
