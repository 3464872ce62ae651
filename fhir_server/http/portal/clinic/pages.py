"""What the pages at the chair have in common: who may see them, the person an address names, the place and the hour.

https://hl7.org/fhir/R4/references.html#regex
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from fhir_server import languages
from fhir_server.http import cookies
from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.clinic import lots
from fhir_server.http.portal.clinic.dose_form import day_of
from fhir_server.http.portal.clinic.lots import Place
from fhir_server.http.portal.person import name_of
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.languages import N_

ROLE = "provider"
FORM = "form"
"""Field: what a form is known again by."""
PLACE = "clinic-place"
"""Cookie: the id of the Location this browser stands in."""
_NO_NAME, _NO_DAY = N_("No name stated"), "—"
_PLACE_SECONDS = 31_536_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Person:
    """The person a page is about, as its heading needs them."""

    patient: dict[str, Any]
    name: str
    born: str

    @property
    def id(self) -> str:
        """Id of the Patient."""
        return str(self.patient["id"])

    @property
    def address(self) -> str:
        """Of the person's page."""
        return f"/clinic/people/{self.id}"


async def person(visitor: Visitor, request: Request) -> Person:
    """The person in the page's address. RefusedError 404 for one the visitor may not see."""
    return shown(await visitor.visit.get(f"Patient/{named(request, 'person')}"), visitor.language)


async def dose(visitor: Visitor, request: Request, who: Person) -> dict[str, Any]:
    """The Immunization in the page's address. RefusedError 404 also for one of somebody else."""
    stored = await visitor.visit.get(f"Immunization/{named(request, 'dose')}")
    if not str(stored["patient"].get("reference", "")).endswith(f"Patient/{who.id}"):
        raise RefusedError(404, {})
    return stored


def shown(patient: dict[str, Any], language: str) -> Person:
    """Somebody, with name and date of birth as they are said."""
    born = day_of(patient.get("birthDate", ""))
    name = name_of(patient) or languages.say(_NO_NAME, language)
    return Person(patient, name, languages.day(born, language) if born else patient.get("birthDate", _NO_DAY))


def named(request: Request, part: str) -> str:
    """The id in the page's address. RefusedError 404 for what can be none."""
    id = str(request.path_params[part])
    if _ID.fullmatch(id) is None:
        raise RefusedError(404, {})
    return id


async def place(portal: Portal, visitor: Visitor, request: Request) -> tuple[Place, list[Place]]:
    """Where this browser stands, and where it could."""
    known = await lots.places(visitor)
    kept = cookies.read(request.cookies, PLACE, portal.site.settings.origin)
    return next((each for each in known if each.id == kept), known[0]), known


def stand(portal: Portal, response: Response, at: Place) -> None:
    """Remember where this browser stands."""
    cookies.give(response, PLACE, at.id, portal.site.settings.origin, _PLACE_SECONDS)


def number_of(typed: Mapping[str, str]) -> str:
    """What a form is known again by, however often it is sent. RefusedError 400 for none that we made."""
    number = typed.get(FORM, "")
    if _UUID.fullmatch(number) is None:
        raise RefusedError(400, {})
    return number


def now(portal: Portal) -> datetime:
    """This second, by the clock on the wall."""
    seconds = portal.context().clock() // 1_000_000
    return datetime.fromtimestamp(seconds, ZoneInfo(portal.site.settings.time_zone))
