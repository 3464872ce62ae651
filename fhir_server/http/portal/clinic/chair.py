"""The chair: one person, what they had, what is next, and what to do now.

https://hl7.org/fhir/R4/immunizationrecommendation.html
"""

import asyncio
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.access import users
from fhir_server.http.portal.api import RefusedError
from fhir_server.http.portal.clinic import pages, people, watching
from fhir_server.http.portal.clinic.dose_form import ROUTES, SITES, day_of, recorded
from fhir_server.http.portal.me import dose_of
from fhir_server.http.portal.parameters import first, parts
from fhir_server.http.portal.proxies import ADDRESS as PEOPLE
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.http.portal.site import LANGUAGE
from fhir_server.languages import N_

_CARD_ADDRESS = "/cards/"
_PROXY = "proxy"
_HAS_ACCOUNT = "account-exists"

STATUSES = {
    "eligible": N_("Can be vaccinated now"),
    "not-yet": N_("The turn has not come yet"),
    "not-eligible": N_("The vaccine is not offered at present"),
    "needs-info": N_("Answers are missing"),
    "complete": N_("The vaccination is complete"),
    "opted-out": N_("Has chosen not to be vaccinated"),
}


def chair_routes(portal: Portal) -> list[BaseRoute]:
    """`/clinic/people/[id]`, its `/card` and `/code`, and `/clinic/people/[id]/doses/[id]`."""

    async def chair(request: Request, visitor: Visitor) -> Response:
        who = await pages.person(visitor, request)
        answer, doses = await asyncio.gather(
            visitor.visit.get(f"Patient/{who.id}/$vaccine-eligibility"),
            visitor.visit.entries("Immunization", {"patient": who.id, "_sort": "-date", "_count": "100"}),
        )
        eligibility = parts(answer)
        state = first(eligibility, "status")
        day = day_of(str(first(eligibility, "doseFrom") or ""))
        return portal.form(
            request,
            "clinic-person",
            who=who,
            state=state,
            status=STATUSES[state],
            reasons=[first(reason, "text") for reason in eligibility.get("reason", ())],
            missing=[first(question, "text") for question in eligibility.get("missing", ())],
            dose_from=languages.day(day, visitor.language) if day and day > portal.context().today else "",
            doses=[dose_of(each, visitor.language) for each in doses],
            has_email=people.has_email(who.patient),
            child=_is_child(who, portal.context().clock()),
        )

    async def card(request: Request, visitor: Visitor) -> Response:
        who = await pages.person(visitor, request)
        if request.method != "POST":
            return RedirectResponse(who.address, 303)
        await portal.posted(request)
        asked = {"resourceType": "Parameters", "parameter": [{"name": "credentialType", "valueUri": "Immunization"}]}
        issued = await visitor.visit.post(f"Patient/{who.id}/$health-cards-issue", asked)
        addresses = [
            extension["valueUrl"].removesuffix(".png")
            for credential in issued.get("parameter", ())
            for extension in credential.get("extension", ())
            if _CARD_ADDRESS in extension.get("valueUrl", "")
        ]
        if len(addresses) == 1:
            return RedirectResponse(addresses[0], 303)
        return portal.site.page(
            request,
            "clinic-cards",
            elsewhere=lambda language: f"{who.address}?{LANGUAGE}={language}",
            who=who,
            addresses=addresses,
        )

    async def invite(request: Request, visitor: Visitor) -> Response:
        if request.method != "POST":
            return RedirectResponse(f"/clinic/people/{pages.named(request, 'person')}", 303)
        proxy = (await portal.posted(request)).get("as") == _PROXY
        who = await pages.person(visitor, request)
        shown: dict[str, Any] = {"who": who, "proxy": proxy, "people": f"{portal.site.settings.origin}{PEOPLE}"}
        asked = [{"name": "as", "valueCode": _PROXY}] if proxy else []
        try:
            answer = await visitor.visit.post(
                f"Patient/{who.id}/$invite", {"resourceType": "Parameters", **({"parameter": asked} if asked else {})}
            )
        except RefusedError as error:
            if _HAS_ACCOUNT not in error.codes:
                raise
            return portal.form(request, "clinic-invitation", **shown, code="", address="", until=None)
        given = first(parts(answer), "invitation")
        code, address, ends = (first(given, name) for name in ("code", "page", "expires"))
        until = datetime.fromisoformat(str(ends)).astimezone(pages.now(portal).tzinfo).date()
        return portal.form(
            request, "clinic-invitation", **shown, told_once=True, code=code, address=address, until=until
        )

    async def dose(request: Request, visitor: Visitor) -> Response:
        who = await pages.person(visitor, request)
        stored = await pages.dose(visitor, request, who)
        given, answer = await asyncio.gather(
            watching.answers(visitor, stored), visitor.visit.get(f"Patient/{who.id}/$vaccine-eligibility")
        )
        following = day_of(str(first(first(parts(answer), "nextDose") or {}, "recommended") or ""))
        where = recorded(stored).typed
        return portal.form(
            request,
            "clinic-dose-given",
            who=who,
            dose=dose_of(stored, visitor.language),
            status=stored["status"],
            expires=day_of(stored.get("expirationDate", "")),
            site=SITES.get(where["site"], ""),
            route=ROUTES.get(where["route"], ""),
            watched=watching.of(stored, given, who.id, who.name, pages.now(portal)),
            following=languages.day(following, visitor.language) if following else "",
        )

    return [
        Route("/clinic/people/{person}", portal.page(chair, pages.ROLE)),
        Route("/clinic/people/{person}/card", portal.page(card, pages.ROLE), methods=["GET", "POST"]),
        Route("/clinic/people/{person}/code", portal.page(invite, pages.ROLE), methods=["GET", "POST"]),
        Route("/clinic/people/{person}/doses/{dose}", portal.page(dose, pages.ROLE)),
    ]


def _is_child(who: pages.Person, now: int) -> bool:
    """Whether somebody may act for them until they are 18."""
    born = day_of(who.patient.get("birthDate", ""))
    return born is not None and users.adult_on(born) > now
