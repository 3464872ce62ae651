"""My answers: the registration questionnaire, filled in, looked at again, and changed at any time.

https://hl7.org/fhir/R4/questionnaireresponse.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.fhir import dates
from fhir_server.fhir.outcome import refuse
from fhir_server.http.portal import questions
from fhir_server.http.portal.me import ROLE
from fhir_server.http.portal.person import CHOSEN, People, name_of, people
from fhir_server.http.portal.session import Portal, Visitor
from fhir_server.operations.vocabulary import REGISTRATION


def answer_routes(portal: Portal) -> list[BaseRoute]:
    """`/me/answers` (GET, POST)."""

    async def show(request: Request, visitor: Visitor) -> Response:
        who = await people(visitor, request)
        questionnaire = await _questionnaire(visitor)
        given = questions.answered(await _latest(visitor, who))
        if "birthDate" in who.patient:
            given.setdefault("birth-date", [who.patient["birthDate"]])
        return _page(request, who, questions.fields(questionnaire, visitor.language, given))

    async def store(request: Request, visitor: Visitor) -> Response:
        pairs = await portal.pairs(request)
        who = await people(visitor, request, dict(pairs).get(CHOSEN))
        questionnaire = await _questionnaire(visitor)
        given: dict[str, list[str]] = {}
        for name, value in pairs:
            given.setdefault(name, []).append(value)
        today = portal.context().today
        filled = [questions.checked(field, today) for field in questions.fields(questionnaire, visitor.language, given)]
        if any(field.problem for field in filled):
            return _page(request, who, filled, 422)
        await visitor.visit.post("QuestionnaireResponse", _response(questionnaire, who, filled))
        return RedirectResponse(f"/me?{CHOSEN}={who.id}", 303)

    def _page(request: Request, who: People, filled: Sequence[questions.Field], status: int = 200) -> Response:
        return portal.form(request, "answers", status, who=who, name=name_of(who.patient), fields=filled)

    shown, stored = portal.page(show, ROLE), portal.page(store, ROLE)

    async def answers(request: Request) -> Response:
        return await (stored if request.method == "POST" else shown)(request)

    return [Route("/me/answers", answers, methods=["GET", "POST"])]


async def _questionnaire(visitor: Visitor) -> dict[str, Any]:
    found = await visitor.visit.entries("Questionnaire", {"url": REGISTRATION, "status": "active"})
    if not found:
        raise refuse(503, "transient", "no-questionnaire", "The registration questionnaire is not there.")
    return found[0]


async def _latest(visitor: Visitor, who: People) -> Mapping[str, Any]:
    asked = {"subject": who.reference, "questionnaire": REGISTRATION, "_sort": "-authored,-_lastUpdated", "_count": "1"}
    return next(iter(await visitor.visit.entries("QuestionnaireResponse", asked)), {})


def _response(questionnaire: Mapping[str, Any], who: People, filled: Sequence[questions.Field]) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": questionnaire["url"],
        "status": "completed",
        "subject": {"reference": who.reference},
        "source": {"reference": who.reference},
        "authored": dates.now(),
        "item": questions.items(questionnaire, filled),
    }
