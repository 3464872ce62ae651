"""Registration: the answers to the registration questionnaire, as facts.

https://hl7.org/fhir/R4/questionnaireresponse.html

Of a person's own answers the latest response counts, whole: what it leaves out is unknown again; a provider's response
stands beside it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.domain.facts import BIRTH_DATE, Attester, BirthDate, Fact, Source, Value
from fhir_server.fhir import dates
from fhir_server.operations import sources, vocabulary

Resource = Mapping[str, Any]

CODED = {
    "occupation": vocabulary.OCCUPATION,
    "residence": vocabulary.RESIDENCE,
    "high-risk-conditions": vocabulary.CONDITION,
    "reminders": vocabulary.REMINDER_CHANNEL,
}
"""Questions answered with codes, and of which system."""

COUNTIES = frozenset({"county", "work-county"})
FLAGS = frozenset({"in-person", "patient-contact"})

_PROVIDERS = ("Practitioner/", "PractitionerRole/", "Organization/")


def read(responses: Iterable[Resource], given: Iterable[Resource], base: str, zone: str) -> Iterator[Fact]:
    """The facts in stored `responses` and in those `given` with a request, which are newer than all stored ones. `base`
    is the server's own, under which the questionnaire may be named; `zone` whose calendar days instants fall on."""
    stored = sorted(
        (response for response in responses if response.get("status") in ("completed", "amended")),
        key=_authored,
        reverse=True,
    )
    now = [response for response in given if response.get("status") != "entered-in-error"]
    heard: set[Attester] = set()
    for number, response in enumerate([*now, *stored]):
        attester = _attester(response)
        if not asked_by(response, base) or (number >= len(now) and attester in heard):
            continue
        heard.add(attester)
        since = sources.day(response.get("authored")) or sources.stored_on(response, zone)
        source = Source(attester, sources.reference(response), since, _author(response))
        for name, answers in _answers(response.get("item", ())):
            value = _value(name, answers)
            if value is not None:
                yield Fact(name, value, source)


def asked_by(response: Resource, base: str) -> bool:
    """Whether the registration questionnaire asked for these answers, or none is named; `base` is the server's own."""
    ours = (vocabulary.REGISTRATION, "Questionnaire/registration", f"{base}/Questionnaire/registration")
    return response.get("questionnaire", vocabulary.REGISTRATION).partition("|")[0] in ours


def _attester(response: Resource) -> Attester:
    return "provider" if (_author(response) or "").startswith(_PROVIDERS) else "self"


def _author(response: Resource) -> str | None:
    reference: str | None = response.get("source", response.get("author", {})).get("reference")
    return reference


def _answers(items: Iterable[Resource]) -> Iterator[tuple[str, Sequence[Resource]]]:
    for item in items:
        answers = item.get("answer", ())
        yield item.get("linkId", ""), answers
        yield from _answers(item.get("item", ()))
        for answer in answers:
            yield from _answers(answer.get("item", ()))


def _value(name: str, answers: Sequence[Resource]) -> Value | None:
    if not answers:
        return None
    if name == BIRTH_DATE:
        try:
            return BirthDate.parse(answers[0].get("valueDate", ""))
        except ValueError:
            return None
    if name in FLAGS:
        flag = answers[0].get("valueBoolean")
        return flag if isinstance(flag, bool) else None
    if name in COUNTIES:
        coding = answers[0].get("valueCoding", {})
        county = vocabulary.county(answers[0].get("valueString") or coding.get("code") or coding.get("display", ""))
        return None if county is None else frozenset({county})
    if name in CODED:
        return vocabulary.codes(CODED[name], (answer["valueCoding"] for answer in answers if "valueCoding" in answer))
    return None


def _authored(response: Resource) -> tuple[str, str]:
    """When it was said, and stored, as sortable text."""
    stored = response.get("meta", {}).get("lastUpdated")
    said = response.get("authored") or stored
    return "" if said is None else dates.parse(said).lo, "" if stored is None else dates.parse(stored).lo
