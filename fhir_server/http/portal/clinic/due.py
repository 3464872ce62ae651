"""Due today, and not to be written to by e-mail: whom somebody has to call.

https://hl7.org/fhir/R4/communicationrequest.html
"""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.http.portal.clinic import pages
from fhir_server.http.portal.clinic.dose_form import day_of
from fhir_server.http.portal.parameters import first, parts
from fhir_server.http.portal.questions import NO_DATE
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.languages import N_

_PAGES = 5
"""Pages of the answer that are looked at for one of ours; most people have nothing due."""
_ASKED = ("day", "channel", "_count", "_page")

OCCASIONS = {
    "dose-due": N_("The next dose is due"),
    "dose-overdue": N_("The next dose is overdue"),
    "newly-eligible": N_("Can be vaccinated from today on"),
}


def due_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic/due`; `?day=` for another day."""

    async def due(request: Request, visitor: Visitor) -> Response:
        typed = request.query_params.get("day", "")
        day = day_of(typed) if typed else portal.context().today
        if day is None:
            return portal.form(request, "clinic-due", 422, rows=[], day=typed, shown="", more="", problem=NO_DATE)
        asked = {"day": day.isoformat(), "channel": "call-list"}
        asked |= {name: value for name, value in request.query_params.items() if name in _ASKED and name != "day"}
        asked["channel"] = "call-list"
        found: list[dict[str, list[Any]]] = []
        following: str | None = None
        for _ in range(_PAGES):
            answer = parts(await visitor.visit.get("Patient/$reminders-due", asked))
            found += answer.get("reminder", ())
            following = first(answer, "next")
            if following is None:
                break
            asked = dict(parse_qsl(urlsplit(following).query))
        ids = [first(each, "patient")["reference"].removeprefix("Patient/") for each in found]
        people = await visitor.visit.entries("Patient", {"_id": ",".join(ids), "_count": "1000"}) if ids else []
        known = {each["id"]: pages.shown(each, visitor.language) for each in people}
        rows = [
            (known[id], OCCASIONS[first(each, "occasion")], _phones(known[id].patient), first(each, "text"))
            for id, each in zip(ids, found, strict=True)
            if id in known
        ]
        more = "" if following is None else "/clinic/due?" + urlsplit(following).query
        shown = languages.day(day, visitor.language)
        return portal.form(request, "clinic-due", rows=rows, day=day.isoformat(), shown=shown, more=more, problem="")

    return [Route("/clinic/due", portal.page(due, pages.ROLE))]


def _phones(patient: dict[str, Any]) -> list[str]:
    return [each["value"] for each in patient.get("telecom", ()) if each.get("system") == "phone" and "value" in each]
