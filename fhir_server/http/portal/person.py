"""Whose pages these are: the visitor's own record, or that of somebody they act for.

https://hl7.org/fhir/R4/patient.html
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.session import Visitor

CHOSEN = "person"
"""Query parameter and form field: the id of the Patient a page is about."""


@dataclass(frozen=True, slots=True)
class People:
    """The Patient a page is about, and all that the visitor may choose: `{id: name}`."""

    patient: dict[str, Any]
    names: Mapping[str, str]

    @property
    def id(self) -> str:
        """The id of the one the page is about."""
        return str(self.patient["id"])

    @property
    def reference(self) -> str:
        """A reference to the one the page is about."""
        return f"Patient/{self.id}"


async def people(visitor: Visitor, request: Request, chosen: str | None = None) -> People:
    """The person that the request names, else the first. RefusedError 404 for somebody else's id."""
    ids = sorted(visitor.caller.patients)
    found = await asyncio.gather(*(_open(visitor, id) for id in ids))
    by_id = {str(each["id"]): each for each in found if each is not None}
    wanted = chosen or request.query_params.get(CHOSEN) or _own(visitor, [*by_id, *ids])
    patient = by_id.get(wanted) or await visitor.visit.get(f"Patient/{wanted}")
    return People(patient, {id: name_of(each) for id, each in by_id.items()})


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
