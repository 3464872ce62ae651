"""Crowd: a clinic's many people without e-mail addresses; for every second one the next dose is due today.

https://www.cdc.gov/acip-recs/hcp/vaccine-specific/covid-19.html
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Any

from benchmarks.population import patient
from fhir_server.fhir import json
from fhir_server.operations import facts, forecasts
from tests.portal.conftest import Town

AT_ONCE = 100
_CHILD = timedelta(days=400)


async def gather(town: Town, first: int, last: int) -> None:
    """Have the registry's system store the people with the numbers from `first` until before `last`."""
    for start in range(first, last, AT_ONCE):
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for number in range(start, min(last, start + AT_ONCE))
            for each in _person(number)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        await town.teller.speaking("state-registry").post("", bundle)


def _person(number: int) -> Iterator[dict[str, Any]]:
    person = {**json.parse(patient(number)), "managingOrganization": {"reference": "Organization/demo-mercy"}}
    # Those without an e-mail address are the ones to call.
    person["telecom"] = person["telecom"][:1]
    if number % 2:
        yield person
        return
    today = date.today()
    yield person | {"birthDate": (today - _CHILD).isoformat()}
    yield {"id": person["id"], "patient": {"reference": f"Patient/{person['id']}"}, **_dose(today)}


@cache
def _dose(today: date) -> dict[str, Any]:
    """The first dose of a small child, so many weeks ago that the schedule of today wants the second one today."""
    for weeks in range(2, 20):
        dose = {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "312"}]},
            "occurrenceDateTime": (today - timedelta(weeks=weeks)).isoformat(),
            "primarySource": True,
            "lotNumber": "EL1234",
        }
        child = {"resourceType": "Patient", "id": "child", "birthDate": (today - _CHILD).isoformat()}
        record = facts.Record(child, immunizations=[dose])
        forecast = forecasts.of(record, facts.read(record, today), today)
        if forecast is not None and forecast.recommended == today:
            return dose
    raise LookupError("by the schedule of today no second dose falls due")
