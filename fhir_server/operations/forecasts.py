"""Forecasts: what the schedule in force on a day says of a person on record.

https://www.cdc.gov/iis/cdsi/index.html
"""

from dataclasses import replace
from datetime import date
from functools import lru_cache

from fhir_server.domain.assessment import Forecast
from fhir_server.domain.facts import BIRTH_DATE, BirthDate, Facts
from fhir_server.domain.forecast import forecast
from fhir_server.domain.history import History
from fhir_server.domain.knowledge_bases import in_force
from fhir_server.operations import facts, histories
from fhir_server.operations.histories import Documents


def of(record: facts.Record, known: Facts, as_of: date) -> Forecast | None:
    """The forecast for COVID-19; None where no schedule is in force that day. `known` are the facts of the record:
    a birth date that was only answered counts, too."""
    if in_force(as_of) is None:
        return None
    found = Documents(record.patient, record.immunizations, record.conditions, record.allergies, record.observations)
    history = histories.read(found)
    born = next((fact.value for fact in known.about(BIRTH_DATE) if isinstance(fact.value, BirthDate)), None)
    if born is not None:
        history = replace(history, born=born.latest, born_exactly=born.earliest == born.latest)
    return _known(history, as_of)


@lru_cache(maxsize=1_024)
def _known(history: History, as_of: date) -> Forecast:
    """People look at their page, and others at them, more than once a day; the schedule says the same each time."""
    knowledge_base = in_force(as_of)
    assert knowledge_base is not None
    return forecast(history, as_of, knowledge_base)
