"""Seats: memberships written into a Group, whoever else is changing it.

https://hl7.org/fhir/R4/group-definitions.html#Group.member
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.operations.rosters.members import Members, Resource, Seat, ended, seated
from fhir_server.operations.rosters.upload import WINDOW, Upload
from fhir_server.store.records import Member
from fhir_server.store.store import Store

_TRIES = 50
"""Times the Group is read again when other uploads changed it meanwhile."""


async def unguarded() -> None:
    """For who cannot have lost the right to write since it was given."""


@dataclass(frozen=True, slots=True)
class Seats:
    """The memberships of one upload. `guard` raises where the upload is not ours to do any more; it is asked after the
    Group's version was read, which is then compared: so nothing is written that another has overtaken."""

    upload: Upload
    members: Members
    guard: Callable[[], Awaitable[None]] = unguarded

    async def take(self, seats: Sequence[Seat]) -> None:
        """Make these members. Safe to repeat."""
        for start in range(0, len(seats), WINDOW):
            await self._change({seat.patient: seat for seat in seats[start : start + WINDOW]})

    async def leave(self, patients: Sequence[str]) -> None:
        """End these memberships. Safe to repeat."""
        for start in range(0, len(patients), WINDOW):
            await self._change(dict.fromkeys(patients[start : start + WINDOW]))

    async def leavers(self, staying: Collection[str]) -> list[str]:
        """The members of today who are not among these patients."""
        found: list[str] = []
        position = None
        written = {reference: patient for patient, reference in self.members.written.items()}
        while True:
            page = await self._store.members(self.upload.caller, self.upload.predicate, self.upload.group, position)
            for member in page.members:
                patient = written.get(member.reference, member.reference)
                held = json.parse(member.raw)
                if patient not in staying and ended(held, self.upload.today) is not held:
                    found.append(patient)
            position = page.next
            if position is None:
                return found

    async def _change(self, wanted: Mapping[str, Seat | None]) -> None:
        """The seat each of these patients is to have, None for those who leave."""
        caller, predicate, group = self.upload.caller, self.upload.predicate, self.upload.group
        as_written = {self.members.written.get(patient, patient): seat for patient, seat in wanted.items()}
        for _ in range(_TRIES):
            stored = await self._store.read(caller, predicate, "Group", group)
            await self.guard()
            found = await self._store.find_members(caller, predicate, group, as_written)
            changed: list[Member] = []
            for reference, seat in as_written.items():
                held = json.parse(found[reference].raw) if reference in found else None
                decided = self._decided(seat, held)
                if decided is not None and decided is not held:
                    changed.append(Member(reference, json.dump(decided)))
            if not changed:
                return
            try:
                await self._store.add_members(caller, predicate, group, changed, stored.version)
            except FhirError as error:
                if error.status not in (409, 412):
                    raise
                continue
            return
        raise refuse(409, "conflict", "contended", "Others keep changing this roster. Send the file again.", "Group")

    def _decided(self, seat: Seat | None, held: Resource | None) -> Resource | None:
        if seat is not None:
            return seated(seat, held, self.upload.today)
        return None if held is None else ended(held, self.upload.today)

    @property
    def _store(self) -> Store:
        return self.upload.context.store
