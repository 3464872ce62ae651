"""Revision: what a roster says anew, merged into Patients who are there.

https://hl7.org/fhir/R4/http.html#concurrency
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir import index, json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.operations.rosters.person import is_somebody_else, merged, with_identifier
from fhir_server.operations.rosters.upload import Upload
from fhir_server.store.records import Stored, Update

Resource = dict[str, Any]

_TRIES = 10
"""Times a Patient that others are changing is read again before the upload gives up."""


@dataclass(frozen=True, slots=True)
class Said:
    """A Patient as found, what a row says of the same person, and the identifier the row gives."""

    stored: Stored
    patient: Resource
    identifier: Resource


@dataclass(frozen=True, slots=True)
class Revision:
    """Revises the Patients of one upload."""

    upload: Upload

    async def merge(self, said: Sequence[Said]) -> list[bool]:
        """For each whether it was merged; False where the row is about somebody else, and nothing was changed.

        Together in one transaction; one by one where another has changed one of them, or two rows are about one.
        """
        agreed = [_about_the_same(each.stored, each) for each in said]
        together: dict[str, Said] = {}
        apart: list[int] = []
        for number, each in enumerate(said):
            if not agreed[number]:
                continue
            if each.stored.id in together:
                apart.append(number)
            else:
                together[each.stored.id] = each
        writes = [write for write in map(self._update, together.values()) if write is not None]
        try:
            await self.upload.context.store.commit(self.upload.caller, self.upload.predicate, writes)
        except FhirError as error:
            if error.status not in (404, 410, 412):
                raise
            apart = [number for number, same in enumerate(agreed) if same]
        for number in apart:
            agreed[number] = await self._merge_alone(said[number])
        return agreed

    async def _merge_alone(self, said: Said) -> bool:
        store, caller, predicate = self.upload.context.store, self.upload.caller, self.upload.predicate
        for _ in range(_TRIES):
            found = await store.read_many(caller, predicate, [("Patient", said.stored.id)])
            if not found:
                break
            if not _about_the_same(found[0], said):
                return False
            write = self._update(Said(found[0], said.patient, said.identifier))
            try:
                await store.commit(caller, predicate, [] if write is None else [write])
            except FhirError as error:
                if error.status not in (404, 410, 412):
                    raise
                continue
            return True
        raise refuse(409, "conflict", "contended", "Others keep changing these people. Send the file again.", "Patient")

    def _update(self, said: Said) -> Update | None:
        known = json.parse(said.stored.raw or b"{}")
        changed = with_identifier(merged(known, said.patient), said.identifier)
        if changed is known:
            return None
        entries = index.entries(changed, self.upload.context.settings.base)
        return Update("Patient", said.stored.id, json.dump(changed), entries, said.stored.version, may_create=False)


def _about_the_same(stored: Stored, said: Said) -> bool:
    return not is_somebody_else(json.parse(stored.raw or b"{}"), said.patient)
