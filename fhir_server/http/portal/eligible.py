"""Am I eligible: the registration questionnaire without a name, judged at once, and nothing of it kept.

https://hl7.org/fhir/R4/questionnaire.html

No account and no token: the page reads the one Questionnaire, and asks what `Patient/$vaccine-eligibility` says of the
answers. They are posted, so that they stand in no address, and how many come from an address in an hour is limited.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import own_app, rates
from fhir_server.caller import Caller
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.http.portal import questions
from fhir_server.http.portal.me import STATUSES, day_of
from fhir_server.http.portal.parameters import first, parts
from fhir_server.http.portal.session import Portal
from fhir_server.operations import eligibility
from fhir_server.operations.enrolment import only
from fhir_server.operations.vocabulary import REGISTRATION

_NOBODY = Caller("anonymous", client=own_app.ID)
_NOT_ASKED = frozenset({"reminders"})
"""How somebody wants to be reminded does not decide whether it is their turn."""


def eligible_routes(portal: Portal) -> list[BaseRoute]:
    """`/eligible` (GET, POST)."""

    async def eligible(request: Request) -> Response:
        context = portal.context()
        language = portal.site.language(request)
        if request.method == "GET":
            return _page(request, questions.fields(await _questionnaire(context), language, {}), {})
        given: dict[str, list[str]] = {}
        for name, value in await portal.pairs(request):
            given.setdefault(name, []).append(value)
        await rates.require_few_checks(context.authority, request.client.host if request.client is not None else "")
        questionnaire = await _questionnaire(context)
        filled = [questions.checked(field, context.today) for field in questions.fields(questionnaire, language, given)]
        if any(field.problem for field in filled):
            return _page(request, filled, {}, 422)
        response = {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": REGISTRATION,
            "status": "completed",
            "item": questions.items(questionnaire, filled),
        }
        told = parts(await eligibility.of_answers(context, response, language))
        state = first(told, "status")
        decision = {
            "state": state,
            "status": STATUSES[state],
            "reasons": [first(reason, "text") for reason in told.get("reason", ())],
            "missing": [first(question, "text") for question in told.get("missing", ())],
            "opens": day_of(first(told, "opensOn"), language),
        }
        return _page(request, filled, decision)

    def _page(
        request: Request, filled: Sequence[questions.Field], decision: dict[str, Any], status: int = 200
    ) -> Response:
        return portal.form(request, "eligible", status, fields=filled, decision=decision, signs_in=portal.signs_in)

    return [Route("/eligible", portal.anyone(eligible), methods=["GET", "POST"])]


async def _questionnaire(context: Context) -> dict[str, Any]:
    """The registration questionnaire as it is stored now, read as nobody. FhirError 503 where there is none in use."""
    id = REGISTRATION.rpartition("/")[2]
    try:
        stored = await context.store.read(_NOBODY, only(_NOBODY, "r", "Questionnaire", id), "Questionnaire", id)
    except FhirError as error:
        if error.status not in (404, 410):
            raise
        raise refuse(503, "transient", "no-questionnaire", "The registration questionnaire is not there.") from None
    found: dict[str, Any] = json.parse(stored.raw or b"{}")
    return {**found, "item": [item for item in found["item"] if item["linkId"] not in _NOT_ASKED]}
