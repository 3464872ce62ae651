"""Correcting a dose, or taking it back; and asking for it where another organization has recorded it.

https://hl7.org/fhir/R4/immunization-definitions.html#Immunization.status

Whoever submitted a dose changes it with a PUT, bound to the version that was looked at. Others are refused by the API,
and offered a Task for those who did.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.clinic import dose_form, doubts, lots, pages
from fhir_server.http.portal.me import dose_of
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.languages import N_

_VERSION, _READ = "version", "read"
_NOT_OURS = "not-submitter"
_LONGEST = 1_000

Resource = dict[str, Any]

_CHANGED = N_("Somebody has changed this dose meanwhile. This is how it stands now.")


def correcting_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic/people/[id]/doses/[id]/correct` and `/ask` (GET, POST)."""

    async def correct(request: Request, visitor: Visitor) -> Response:
        typed = await portal.posted(request) if request.method == "POST" else {}
        who = await pages.person(visitor, request)
        stored = await pages.dose(visitor, request, who)
        here, _ = await pages.place(portal, visitor, request)
        today = portal.context().today
        set_today = await lots.of_day(visitor, here, today)

        def page(
            form: dose_form.DoseForm,
            status: int = 200,
            told: str = "",
            refused: Sequence[str] = (),
            unsure: Mapping[str, str] | None = None,
        ) -> Response:
            return portal.form(
                request,
                "clinic-correct",
                status,
                who=who,
                dose=dose_of(stored, visitor.language),
                id=stored["id"],
                version=stored["meta"]["versionId"],
                typed={**dict.fromkeys(("lot", "code", "number", "expires", "site", "route", "day"), ""), **form.typed},
                wrong=form.problems,
                problems=dose_form.PROBLEMS,
                lots=set_today,
                sites=dose_form.SITES,
                routes=dose_form.ROUTES,
                told=told,
                unsure=unsure or {},
                refused=refused,
                changeable=stored["status"] == "completed",
            )

        if request.method != "POST" or stored["status"] != "completed":
            return page(dose_form.recorded(stored))
        if typed.get(_VERSION) != stored["meta"]["versionId"]:
            return page(dose_form.recorded(stored), 409, _CHANGED)
        if typed.get("decision") == "take-back":
            if typed.get("sure") != "yes":
                return page(dose_form.recorded(stored), 422, unsure={"sure": "unsure"})
            wanted = {**stored, "status": "entered-in-error"}
            return await _put(who, visitor, wanted, lambda said: page(dose_form.recorded(stored), 422, refused=said))
        form = dose_form.read(typed, set_today, today)
        if form.problems or typed.get("decision") == "change":
            return page(form, 422 if form.problems else 200)
        wanted = dose_form.corrected(stored, form)
        found = await doubts.about(visitor, who.patient, wanted, {})
        if found and typed.get(_READ) != doubts.seal(found):
            pairs = [(name, value) for name, value in typed.items() if name not in ("form_token", "decision", _READ)]
            address = f"{who.address}/doses/{stored['id']}/correct"
            return portal.form(
                *(request, "clinic-doubts", 409),
                who=who,
                doubts=found,
                seal=doubts.seal(found),
                address=address,
                pairs=pairs,
            )
        return await _put(who, visitor, wanted, lambda said: page(form, 422, refused=said))

    async def ask(request: Request, visitor: Visitor) -> Response:
        typed = await portal.posted(request) if request.method == "POST" else {}
        who = await pages.person(visitor, request)
        stored = await pages.dose(visitor, request, who)
        text = typed.get("text", "").strip()
        sent = False
        if request.method == "POST" and text and len(text) <= _LONGEST:
            key = {"idempotency-key": f"clinic-{pages.number_of(typed)}"}
            await visitor.visit.post("Task", _task(visitor, who, stored, text), key)
            sent = True
        return portal.form(
            request,
            "clinic-ask",
            200 if sent or request.method != "POST" else 422,
            who=who,
            dose=dose_of(stored, visitor.language),
            id=stored["id"],
            text=typed.get("text", ""),
            problem="" if sent or request.method != "POST" else "missing" if not text else "too-long",
            sent=sent,
            form=typed.get("form") or str(uuid.uuid4()),
        )

    both = ["GET", "POST"]
    return [
        Route("/clinic/people/{person}/doses/{dose}/correct", portal.page(correct, pages.ROLE), methods=both),
        Route("/clinic/people/{person}/doses/{dose}/ask", portal.page(ask, pages.ROLE), methods=both),
    ]


async def _put(
    who: pages.Person, visitor: Visitor, wanted: Resource, refused: Callable[[Sequence[str]], Response]
) -> Response:
    """To the dose once it is stored; to the request for a correction where others have to; else `refused`."""
    address = f"{who.address}/doses/{wanted['id']}"
    try:
        await visitor.visit.put(wanted)
    except RefusedError as error:
        if error.status == 403 and _NOT_OURS in error.codes:
            return RedirectResponse(f"{address}/ask", 303)
        if error.status != 422:
            raise
        return refused(error.sentences)
    return RedirectResponse(address, 303)


def _task(visitor: Visitor, who: pages.Person, stored: Mapping[str, Any], text: str) -> Resource:
    """What those who recorded the dose are asked: the Organization that gave it, else the one that keeps the person."""
    actors = [each.get("actor", {}).get("reference", "") for each in stored.get("performer", ())]
    keeper = who.patient.get("managingOrganization", {}).get("reference", "")
    owner = next((each for each in (*actors, keeper) if each.startswith("Organization/")), "")
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"text": "Correct a dose"},
        "description": text,
        "focus": {"reference": f"Immunization/{stored['id']}"},
        "for": {"reference": f"Patient/{who.id}"},
        "requester": {"reference": f"Organization/{visitor.caller.organization}"},
        **({"owner": {"reference": owner}} if owner else {}),
    }
