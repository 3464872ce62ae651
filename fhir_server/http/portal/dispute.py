"""A dose that is wrong: what its person says of it goes to those who can correct it.

https://hl7.org/fhir/R4/task.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.fhir.references import ID
from fhir_server.http.portal.me import ROLE, dose_of
from fhir_server.http.portal.person import CHOSEN, name_of, people
from fhir_server.http.portal.questions import NOT_GIVEN
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.languages import N_

_LONGEST = 1_000
_TOO_LONG = N_("This is longer than 1,000 letters.")


def dispute_routes(portal: Portal) -> list[BaseRoute]:
    """`/me/dispute` (GET, POST)."""

    async def dispute(request: Request, visitor: Visitor) -> Response:
        form = await portal.posted(request) if request.method == "POST" else dict(request.query_params)
        who = await people(visitor, request, form.get(CHOSEN))
        dose = form.get("dose", "")
        known = ID.fullmatch(dose) is not None
        found = await visitor.visit.entries("Immunization", {"patient": who.id, "_id": dose}) if known else []
        if not found:
            return portal.site.page(request, "no-page", 404)
        shown = {
            "who": who,
            "name": name_of(who.patient),
            "dose": dose_of(found[0], visitor.language),
            "problem": "",
            "reason": "",
            "sent": False,
        }
        if request.method == "GET":
            return portal.form(request, "dispute", **shown)
        reason = form.get("reason", "").strip()
        if not 0 < len(reason) <= _LONGEST:
            problem = _TOO_LONG if reason else NOT_GIVEN
            return portal.form(request, "dispute", 422, **{**shown, "problem": problem, "reason": reason})
        parameter = [{"name": "reason", "valueString": reason}]
        told = {"resourceType": "Parameters", "parameter": parameter}
        await visitor.visit.post(f"Immunization/{found[0]['id']}/$dispute", told)
        return portal.form(request, "dispute", **{**shown, "sent": True})

    return [Route("/me/dispute", portal.page(dispute, ROLE), methods=["GET", "POST"])]
