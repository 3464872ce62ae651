"""Ties: the relationships of patients with organizations, within one transaction: as found, and as its writes show.

https://hl7.org/fhir/R4/security.html

No database calls: relations.py loads and keeps them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fhir_server.fhir.entries import Entries
from fhir_server.fhir.params import compartments
from fhir_server.fhir.relations import ACTIVE, BY, DO_NOT_SHARE, SEES, TREATMENTS, UNTIED, sees
from fhir_server.store.driver import Document

TIED = frozenset(compartments()["Patient"]) - UNTIED
"""The types whose resources a relationship with their patient opens."""
LATER = 20_000_000
"""Microseconds after which no write goes on that began before."""

_OWN = "Organization/"


@dataclass
class Ties:
    """The relationships of the patients that one transaction's writes are about: as found, and as learnt."""

    documents: dict[str, Document]
    now: int
    found: frozenset[str] = frozenset()
    changed: set[str] = field(default_factory=set)
    widened: set[str] = field(default_factory=set)
    """Patients with whom something was stored before whose keys are others now."""
    created: set[str] = field(default_factory=set)

    def keys(self, patients: Iterable[str]) -> list[str]:
        """The keys of those who have a relationship with any of these patients. Where a patient does not want the
        record shared, only of those who registered them."""
        found: dict[str, None] = {}
        for patient in patients:
            document = self.documents.get(patient)
            if document is not None:
                for tie in document["o"]:
                    if not document["x"] or tie["r"] == "registered":
                        found[sees(tie["o"])] = None
        return sorted(found)

    def is_tied(self, patient: str, organization: str) -> bool:
        """Whether the organization with this id has a relationship with the patient that opens the record."""
        return sees(organization) in self.keys((patient,))

    def stamp(self, resource_type: str, entries: Entries, submitter: Sequence[str]) -> None:
        """Complete the entries of a resource: who sees it, and who submitted it (keys)."""
        entries.org = [*self._plain(entries.org), *submitter]
        if resource_type in TIED:
            entries.org += self.keys(entries.pt)

    def stamped(self, resource_type: str, document: Document) -> list[str]:
        """What `org` of this document should be."""
        held = document["org"]
        rest = [key for key in held if not key.startswith(SEES)]
        return rest + self.keys(document["pt"]) if resource_type in TIED else held

    def register(self, patient: str, organizations: Iterable[str], submitter: str) -> None:
        """A Patient that comes new: who manages and who submitted it, registered it."""
        self.created.add(patient)
        for organization in {*organizations, *([submitter] if submitter else ())}:
            self.tie(patient, organization, "registered", patient)

    def learn(self, resource_type: str, id: str, entries: Entries, before: Sequence[str]) -> None:
        """What a resource shows that is now stored; `before` are the patients its last version was about."""
        owners = [key.removeprefix(_OWN) for key in entries.org if key.startswith(_OWN)]
        if resource_type == "Group":
            for patient in set(entries.pt) - set(before):
                for organization in owners:
                    self.tie(patient, organization, "roster", f"Group/{id}")
            return
        if resource_type not in TIED:
            return
        for patient in entries.pt:
            document = self._of(patient)
            if resource_type not in document["t"]:
                document["t"].append(resource_type)
                self.changed.add(patient)
            if resource_type == "Consent":
                self._share(patient, id, not (DO_NOT_SHARE in entries.tk and ACTIVE in entries.tk))
            for organization in owners:
                if resource_type in TREATMENTS:
                    self.tie(patient, organization, "treated", f"{resource_type}/{id}")
                elif resource_type == "Patient" and patient == f"Patient/{id}":
                    self.tie(patient, organization, "registered", patient)

    def forget(self, resource_type: str, id: str, patients: Iterable[str]) -> None:
        """A resource about these patients is deleted, or no longer about them. Relationships stay."""
        if resource_type == "Consent":
            for patient in patients:
                self._share(patient, id, True)

    def tie(self, patient: str, organization: str, reason: str, by: str) -> None:
        """This organization has a relationship with the patient, for this reason."""
        document = self._of(patient)
        if self.has(patient, organization, reason):
            return
        before = self.keys((patient,))
        document["o"].append({"o": organization, "r": reason, "by": by, "at": self.now})
        self._note(patient, before)

    def has(self, patient: str, organization: str, reason: str) -> bool:
        """Whether this is known already."""
        known = self.documents.get(patient, {"o": ()})["o"]
        return any(tie["o"] == organization and tie["r"] == reason for tie in known)

    def _share(self, patient: str, consent: str, may: bool) -> None:
        document = self._of(patient)
        if may == (consent not in document["x"]):
            return
        before = self.keys((patient,))
        if may:
            document["x"].remove(consent)
        else:
            document["x"].append(consent)
        self._note(patient, before)

    def _note(self, patient: str, before: list[str]) -> None:
        self.changed.add(patient)
        if self.keys((patient,)) != before and patient not in self.created:
            self.widened.add(patient)
            self.documents[patient]["due"] = self.now + LATER

    def _of(self, patient: str) -> Document:
        found = self.documents.get(patient)
        if found is None:
            found = self.documents[patient] = {"_id": patient, "o": [], "x": [], "t": [], "due": 0}
        return found

    @staticmethod
    def _plain(keys: Iterable[str]) -> list[str]:
        return [key for key in keys if not key.startswith((SEES, BY))]
