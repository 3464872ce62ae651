"""Giving a dose: screening and dose on one page, what speaks against it before it is stored, and stored once.

https://hl7.org/fhir/R4/http.html#transaction

Screening and dose are stored together. Both carry an identifier made with the form, under which they are created only
where nothing has it yet: a double click, a form sent again over a broken line, a step back, all lead to the one dose.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.http.portal import questions
from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.clinic import dose_form, doubts, lots, pages, screening
from fhir_server.http.portal.clinic.dose_form import DoseForm, Giver
from fhir_server.http.portal.session import Portal, Visitor

_URI = "urn:ietf:rfc:3986"
_READ = "read"
"""Field: the seal of the doubts that were read."""

Resource = dict[str, Any]
Given = Mapping[str, Sequence[str]]


def giving_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic/people/[id]/dose` (GET, POST)."""

    async def ask(request: Request, visitor: Visitor) -> Response:
        who = await pages.person(visitor, request)
        here, _ = await pages.place(portal, visitor, request)
        today = portal.context().today
        set_today = await lots.of_day(visitor, here, today)
        asked = await screening.questionnaire(visitor)
        fields = questions.fields(asked, visitor.language, {})
        return _page(request, who, fields, dose_form.empty(set_today, today), set_today, str(uuid.uuid4()))

    async def give(request: Request, visitor: Visitor) -> Response:
        given: dict[str, list[str]] = {}
        for name, value in await portal.pairs(request):
            given.setdefault(name, []).append(value)
        typed = {name: values[-1] for name, values in given.items()}
        who = await pages.person(visitor, request)
        number = pages.number_of(typed)
        identifier = {"system": _URI, "value": f"urn:uuid:{number}"}
        stored = await _stored(visitor, who, identifier)
        if stored is not None:
            return _done(who, stored)
        here, _ = await pages.place(portal, visitor, request)
        today = portal.context().today
        set_today = await lots.of_day(visitor, here, today)
        asked = await screening.questionnaire(visitor)
        fields = [screening.checked(field, today) for field in questions.fields(asked, visitor.language, given)]
        form = dose_form.read(typed, set_today, today)
        if typed.get("decision") == "change":
            return _page(request, who, fields, form, set_today, number)
        if form.problems or any(field.problem for field in fields):
            return _page(request, who, fields, form, set_today, number, 422)
        giver = Giver(visitor.caller.practitioner, visitor.caller.organization, here)
        dose = dose_form.given(form, who.id, giver, identifier, pages.now(portal))
        found = await doubts.about(visitor, who.patient, dose, given)
        if found and typed.get(_READ) != doubts.seal(found):
            return portal.form(
                request,
                "clinic-doubts",
                409,
                who=who,
                doubts=found,
                seal=doubts.seal(found),
                address=f"{who.address}/dose",
                pairs=_pairs(given),
            )
        response = screening.response(asked, who.id, fields, identifier, dose["recorded"])
        try:
            await visitor.visit.post("", _together(response, dose, identifier))
        except RefusedError as error:
            if error.status != 422:
                raise
            return _page(request, who, fields, form, set_today, number, 422, error.sentences)
        made = await _stored(visitor, who, identifier)
        if made is None:
            raise RefusedError(503, {})
        return _done(who, made)

    def _page(
        request: Request,
        who: pages.Person,
        fields: Sequence[questions.Field],
        form: DoseForm,
        set_today: Sequence[lots.Lot],
        number: str,
        status: int = 200,
        refused: Sequence[str] = (),
    ) -> Response:
        return portal.form(
            request,
            "clinic-dose",
            status,
            camera=True,
            who=who,
            fields=fields,
            typed={**dict.fromkeys(("lot", "code", "number", "expires", "site", "route", "day"), ""), **form.typed},
            wrong=form.problems,
            problems=dose_form.PROBLEMS,
            lots=set_today,
            sites=dose_form.SITES,
            routes=dose_form.ROUTES,
            form=number,
            refused=refused,
        )

    asked, gave = portal.page(ask, pages.ROLE), portal.page(give, pages.ROLE)

    async def dose(request: Request) -> Response:
        return await (gave if request.method == "POST" else asked)(request)

    return [Route("/clinic/people/{person}/dose", dose, methods=["GET", "POST"])]


def _pairs(given: Given) -> list[tuple[str, str]]:
    """What was typed, to be sent once more."""
    ours = ("form_token", "decision", _READ)
    return [(name, value) for name, values in given.items() if name not in ours for value in values]


def _together(response: Resource, dose: Resource, identifier: Resource) -> Resource:
    """The transaction that stores the screening and the dose, unless they are there."""
    condition = f"identifier={identifier['system']}|{identifier['value']}"
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:{uuid.uuid4()}",
                "resource": each,
                "request": {"method": "POST", "url": each["resourceType"], "ifNoneExist": condition},
            }
            for each in (response, dose)
        ],
    }


async def _stored(visitor: Visitor, who: pages.Person, identifier: Resource) -> Resource | None:
    asked = {"patient": who.id, "identifier": f"{identifier['system']}|{identifier['value']}"}
    return next(iter(await visitor.visit.entries("Immunization", asked)), None)


def _done(who: pages.Person, stored: Resource) -> Response:
    return RedirectResponse(f"{who.address}/doses/{stored['id']}", 303)
