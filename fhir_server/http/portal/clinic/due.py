"""Due today, and not to be written to by e-mail: whom somebody has to call.

https://hl7.org/fhir/R4/communicationrequest.html

Today those on the call list; of another day, and on request, everybody, so many of them for a page that it costs no
more than other pages do.
"""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

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

_LISTED, _LOOKED_THROUGH = "10", "20"
"""People of the list on a page, and people looked through for one."""
_PAGE, _EVERYBODY = "_page", "everybody"

OCCASIONS = {
    "dose-due": N_("The next dose is due"),
    "dose-overdue": N_("The next dose is overdue"),
    "newly-eligible": N_("Can be vaccinated from today on"),
}


def due_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic/due`; `?day=` for another day, `?everybody=true` to look through everybody."""

    zone = ZoneInfo(portal.site.settings.time_zone)

    async def due(request: Request, visitor: Visitor) -> Response:
        typed = request.query_params.get("day", "")
        day = day_of(typed) if typed else portal.context().today
        if day is None:
            return portal.form(request, "clinic-due", 422, day=typed, shown="", problem=NO_DATE)
        chosen = {"day": day.isoformat()}
        if day != portal.context().today or request.query_params.get(_EVERYBODY) == "true":
            chosen[_EVERYBODY] = "true"
        # With the Patients: asking for them once more would cost, and be logged, once more.
        asked = {
            **chosen,
            "channel": "call-list",
            "patients": "true",
            "_count": _LOOKED_THROUGH if _EVERYBODY in chosen else _LISTED,
        }
        if _PAGE in request.query_params:
            asked[_PAGE] = request.query_params[_PAGE]
        answer = parts(await visitor.visit.get("Patient/$reminders-due", asked))
        found: list[dict[str, list[Any]]] = answer.get("reminder", [])
        rows = [
            (
                *(pages.shown(who, visitor.language), OCCASIONS[first(each, "occasion")], _phones(who)),
                *(first(each, "text"), first(each, "language"), languages.own_name(first(each, "language"))),
            )
            for who, each in ((first(each, "record"), each) for each in found)
        ]
        token = dict(parse_qsl(urlsplit(first(answer, "next") or "").query)).get(_PAGE)
        as_of = first(answer, "asOf")
        return portal.form(
            request,
            "clinic-due",
            rows=rows,
            day=day.isoformat(),
            shown=languages.day(day, visitor.language),
            as_of=None if as_of is None else datetime.fromisoformat(as_of).astimezone(zone),
            looked_through=asked["_count"],
            more=_address({**chosen, _PAGE: token}) if token else "",
            everybody="" if as_of is None else _address({**chosen, _EVERYBODY: "true"}),
            listed=day == portal.context().today and _EVERYBODY in chosen,
            problem="",
        )

    return [Route("/clinic/due", portal.page(due, pages.ROLE))]


def _address(query: dict[str, str]) -> str:
    return "/clinic/due?" + urlencode(query)


def _phones(patient: dict[str, Any]) -> list[str]:
    return [each["value"] for each in patient.get("telecom", ()) if each.get("system") == "phone" and "value" in each]
