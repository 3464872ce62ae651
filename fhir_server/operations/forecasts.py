"""Forecasts: what the schedule in force on a day says of a person on record.

https://www.cdc.gov/iis/cdsi/index.html
"""

from datetime import date

from fhir_server.domain.assessment import Forecast
from fhir_server.domain.facts import BIRTH_DATE, BirthDate, Facts
from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import History
from fhir_server.domain.knowledge_bases import in_force
from fhir_server.operations import facts


def of(record: facts.Record, known: Facts, as_of: date) -> Forecast | None:
    """The forecast for COVID-19; None where no schedule is in force that day. `known` are the facts of the record."""
    knowledge_base = in_force(as_of)
    if knowledge_base is None:
        return None
    born = next((fact.value for fact in known.about(BIRTH_DATE) if isinstance(fact.value, BirthDate)), None)
    gender = record.patient.get("gender")
    history = History(
        None if born is None else born.latest,
        facts.given_doses(record.immunizations),
        gender=gender if gender in ("male", "female") else None,
        born_exactly=born is not None and born.earliest == born.latest,
    )
    return forecast(history, as_of, knowledge_base)
