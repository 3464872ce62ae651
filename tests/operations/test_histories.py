"""Histories: what Immunization, Condition, AllergyIntolerance and Observation say to a schedule."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.domain.history import GivenDose, Observation
from fhir_server.domain.knowledge_bases import knowledge_bases
from fhir_server.operations import histories, vocabulary
from fhir_server.operations.histories import Documents
from fhir_server.operations.products import cvx_of

CVX = "http://hl7.org/fhir/sid/cvx"
NDC = "http://hl7.org/fhir/sid/ndc"
SNOMED = "http://snomed.info/sct"


def concept(code: str, system: str = SNOMED) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observed(**more: Any) -> tuple[Observation, ...]:
    return histories.read(Documents({}, **{name: [resource] for name, resource in more.items()})).observations


def test_a_dose_is_read_as_far_as_it_is_known() -> None:
    immunization = {
        "id": "d",
        "status": "completed",
        "vaccineCode": concept("312", CVX),
        "occurrenceDateTime": "2024-09-10T23:30:00-05:00",
        "expirationDate": "2024-12-31",
        "manufacturer": {"identifier": {"system": "http://hl7.org/fhir/sid/mvx", "value": "MOD"}},
        "doseQuantity": {"value": Decimal("0.5"), "code": "mL"},
    }
    history = histories.read(Documents({"birthDate": "1990-06-01", "gender": "other"}, [immunization]))
    dose = GivenDose(date(2024, 9, 10), "312", "d#00000", "MOD", Decimal("0.5"), date(2024, 12, 31))
    assert (history.doses, history.born, history.gender) == ((dose,), date(1990, 6, 1), None)
    assert histories.position(dose.key) == 0


@pytest.mark.parametrize(
    ("text", "born", "exactly"),
    [("1990", date(1990, 12, 31), False), ("1990-02", date(1990, 2, 28), False), ("1990-02-03", date(1990, 2, 3), True),
     (None, None, False), ("1990-02-30", None, False)],
)  # fmt: skip
def test_a_birth_date_as_precise_as_it_is(text: str | None, born: date | None, exactly: bool) -> None:
    history = histories.read(Documents({"birthDate": text} if text else {}))
    assert (history.born, history.born_exactly) == (born, exactly)


def test_a_condition_holds_from_onset_to_abatement() -> None:
    lasting = {"code": concept("86553008"), "onsetDateTime": "2024-01-05", "abatementDateTime": "2024-06-01"}
    assert observed(conditions=lasting) == (Observation("158", date(2024, 1, 5), date(2024, 6, 1)),)
    assert observed(conditions={"code": concept("86553008"), "abatementString": "long ago"}) == ()
    assert [one.code for one in observed(conditions={"code": concept("77128003")})] == ["147", "148"]


def test_an_allergy_to_a_covid_vaccine_is_a_reaction_to_a_dose_and_a_mention_of_one_is_not() -> None:
    assert observed(allergies={"code": concept("309", CVX)}) == (Observation("122"),)
    assert observed(allergies={"code": concept("08", CVX)}) == ()
    assert observed(conditions={"code": concept("309", CVX)}) == ()
    assert observed(observations={"status": "final", "valueCodeableConcept": concept("208", CVX)}) == ()


def test_an_observation_says_it_by_its_code_or_its_value() -> None:
    found = {"status": "final", "code": concept("313039003"), "effectiveDateTime": "2024-01-05"}
    assert observed(observations=found) == (Observation("157", date(2024, 1, 5)),)
    assert observed(observations=found | {"valueBoolean": False}) == ()
    assert observed(observations=found | {"status": "entered-in-error"}) == ()
    by_value = {"status": "final", "code": {"text": "?"}, "valueCodeableConcept": concept("191", histories.OBSERVATION)}
    assert observed(observations=by_value) == (Observation("191"),)


@pytest.mark.parametrize(
    ("codings", "cvx"),
    [
        ([("9", CVX)], "09"),
        ([("208", "urn:oid:2.16.840.1.113883.12.292")], "208"),
        ([("59267-1000-01", NDC)], "208"),
        ([("59267100001", NDC), ("213", CVX)], "208"),
        ([("213", CVX), ("08", CVX)], "213"),
        ([("J07BX03", "http://www.whocc.no/atc")], "213"),
        ([("999", CVX)], None),
        ([("nothing", CVX), ("0000", NDC), ("x", "http://example.org")], None),
        ([], None),
    ],
)
def test_which_vaccine_codes_mean(codings: list[tuple[str, str]], cvx: str | None) -> None:
    assert cvx_of({"coding": [{"code": code, "system": system} for code, system in codings]}) == cvx


def test_every_observation_asked_for_has_a_name_in_both_languages_and_can_be_said() -> None:
    for one in knowledge_bases():
        asked = {indication.observation for series in one.series for indication in series.indications}
        asked |= {contraindication.observation for contraindication in one.contraindications}
        for code in asked:
            names = {vocabulary.display(histories.OBSERVATION, code, language) for language in ("en", "es")}
            assert len(names - {code, ""}) == 2, code
            assert (histories.OBSERVATION, code) in set(histories.asked_codes())
