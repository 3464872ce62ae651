"""Screening: what is asked before a dose, what an answer asks those who vaccinate to do, and how long to watch after.

https://www.cdc.gov/vaccines/covid-19/downloads/pre-vaccination-screening-form.pdf

No answer refuses a dose. What CDSi's schedules judge by is handed to $immds-forecast as Observations, so that the
products it speaks against are those of the schedule in force, and of no list here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from fhir_server.fhir.outcome import FhirError
from fhir_server.http.portal import questions
from fhir_server.http.portal.session import Visitor
from fhir_server.languages import N_
from fhir_server.operations.histories import OBSERVATION
from fhir_server.operations.vocabulary import BASE, NO_CODE

SCREENING = f"{BASE}/Questionnaire/screening"
USUAL_MINUTES, LONG_MINUTES = 15, 30

FLAGS: Mapping[str, str] = {
    "ill": N_("Sick today: is it moderate or severe? Then the dose can wait until the person is better."),
    "earlier-dose": N_("A serious reaction to an earlier dose: to which product, and what happened? Ask a physician."),
    "peg": N_("Allergic to polyethylene glycol: mRNA vaccines contain it. Consider a product without it."),
    "polysorbate": N_("Allergic to polysorbate: consider a product without it."),
    "other-injection": N_(
        "A serious reaction to another vaccine or injection: weigh the risk, and watch for 30 minutes."
    ),
    "other-anaphylaxis": N_("A serious allergic reaction to something else: watch for 30 minutes."),
    "immunocompromised": N_("A weakened immune system: more doses may be recommended. Look at the schedule."),
    "bleeding": N_("Bleeding: use a fine needle, and press firmly on the site for two minutes."),
    "heparin": N_("Few platelets after heparin: which product is suitable? Within 90 days, prefer mRNA vaccines."),
    "myocarditis": N_("Myocarditis or pericarditis: was it after a dose, and is it over? Ask a physician."),
    "multisystem": N_("Multisystem inflammatory syndrome: has the person recovered, and is it 90 days ago?"),
    "guillain-barre": N_("Guillain-Barré syndrome: tell the person about it; mRNA vaccines may be given."),
    "pregnant": N_("Pregnant or breastfeeding: the vaccine may be given. Does the person have questions?"),
    "fillers": N_("Dermal fillers: tell the person that swelling there may occur, and passes."),
}
"""Answer: what it asks. To be translated."""
ELSEWHERE = N_("A dose that is not on record here: ask for the card, and count it before you look at dates.")
_ELSEWHERE = "elsewhere"
_WATCHED_LONGER = frozenset({"earlier-dose", "peg", "polysorbate", "other-injection", "other-anaphylaxis"})
_OBSERVED = {"earlier-dose": "122", "peg": "188", "polysorbate": "187", "immunocompromised": "003"}
"""Answer: the observation of CDSi that it is."""

Resource = dict[str, Any]


async def questionnaire(visitor: Visitor) -> Resource:
    """The questions asked now. FhirError 503 where there are none."""
    found = await visitor.visit.entries("Questionnaire", {"url": SCREENING, "status": "active"})
    if not found:
        raise FhirError(503, ())
    return found[0]


def checked(field: questions.Field, today: date) -> questions.Field:
    """The field with what is wrong about its answer; `both` for "none of these" together with one of them."""
    if NO_CODE in field.given and len(set(field.given)) > 1:
        return replace(field, problem="both")
    return questions.checked(field, today)


def response(
    asked: Resource, patient: str, filled: Sequence[questions.Field], identifier: Resource, at: str
) -> Resource:
    """The answers as a QuestionnaireResponse, known again by the identifier of the dose they were asked for."""
    return {
        "resourceType": "QuestionnaireResponse",
        "identifier": identifier,
        "questionnaire": asked["url"],
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": at,
        "item": questions.items(asked, filled),
    }


def flags(given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the answers ask, as sentences to be translated, in the order of the questions."""
    answers = _answers(given)
    yield from (sentence for code, sentence in FLAGS.items() if code in answers)
    if questions.YES in given.get(_ELSEWHERE, ()):
        yield ELSEWHERE


def minutes(given: Mapping[str, Sequence[str]]) -> int:
    """How long to watch the person after the dose."""
    return LONG_MINUTES if _answers(given) & _WATCHED_LONGER else USUAL_MINUTES


def observations(given: Mapping[str, Sequence[str]], patient: str) -> list[Resource]:
    """What the schedule has to know of the answers."""
    answers = _answers(given)
    return [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": OBSERVATION, "code": observation}]},
            "subject": {"reference": f"Patient/{patient}"},
        }
        for code, observation in _OBSERVED.items()
        if code in answers
    ]


def _answers(given: Mapping[str, Sequence[str]]) -> set[str]:
    return {value for values in given.values() for value in values}
