"""Find somebody, or register them: with those who may be the same person shown before anybody is doubled.

https://hl7.org/fhir/R4/patient.html#maching

Searches are posted, so that no name stands in an address, a log or the history of a shared browser.
"""

import uuid
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.http.portal.clinic import pages, people, watching
from fhir_server.http.portal.clinic.dose_form import PROBLEMS
from fhir_server.http.portal.clinic.people import Likeness
from fhir_server.http.portal.session import Portal, Visitor

_NOBODY_LIKE = "none-of-these"


def finding_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic` and `/clinic/people` (GET, POST)."""

    async def search(request: Request, visitor: Visitor) -> Response:
        form = await portal.posted(request) if request.method == "POST" else {}
        typed = people.typed_of(form)
        wrong = people.unsearchable(typed) if request.method == "POST" else {}
        searched, found, alike = request.method == "POST" and not wrong, [], []
        if searched:
            found = await people.found(visitor, typed)
            ids = {each["id"] for each in found}
            alike = [each for each in await people.alike(visitor, typed) if each.patient["id"] not in ids]
        here, _ = await pages.place(portal, visitor, request)
        return portal.form(
            request,
            "clinic",
            422 if wrong else 200,
            typed=typed,
            wrong=wrong,
            problems=PROBLEMS,
            searched=searched,
            found=[pages.shown(each, visitor.language) for each in found],
            alike=_shown(alike, visitor.language),
            place=here,
            watched=await watching.now(visitor, pages.now(portal)),
        )

    async def register(request: Request, visitor: Visitor) -> Response:
        if request.method != "POST":
            return _registration(request, {}, {})
        form = await portal.posted(request)
        typed = people.typed_of(form)
        if form.get("decision") == "fill":
            return _registration(request, typed, {})
        wrong = people.problems(typed, portal.context().today)
        if wrong:
            return _registration(request, typed, wrong, 422, form)
        alike = await people.alike(visitor, typed)
        if alike and form.get("decision") != _NOBODY_LIKE:
            return _registration(request, typed, {}, 409, form, _shown(alike, visitor.language))
        sent = {"idempotency-key": f"clinic-{pages.number_of(form)}", "prefer": "return=representation"}
        if not alike:
            # Then whoever is just like them is hidden, and counts as none; stewards are told (decision 29).
            sent["if-none-exist"] = people.just_like(typed)
        made = await visitor.visit.post("Patient", people.made(typed, visitor.caller.organization), sent)
        return RedirectResponse(f"/clinic/people/{made['id']}", 303)

    def _registration(
        request: Request,
        typed: Mapping[str, str],
        wrong: Mapping[str, str],
        status: int = 200,
        form: Mapping[str, str] | None = None,
        alike: Sequence[tuple[pages.Person, Likeness]] = (),
    ) -> Response:
        return portal.form(
            request,
            "clinic-register",
            status,
            typed={**dict.fromkeys(people.FIELDS, ""), **typed},
            wrong=wrong,
            problems=PROBLEMS,
            genders=people.GENDERS,
            alike=alike,
            form=(form or {}).get(pages.FORM) or str(uuid.uuid4()),
        )

    both = ["GET", "POST"]
    return [
        Route("/clinic", portal.page(search, pages.ROLE), methods=both),
        Route("/clinic/people", portal.page(register, pages.ROLE), methods=both),
    ]


def _shown(alike: Sequence[Likeness], language: str) -> list[tuple[pages.Person, Likeness]]:
    return [(pages.shown(each.patient, language), each) for each in alike[:10]]
