"""Watching: who has had a dose minutes ago and is to stay, and until when.

https://www.cdc.gov/vaccines/covid-19/clinical-considerations/managing-anaphylaxis.html

Fifteen minutes, and thirty where the screening said so; both are on record, so that every browser of the place knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.http.portal import questions
from fhir_server.http.portal.clinic import screening
from fhir_server.http.portal.person import name_of
from fhir_server.http.portal.session import Visitor


@dataclass(frozen=True, slots=True)
class Watched:
    """Somebody to be watched. `until` is the time on the wall; `over`: it has passed."""

    patient: str
    name: str
    until: datetime
    minutes: int
    over: bool


async def now(visitor: Visitor, at: datetime) -> list[Watched]:
    """Those whom the organization vaccinated within the last half hour and who are to stay yet, the first first."""
    since = (at.astimezone(UTC) - timedelta(minutes=screening.LONG_MINUTES)).isoformat("T", "seconds")
    asked = {
        "date": f"ge{since}",
        "status": "completed",
        "performer": f"Organization/{visitor.caller.organization}",
        "_include": "Immunization:patient",
        "_count": "100",
    }
    found = await visitor.visit.entries("Immunization", asked)
    names = {each["id"]: name_of(each) for each in found if each["resourceType"] == "Patient"}
    doses = [each for each in found if each["resourceType"] == "Immunization"]
    answers = await _answers(visitor, since) if doses else {}
    watched = []
    for dose in doses:
        patient = dose["patient"]["reference"].removeprefix("Patient/")
        identifiers = [each.get("value", "") for each in dose.get("identifier", ())]
        given = next((answers[each] for each in identifiers if each in answers), {})
        one = of(dose, given, patient, names.get(patient, ""), at)
        if one is not None and not one.over:
            watched.append(one)
    return sorted(watched, key=lambda one: one.until.timestamp())


def of(
    dose: Mapping[str, Any], given: Mapping[str, list[str]], patient: str, name: str, at: datetime
) -> Watched | None:
    """How long to watch after this dose, by the answers of its screening; None where the hour of it is not known."""
    written = str(dose.get("occurrenceDateTime", ""))
    if "T" not in written or dose.get("status") != "completed":
        return None
    minutes = screening.minutes(given)
    # Minutes pass in UTC: by the clock on the wall an hour is left out in spring, and comes twice in autumn.
    ends = datetime.fromisoformat(written).astimezone(UTC) + timedelta(minutes=minutes)
    return Watched(patient, name, ends.astimezone(at.tzinfo), minutes, ends <= at.astimezone(UTC))


async def answers(visitor: Visitor, dose: Mapping[str, Any]) -> dict[str, list[str]]:
    """What was answered in the screening before this dose; nothing where there was none."""
    for identifier in dose.get("identifier", ()):
        if "system" in identifier and "value" in identifier:
            asked = {
                "identifier": f"{identifier['system']}|{identifier['value']}",
                "questionnaire": screening.SCREENING,
            }
            for response in await visitor.visit.entries("QuestionnaireResponse", asked):
                return questions.answered(response)
    return {}


async def _answers(visitor: Visitor, since: str) -> dict[str, dict[str, list[str]]]:
    asked = {"questionnaire": screening.SCREENING, "authored": f"ge{since}", "_count": "100"}
    found = await visitor.visit.entries("QuestionnaireResponse", asked)
    return {each["identifier"]["value"]: questions.answered(each) for each in found if "identifier" in each}
