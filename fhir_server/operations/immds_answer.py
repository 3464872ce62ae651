"""The answer of a forecast: ImmunizationEvaluations and the ImmunizationRecommendation, as the ImmDS guide has them.

https://build.fhir.org/ig/HL7/ImmunizationFHIRDS/

CDSi's own words stand in `text` where the bound codes say less. Reasons carry a code of ours and a sentence.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.domain.assessment import DoseStatus, Evaluation, Forecast, Reason, SeriesStatus
from fhir_server.domain.schedule import KnowledgeBase
from fhir_server.domain.sentences import sentence
from fhir_server.operations import histories, vocabulary
from terminology import codes
from terminology.systems import CVX

Resource = dict[str, Any]

PROFILES = "http://hl7.org/fhir/uv/immds/StructureDefinition"
REASON = f"{vocabulary.BASE}/CodeSystem/forecast-reason"

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_LOINC = "http://loinc.org"
_SNOMED = "http://snomed.info/sct"

_DOSE_WORDS: Mapping[DoseStatus, str] = {
    "valid": "Valid",
    "not-valid": "Not Valid",
    "extraneous": "Extraneous",
    "sub-standard": "Sub-standard",
    "not-evaluated": "Not Evaluated",
}
_SERIES_WORDS: Mapping[SeriesStatus, str] = {
    "not-complete": "Not Complete",
    "complete": "Complete",
    "immune": "Immune",
    "contraindicated": "Contraindicated",
    "not-recommended": "Not Recommended",
    "aged-out": "Aged Out",
    "unknown": "Unknown",
}
_BOUND_REASONS = {
    "lot-expired": ("explot", "Expired lot"),
    "too-young": ("outsidesched", "Administered outside recommended schedule"),
    "too-old": ("outsidesched", "Administered outside recommended schedule"),
    "too-soon": ("outsidesched", "Administered outside recommended schedule"),
}


def subject(patient: Resource) -> tuple[Resource, list[Resource]]:
    """The reference to the person, and what has to be contained for it: somebody without an id is."""
    if "id" in patient:
        return {"reference": f"Patient/{patient['id']}"}, []
    contained: Resource = {"resourceType": "Patient", "id": "patient"}
    contained |= {name: patient[name] for name in ("gender", "birthDate") if name in patient}
    return {"reference": "#patient"}, [contained]


def evaluation(
    found: Evaluation, given: Resource, patient: Resource, answer: Forecast, base: KnowledgeBase, language: str
) -> Resource:
    """What a dose is worth. `given` is its Immunization, contained where it has no id to be referred to by."""
    who, contained = subject(patient)
    event = {"reference": f"Immunization/{given.get('id')}"}
    if "id" not in given:
        event = {"reference": "#immunization"}
        # Contained resources neither contain others nor have a history of their own.
        bare = {name: value for name, value in given.items() if name not in ("contained", "meta", "text", "patient")}
        contained = [*contained, {**bare, "id": "immunization", "patient": who}]
    status = "valid" if found.status == "valid" else "notvalid"
    display = "Valid" if found.status == "valid" else "Not valid"
    return {
        "resourceType": "ImmunizationEvaluation",
        "meta": {"profile": [f"{PROFILES}/immds-immunizationevaluation"]},
        **({"contained": contained} if contained else {}),
        "status": "completed",
        "patient": who,
        "date": answer.as_of.isoformat(),
        "authority": _authority(base),
        "targetDisease": _disease(),
        "immunizationEvent": event,
        "doseStatus": {
            "coding": [
                {"system": f"{_TERMINOLOGY}/immunization-evaluation-dose-status", "code": status, "display": display}
            ],
            "text": _DOSE_WORDS[found.status],
        },
        "doseStatusReason": [_reason(one, language) for one in found.reasons],
        **({"series": found.series} if found.series is not None else {}),
        **({"doseNumberPositiveInt": found.target} if found.target is not None else {}),
        **({"seriesDosesPositiveInt": found.of} if found.of else {}),
    }


def recommendation(
    answer: Forecast, patient: Resource, base: KnowledgeBase, more: list[Reason], language: str
) -> Resource:
    """What comes next. `more` are reasons beside the forecast's own."""
    who, contained = subject(patient)
    # Where the schedule leaves the choice, what may be chosen from; else the disease's own code.
    vaccines = [_vaccine(cvx) for cvx in answer.vaccines or answer.suitable or (min(base.unspecified),)]
    return {
        "resourceType": "ImmunizationRecommendation",
        "meta": {"profile": [f"{PROFILES}/immds-immunizationrecommendation"]},
        **({"contained": contained} if contained else {}),
        "patient": who,
        "date": answer.as_of.isoformat(),
        "authority": _authority(base),
        "recommendation": [
            {
                "vaccineCode": vaccines,
                "targetDisease": _disease(),
                **({"contraindicatedVaccineCode": refused} if (refused := _refused(answer)) else {}),
                "forecastStatus": _status(answer),
                "forecastReason": [_reason(one, language) for one in (*answer.reasons, *more)],
                **({"dateCriterion": dates} if (dates := list(_dates(answer))) else {}),
                **({"series": answer.series} if answer.series is not None else {}),
                **({"doseNumberPositiveInt": answer.dose_number} if answer.dose_number is not None else {}),
            }
        ],
    }


