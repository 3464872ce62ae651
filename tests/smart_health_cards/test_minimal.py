import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_health_cards import CardError, check, minimal
from smart_health_cards.profile import VACCINE_SYSTEMS
from tests.smart_health_cards.conftest import immunization


def test_patient_keeps_name_and_birth_date_only(patient: dict[str, Any]) -> None:
    assert minimal.patient(patient) == {
        "resourceType": "Patient",
        "name": [{"family": "Anyperson", "given": ["John", "B."]}],
        "birthDate": "1951-01-20",
    }
    assert "birthDate" not in minimal.patient(patient, birth_date=False)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([{"text": "Prince"}], {"text": "Prince"}),
        ([{"given": ["Madonna"]}], {"given": ["Madonna"]}),
        (
            [{"family": "Doe", "given": ["Jo", None], "prefix": ["Dr."], "suffix": ["Jr."]}],
            {"family": "Doe", "given": ["Jo"], "prefix": ["Dr."], "suffix": ["Jr."]},
        ),
        ([{"use": "maiden", "family": "A"}, {"family": "B"}], {"family": "B"}),
        (
            [{"use": "official", "family": "A", "period": {"end": "2001"}}, {"use": "usual", "family": "B"}],
            {"family": "B"},
        ),
        ([{"use": "official"}, {"use": "nickname", "text": "Bo"}], {"text": "Bo"}),
    ],
)
def test_the_name_that_goes_on_the_card(names: list[Any], expected: dict[str, Any]) -> None:
    assert minimal.patient({"resourceType": "Patient", "name": names})["name"] == [expected]


@pytest.mark.parametrize("names", [None, [], [{}], [{"family": " "}], [{"text": ""}], "name", [None]])
def test_nobody_without_a_name_gets_a_card(names: object) -> None:
    with pytest.raises(CardError, match="patient-no-name"):
        minimal.patient({"resourceType": "Patient", "name": names})


def test_immunization_keeps_what_a_verifier_needs() -> None:
    assert minimal.immunization(immunization(), assurance="IAL2") == {
        "resourceType": "Immunization",
        "meta": {"security": [{"system": "https://smarthealth.cards/ial", "code": "IAL2"}]},
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": "resource:0"},
        "occurrenceDateTime": "2021-01-29",
        "performer": [{"actor": {"display": "ABC General Hospital"}}],
        "lotNumber": "0000007",
    }
    assert minimal.immunization(immunization(isSubpotent=True))["isSubpotent"] is True
    assert "isSubpotent" not in minimal.immunization(immunization(isSubpotent=False))


@pytest.mark.parametrize(
    ("lot", "written"),
    [
        ("EN6201", "EN6201"),
        ("Lot # EN6201", "EN6201"),
        ("LOT NUMBER: EN6201", "EN6201"),
        ("lot no. EN6201", "EN6201"),
        ("Lot123", "123"),
        ("Pfizer EN6201", "EN6201"),
        ("EN6201 (pfizer)", "EN6201"),
        ("X" * 19, "X" * 19),
        ("X" * 20, None),
        ("LOTUS-5", None),
        ("lot", None),
        ("", None),
        (None, None),
    ],
)
def test_lot_number_is_the_bare_lot_or_absent(lot: str | None, written: str | None) -> None:
    dose = immunization()
    dose["lotNumber"] = lot
    assert minimal.immunization(dose).get("lotNumber") == written


@pytest.mark.parametrize(
    ("performers", "display"),
    [
        ([{"actor": {"display": "City Clinic"}}], "City Clinic"),
        ([{"actor": {"reference": "Practitioner/1", "display": "Dr. Who"}}], None),
        ([{"actor": {"type": "Practitioner", "display": "Dr. Who"}}], None),
        (
            [
                {"actor": {"reference": "Practitioner/1", "display": "Dr. Who"}},
                {"actor": {"reference": "https://x.example/fhir/Organization/1", "display": "City Clinic"}},
            ],
            "City Clinic",
        ),
        ([{"actor": {"display": "The Extraordinarily Long Hospital Name"}}], "The Extraordinarily Long Hosp"),
        ([{"actor": {"reference": "Organization/1"}}], None),
        (None, None),
    ],
)
def test_performer_is_an_organization_by_name(performers: object, display: str | None) -> None:
    written = minimal.immunization(immunization(performer=performers)).get("performer")
    assert written == ([{"actor": {"display": display}}] if display else None)


def test_one_code_is_given_cvx_before_snomed_before_icd_11() -> None:
    cvx, snomed, icd = (
        {"system": system, "code": code}
        for system, code in zip(VACCINE_SYSTEMS, ("208", "1119349007", "XM0GQ8"), strict=True)
    )
    dose = immunization(vaccineCode={"coding": [icd, snomed, cvx]})
    assert minimal.vaccine_coding(dose) == cvx
    assert minimal.vaccine_coding(dose, lambda system, code: system != cvx["system"]) == snomed
    assert minimal.vaccine_coding({"vaccineCode": {"coding": [{"system": "urn:local", "code": "1"}]}}) is None


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_elements = st.dictionaries(
    st.sampled_from(["id", "meta", "text", "extension", "note", "site", "identifier", "gender", "photo", "active"]),
    _json,
)
_names = st.lists(
    st.fixed_dictionaries(
        {"family": _text},
        optional={
            "given": st.lists(_text, max_size=3),
            "use": st.sampled_from(["official", "old"]),
            "text": _text,
            "id": _text,
        },
    ),
    min_size=1,
    max_size=3,
)
_actors = st.fixed_dictionaries({}, optional={"display": _text, "reference": _text, "type": st.just("Organization")})


def _values(value: object) -> Iterator[tuple[str, object]]:
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield str(name), inner
        yield from _values(inner)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    person=_elements,
    names=_names,
    extra=_elements,
    lot=_text,
    maker=_text,
    actors=st.lists(_actors, max_size=3),
    subpotent=st.booleans(),
    display=_text,
)
def test_minification_rules_hold_for_any_record(
    person: dict[str, Any],
    names: list[Any],
    extra: dict[str, Any],
    lot: str,
    maker: str,
    actors: list[Any],
    subpotent: bool,
    display: str,
) -> None:
    dose = {
        **immunization(lot=lot, isSubpotent=subpotent, manufacturer={"display": maker}),
        **extra,
        "performer": [{"actor": actor} for actor in actors],
        "vaccineCode": {
            "text": display,
            "coding": [{"system": VACCINE_SYSTEMS[0], "code": "208", "display": display}],
        },
    }
    try:
        patient = minimal.patient({**person, "resourceType": "Patient", "name": names, "birthDate": "2000-02-29"})
    except CardError as error:
        assert error.code == "patient-no-name"
        return
    bundle = minimal.bundle(patient, [minimal.immunization(dose)])
    assert check(bundle) == []
    members = list(_values(bundle))
    assert not {"id", "meta", "extension"} & {name for name, _ in members}
    assert "display" not in bundle["entry"][1]["resource"]["vaccineCode"]["coding"][0]
    assert all(re.fullmatch(r"resource:\d+", str(value)) for name, value in members if name in ("fullUrl", "reference"))
    assert json.loads(json.dumps(bundle)) == bundle
