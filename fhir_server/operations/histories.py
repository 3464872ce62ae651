"""A person's history as a schedule needs it, read from the resources about them.

https://hl7.org/fhir/R4/immunization.html
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_server.domain.facts import BirthDate
from fhir_server.domain.history import GivenDose, History, Observation
from fhir_server.fhir import json
from fhir_server.operations import vocabulary
from fhir_server.operations.products import cvx_of
from terminology import codes
from terminology.systems import CVX, MVX, preferred

Resource = Mapping[str, Any]

OBSERVATION = f"{vocabulary.BASE}/CodeSystem/cdsi-observation"
AFTER_A_DOSE = "122"
"""CDSi's severe allergic reaction after a COVID-19 dose. CDC gives one product's code for it, and means all."""

_SYSTEMS = {
    "SNOMED": ("http://snomed.info/sct",),
    "ICD10CM": ("http://hl7.org/fhir/sid/icd-10-cm",),
    "CDCPHINVS": ("urn:oid:2.16.840.1.114222.4.5.274",),
    # CDC names a product for a reaction to it; only an allergy coded so means that.
    "CVX": (),
}
_ENDED = frozenset({"inactive", "remission", "resolved"})
_DENIED = frozenset({"refuted", "entered-in-error"})
_UNSAID = frozenset({"entered-in-error", "cancelled"})


@dataclass(frozen=True, slots=True)
class Documents:
    """What was handed in or is stored about one person."""

    patient: Resource
    immunizations: Sequence[Resource] = ()
    conditions: Sequence[Resource] = ()
    allergies: Sequence[Resource] = ()
    observations: Sequence[Resource] = ()


def read(found: Documents) -> History:
    """The history. A dose's key ends in the position of its Immunization (see `position`). What was not given, or
    entered in error, is no dose."""
    born = birth(found.patient.get("birthDate"))
    gender = found.patient.get("gender")
    return History(
        born=None if born is None else born.latest,
        doses=tuple(
            dose(one, f"{_name(one)}#{number:05}") for number, one in enumerate(found.immunizations) if is_given(one)
        ),
        observations=(
            *_conditions(found.conditions),
            *_conditions(found.allergies, allergies=True),
            *_observations(found.observations),
        ),
        gender=gender if gender in ("male", "female") else None,
        born_exactly=born is not None and born.earliest == born.latest,
    )


def position(key: str) -> int:
    """Where among the Immunizations the dose with that key was."""
    return int(key.rpartition("#")[2])


def birth(text: object) -> BirthDate | None:
    """A birth date as precise as it is; None where there is none, or no date."""
    try:
        return BirthDate.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


def is_given(immunization: Resource) -> bool:
    """Whether a vaccine was given."""
    return immunization.get("status") == "completed"


def dose(immunization: Resource, key: str) -> GivenDose:
    """A dose, as far as it is known: a partial date is no day."""
    quantity = immunization.get("doseQuantity", {})
    volume = quantity.get("value") if quantity.get("code", quantity.get("unit")) in ("mL", "ml") else None
    return GivenDose(
        given=day(immunization.get("occurrenceDateTime")),
        cvx=cvx_of(immunization.get("vaccineCode", {})),
        key=key,
        mvx=_manufacturer(immunization.get("manufacturer", {})),
        volume=Decimal(volume) if isinstance(volume, Decimal | int) else None,
        expires=day(immunization.get("expirationDate")),
        substandard=immunization.get("isSubpotent") is True,
    )


def day(text: object) -> date | None:
    """The local calendar day of a date or dateTime; None where it is absent or not precise to the day."""
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None


def asked_codes() -> Iterator[tuple[str, str]]:
    """Every (system, code) that leads to an observation."""
    yield from _leads()


def _name(immunization: Resource) -> str:
    """What orders doses that are otherwise alike, so that it does not matter in which order they came."""
    return str(immunization.get("id") or json.dump(dict(immunization)))


def _manufacturer(reference: Resource) -> str | None:
    identifier = reference.get("identifier", {})
    return identifier.get("value") if preferred(identifier.get("system", "")) == MVX else None


def _conditions(resources: Iterable[Resource], *, allergies: bool = False) -> Iterator[Observation]:
    """Of Conditions or AllergyIntolerances: what is active and was not refuted."""
    for one in resources:
        if _status(one, "verificationStatus") & _DENIED:
            continue
        until = day(one.get("abatementDateTime"))
        if until is None and (_status(one, "clinicalStatus") & _ENDED or "abatementString" in one):
            continue
        since = day(one.get("onsetDateTime"))
        found = list(_meant(one.get("code", {})))
        if allergies and _is_covid_vaccine(one.get("code", {})):
            found.append(AFTER_A_DOSE)
        for code in found:
            yield Observation(code, since, until)


def _observations(resources: Iterable[Resource]) -> Iterator[Observation]:
    """Of Observations: what the value says, or what the code says where the value is not a denial."""
    for one in resources:
        if one.get("status") in _UNSAID or one.get("valueBoolean") is False:
            continue
        since = day(one.get("effectiveDateTime"))
        for concept in (one.get("code", {}), one.get("valueCodeableConcept", {})):
            for code in _meant(concept):
                yield Observation(code, since)


def _status(resource: Resource, name: str) -> set[str]:
    return {coding.get("code", "") for coding in resource.get(name, {}).get("coding", ())}


def _meant(concept: Resource) -> Iterator[str]:
    """The CDSi observations a concept leads to."""
    found: dict[str, None] = {}
    for coding in concept.get("coding", ()):
        system, code = preferred(coding.get("system", "")), coding.get("code", "")
        found.update(dict.fromkeys(_leads().get((system, code), ())))
    yield from found


def _is_covid_vaccine(concept: Resource) -> bool:
    return any(
        preferred(coding.get("system", "")) == CVX and codes.is_covid_vaccine(coding.get("code", ""))
        for coding in concept.get("coding", ())
    )


@cache
def _leads() -> Mapping[tuple[str, str], tuple[str, ...]]:
    table: dict[str, list[list[str]]] = json.parse((files(__package__) / "data" / "observations.json").read_bytes())
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for observation, given in table.items():
        found[OBSERVATION, observation] = (observation,)
        for name, code in given:
            for system in _SYSTEMS[name]:
                found[system, code] = (*found.get((system, code), ()), observation)
    return found
