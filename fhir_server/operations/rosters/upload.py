"""Upload: one file sent to one roster: by whom, when, and what for.

https://hl7.org/fhir/R4/group.html
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid5

from fhir_server.caller import Caller, Predicate
from fhir_server.context import Context
from fhir_server.operations.rosters.lines import Line
from fhir_server.store.records import Tie

MOST_MEMBERS = 100_000
"""Members a roster may have, and rows a file: who is a member is kept in memory during an upload."""

WINDOW = 1_000
"""Rows that are placed, recorded and made members together."""


@dataclass(frozen=True, slots=True)
class Upload:
    """`group` is an id. `owner` gives the row_ids: a relative reference. `today` is the day of the request, in UTC.
    `key` is the upload's own; `resumed` says that people of this very upload may be stored already."""

    context: Context
    caller: Caller
    predicate: Predicate
    group: str
    owner: str
    today: date
    language: str
    replace: bool
    key: UUID
    resumed: bool = False

    @property
    def ties(self) -> tuple[Tie, ...]:
        """What those it creates have from the start, so that nothing need be opened once they are members."""
        kind, _, organization = self.owner.partition("/")
        return (Tie(organization, "roster", f"Group/{self.group}"),) if kind == "Organization" else ()

    def id_for(self, line: Line) -> str:
        """The id of a Patient made for this line, the same each time: so that an upload that was interrupted knows
        whom it has made itself."""
        return str(uuid5(self.key, str(line.number)))