def text(reason: Reason, language: str) -> str:
    """The reason as a sentence, observations by their names."""
    details: dict[str, object] = dict(reason.details)
    code = details.get("observation")
    if isinstance(code, str):
        details["observation"] = vocabulary.display(histories.OBSERVATION, code, language)
    return sentence("forecast", reason.code, language, details)


def _status(answer: Forecast) -> Resource:
    """The bound code, where there is one for CDSi's word."""
    bound = {
        "complete": ("complete", "Complete"),
        "immune": ("immune", "Immune"),
        "contraindicated": ("contraindicated", "Contraindicated"),
        "not-complete": ("due", "Due"),
    }.get(answer.status)
    if answer.past_due is not None and answer.past_due < answer.as_of:
        bound = ("overdue", "Overdue")
    word = {"text": _SERIES_WORDS[answer.status]}
    if bound is None:
        return word
    system = f"{_TERMINOLOGY}/immunization-recommendation-status"
    return {"coding": [{"system": system, "code": bound[0], "display": bound[1]}], **word}


def _dates(answer: Forecast) -> Iterator[Resource]:
    for code, display, day in (
        ("30981-5", "Earliest date to give", answer.earliest),
        ("30980-7", "Date vaccine due", answer.recommended),
        ("59778-1", "Date when overdue for immunization", answer.past_due),
        ("59777-3", "Latest date to give immunization", answer.latest),
    ):
        if day is not None:
            coding = {"system": _LOINC, "code": code, "display": display}
            yield {"code": {"coding": [coding]}, "value": day.isoformat()}


def _refused(answer: Forecast) -> list[Resource]:
    return [_vaccine(cvx) for cvx in answer.contraindicated]


def _reason(reason: Reason, language: str) -> Resource:
    coding = [{"system": REASON, "code": reason.code}]
    bound = _BOUND_REASONS.get(reason.code)
    if bound is not None:
        system = f"{_TERMINOLOGY}/immunization-evaluation-dose-status-reason"
        coding.insert(0, {"system": system, "code": bound[0], "display": bound[1]})
    return {"coding": coding, "text": text(reason, language)}


def _vaccine(cvx: str) -> Resource:
    display = codes.lookup(CVX, cvx).display
    return {"coding": [{"system": CVX, "code": cvx, "display": display}], "text": display}


def _disease() -> Resource:
    """COVID-19: as the guide's binding wants it, by the vaccine that names no product, and by its own code."""
    unspecified = codes.lookup(CVX, "213")
    return {
        "coding": [
            {"system": CVX, "code": unspecified.code, "display": unspecified.display},
            {
                "system": _SNOMED,
                "code": "840539006",
                "display": "Disease caused by severe acute respiratory syndrome coronavirus 2",
            },
        ],
        "text": "COVID-19",
    }


def _authority(base: KnowledgeBase) -> Resource:
    edition = f" (CDSi {base.edition})" if base.edition else ""
    return {"display": f"{base.authority} {base.version}{edition}"}
