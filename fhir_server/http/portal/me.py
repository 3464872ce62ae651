"""My page: whether it is my turn, what I had, my card, and what I have chosen.

https://hl7.org/fhir/R4/immunizationrecommendation.html
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server import languages
from fhir_server.http.portal import choices
from fhir_server.http.portal.parameters import first, parts
from fhir_server.http.portal.person import CHOSEN, People, name_of, people
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.http.portal.site import LANGUAGE
from fhir_server.languages import N_
from terminology import codes

ROLE = "recipient"

STATUSES: Mapping[str, str] = {
    "eligible": N_("You can be vaccinated now"),
    "not-yet": N_("Your turn has not come yet"),
    "not-eligible": N_("The vaccine is not offered to you at present"),
    "needs-info": N_("We need to know more"),
    "complete": N_("Your vaccination is complete"),
    "opted-out": N_("You have chosen not to be vaccinated"),
}
_CVX = "http://hl7.org/fhir/sid/cvx"
_CARD_ADDRESS = "/cards/"


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose as it is shown."""

    id: str
    day: str
    vaccine: str
    lot: str
    place: str
    given: bool
    reported: bool


def me_routes(portal: Portal) -> list[BaseRoute]:
    """`/me`, and what its buttons do: `/me/card`, `/me/choices`."""

    async def me(request: Request, visitor: Visitor) -> Response:
        who = await people(visitor, request)
        answer, doses, chosen = await asyncio.gather(
            visitor.visit.get(f"{who.reference}/$vaccine-eligibility"),
            visitor.visit.entries("Immunization", {"patient": who.id, "_sort": "-date", "_count": "100"}),
            choices.chosen(visitor, who.id),
        )
        eligibility = parts(answer)
        from_day = first(eligibility, "doseFrom")
        later = from_day if from_day and from_day > portal.context().today.isoformat() else None
        return portal.form(
            request,
            "me",
            who=who,
            name=name_of(who.patient),
            status=STATUSES[first(eligibility, "status")],
            state=first(eligibility, "status"),
            reasons=[first(reason, "text") for reason in eligibility.get("reason", ())],
            missing=[first(question, "text") for question in eligibility.get("missing", ())],
            opens=day_of(first(eligibility, "opensOn"), visitor.language),
            dose_from=day_of(later, visitor.language),
            doses=[dose_of(each, visitor.language) for each in doses],
            kinds=choices.KINDS,
            chosen=chosen,
        )

    async def card(request: Request, visitor: Visitor) -> Response:
        if request.method == "GET":
            return RedirectResponse("/me", 303)
        who = await _posted_person(portal, request, visitor)
        asked = [{"name": "credentialType", "valueUri": "Immunization"}]
        issued = await visitor.visit.post(
            f"{who.reference}/$health-cards-issue", {"resourceType": "Parameters", "parameter": asked}
        )
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
            "my-cards",
            elsewhere=lambda language: f"/me?{CHOSEN}={who.id}&{LANGUAGE}={language}",
            addresses=addresses,
        )

    async def choice(request: Request, visitor: Visitor) -> Response:
        form = await portal.posted(request)
        who = await people(visitor, request, form.get(CHOSEN))
        kind = form.get("kind", "")
        if kind in choices.KINDS:
            act = choices.take_back if form.get("decision") == "take-back" else choices.choose
            await act(visitor, who.id, kind)
        return RedirectResponse(f"/me?{CHOSEN}={who.id}", 303)

    return [
        Route("/me", portal.page(me, ROLE)),
        Route("/me/card", portal.page(card, ROLE), methods=["GET", "POST"]),
        Route("/me/choices", portal.page(choice, ROLE), methods=["POST"]),
    ]


def dose_of(immunization: Mapping[str, Any], language: str) -> Dose:
    """An Immunization as it is shown."""
    written = str(immunization.get("occurrenceDateTime") or immunization.get("occurrenceString", ""))
    performers = [each.get("actor", {}).get("display", "") for each in immunization.get("performer", ())]
    return Dose(
        str(immunization["id"]),
        day_of(written, language) or written,
        vaccine_of(immunization),
        str(immunization.get("lotNumber", "")),
        next(filter(None, performers), ""),
        immunization.get("status") == "completed",
        immunization.get("primarySource") is False,
    )


def vaccine_of(immunization: Mapping[str, Any]) -> str:
    """What the vaccine is called: by its CVX code, else as the record says."""
    concept = immunization.get("vaccineCode", {})
    for coding in concept.get("coding", ()):
        if coding.get("system") == _CVX:
            try:
                return codes.lookup(_CVX, str(coding.get("code"))).display
            except LookupError:
                continue
    words = [coding.get("display") or coding.get("code") for coding in concept.get("coding", ())]
    return str(concept.get("text") or next(filter(None, words), ""))


async def _posted_person(portal: Portal, request: Request, visitor: Visitor) -> People:
    form = await portal.posted(request)
    return await people(visitor, request, form.get(CHOSEN))


def day_of(value: object, language: str) -> str:
    """A FHIR date as people write it; empty for none, and for one without a day."""
    try:
        return languages.day(date.fromisoformat(str(value)[:10]), language) if value else ""
    except ValueError:
        return ""
