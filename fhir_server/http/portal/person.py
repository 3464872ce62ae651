"""Whose pages these are: the visitor's own record, or that of somebody they act for, and until when.

https://hl7.org/fhir/R4/patient.html
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request

from fhir_server import languages
from fhir_server.fhir.references import ID
from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.session import Visitor
from fhir_server.languages import N_

CHOSEN = "person"
"""Query parameter and form field: the id of the Patient a page is about."""
_GROWN_UP = N_("You act for this person no longer: they are 18, and decide for themselves.")
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class People:
    """The Patient a page is about, and all that the visitor may choose: `{id: name}`.

    `proxy`: the visitor acts for them; until the day `until`, where that ends."""

    patient: dict[str, Any]
    names: Mapping[str, str]
    proxy: bool = False
    until: date | None = None

    @property
    def id(self) -> str:
        """The id of the one the page is about."""
        return str(self.patient["id"])

    @property
    def reference(self) -> str:
        """A reference to the one the page is about."""
        return f"Patient/{self.id}"


async def people(visitor: Visitor, request: Request, chosen: str | None = None) -> People:
    """The person that the request names, else the first. RefusedError 404 for somebody else's id, and for a child that
    has become 18."""
    by_id, proxies = await those_of(visitor), dict(visitor.caller.proxies)
    wanted = chosen or request.query_params.get(CHOSEN) or _own(visitor, [*by_id, *sorted(visitor.caller.patients)])
    if wanted in proxies and wanted not in by_id:
        sentence = {"details": {"text": languages.say(_GROWN_UP, visitor.language)}}
        raise RefusedError(404, {"issue": [sentence]})
    if ID.fullmatch(wanted) is None:
        # It becomes a part of an address, and is not to lead to another one.
        raise RefusedError(404, {})
    patient = by_id.get(wanted) or await visitor.visit.get(f"Patient/{wanted}")
    own_first = sorted(by_id.items(), key=lambda each: each[0] in proxies)
    names = {id: name_of(each) for id, each in own_first}
    return People(patient, names, wanted in proxies, day_of(proxies.get(wanted, 0)))


async def those_of(visitor: Visitor) -> dict[str, dict[str, Any]]:
    """The Patients that the visitor is or acts for now, by id."""
    found = await asyncio.gather(*(_open(visitor, id) for id in sorted(visitor.caller.patients)))
    return {str(each["id"]): each for each in found if each is not None}


def day_of(until: int) -> date | None:
    """The day on which a proxy ends (at `until`, in microseconds); None where it does not."""
    return datetime.fromtimestamp(until // _SECOND, UTC).date() if until else None


def name_of(patient: Mapping[str, Any]) -> str:
    """A person's name as it is said: given names, family name; as it is written where it is not in parts."""
    name: Mapping[str, Any] = next(iter(patient.get("name", ())), {})
    return " ".join((*name.get("given", ()), name.get("family", ""))).strip() or str(name.get("text", ""))


async def _open(visitor: Visitor, id: str) -> dict[str, Any] | None:
    """The Patient; None for a child that has become 18 since the visitor signed in."""
    try:
        return await visitor.visit.get(f"Patient/{id}")
    except RefusedError as error:
        if error.status not in (404, 410):
            raise
        return None


def _own(visitor: Visitor, ids: list[str]) -> str:
    return visitor.caller.patient or next((id for id in ids if id not in dict(visitor.caller.proxies)), ids[0])
