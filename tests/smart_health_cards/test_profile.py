from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_health_cards import check, minimal
from smart_health_cards.profile import day
from tests.smart_health_cards.conftest import immunization

PATIENT, DOSE = "entry.0.resource", "entry.1.resource"


def minimal_bundle(patient: dict[str, Any]) -> dict[str, Any]:
    doses = [minimal.immunization(immunization(day)) for day in ("2021-01-01", "2021-01-29")]
    return deepcopy(minimal.bundle(minimal.patient(patient), doses))


def put(document: Any, path: str, value: object) -> None:
    *steps, last = path.split(".")
    for step in steps:
        document = document[int(step) if isinstance(document, list) else step]
    document[int(last) if isinstance(document, list) else last] = value


def test_the_minimal_form_has_no_findings(patient: dict[str, Any]) -> None:
    assert check(minimal_bundle(patient)) == []


@pytest.mark.parametrize(
    ("path", "value", "severity", "code", "expression"),
    [
        ("type", "document", "error", "bundle-type", "Bundle.type"),
        ("timestamp", "2021", "warning", "not-minimal", "Bundle.timestamp"),
        ("entry.1.fullUrl", "resource:0", "error", "full-url", "Bundle.entry[1].fullUrl"),
        ("entry.1.fullUrl", "urn:uuid:1", "error", "full-url", "Bundle.entry[1].fullUrl"),
        ("entry.1.search", {}, "warning", "not-minimal", "Bundle.entry[1].search"),
        (f"{DOSE}.resourceType", "Observation", "warning", "other-resource", "Bundle.entry[1].resource"),
        (f"{DOSE}.resourceType", "Patient", "error", "patient-count", "Bundle.entry"),
        (PATIENT, {}, "error", "patient-count", "Bundle.entry"),
        (f"{PATIENT}.gender", "male", "error", "patient-gender", "Bundle.entry[0].resource.gender"),
        (f"{PATIENT}.identifier", [], "error", "patient-identifier", "Bundle.entry[0].resource.identifier"),
        (f"{PATIENT}.telecom", [], "error", "patient-telecom", "Bundle.entry[0].resource.telecom"),
        (f"{PATIENT}.address", [], "error", "patient-address", "Bundle.entry[0].resource.address"),
        (f"{PATIENT}.active", True, "warning", "not-minimal", "Bundle.entry[0].resource.active"),
        (f"{PATIENT}.name", [], "error", "name-missing", "Bundle.entry[0].resource.name"),
        (f"{PATIENT}.name.0", {"prefix": ["Dr."]}, "error", "name-empty", "Bundle.entry[0].resource.name[0]"),
        (f"{PATIENT}.name.0.use", "official", "warning", "not-minimal", "Bundle.entry[0].resource.name[0].use"),
        (f"{PATIENT}.name", [{"text": "A"}, {"text": "B"}], "warning", "name-count", "Bundle.entry[0].resource.name"),
        (f"{PATIENT}.birthDate", "1951-02-30", "error", "birth-date-invalid", "Bundle.entry[0].resource.birthDate"),
        (f"{PATIENT}.id", "p1", "error", "not-minified", "Bundle.entry[0].resource.id"),
        (f"{PATIENT}.meta", {"versionId": "1"}, "error", "not-minified", "Bundle.entry[0].resource.meta"),
        (f"{DOSE}.text", {}, "error", "not-minified", "Bundle.entry[1].resource.text"),
        (f"{DOSE}.vaccineCode.text", "x", "error", "not-minified", "Bundle.entry[1].resource.vaccineCode"),
        (f"{DOSE}.vaccineCode.coding.0.display", "x", "error", "not-minified", "Bundle.entry[1].resource.vaccineCode"),
        (
            f"{DOSE}.meta",
            {"security": [{"system": "https://smarthealth.cards/ial", "code": "IAL9"}]},
            "error",
            "security-label",
            "Bundle.entry[1].resource.meta.security",
        ),
        (f"{DOSE}.status", "not-done", "error", "status-not-completed", "Bundle.entry[1].resource.status"),
        (f"{DOSE}.protocolApplied", [], "error", "element-not-allowed", "Bundle.entry[1].resource.protocolApplied"),
        (f"{DOSE}.statusReason", {}, "error", "element-not-allowed", "Bundle.entry[1].resource.statusReason"),
        (f"{DOSE}.manufacturer", {}, "warning", "not-minimal", "Bundle.entry[1].resource.manufacturer"),
        (f"{DOSE}.vaccineCode", {}, "error", "vaccine-code-missing", "Bundle.entry[1].resource.vaccineCode"),
        (
            f"{DOSE}.vaccineCode.coding.0.system",
            "urn:local",
            "error",
            "vaccine-code-system",
            "Bundle.entry[1].resource.vaccineCode.coding[0]",
        ),
        (
            f"{DOSE}.vaccineCode.coding.0.code",
            "",
            "error",
            "vaccine-code-empty",
            "Bundle.entry[1].resource.vaccineCode.coding[0]",
        ),
        (
            f"{DOSE}.patient.reference",
            "resource:1",
            "error",
            "patient-reference",
            "Bundle.entry[1].resource.patient",
        ),
        (f"{DOSE}.patient.display", "J", "error", "patient-reference-more", "Bundle.entry[1].resource.patient"),
        (
            f"{DOSE}.occurrenceDateTime",
            "2021-13-01",
            "error",
            "occurrence-invalid",
            "Bundle.entry[1].resource.occurrenceDateTime",
        ),
        (
            f"{DOSE}.occurrenceDateTime",
            "2021-01",
            "warning",
            "occurrence-precision",
            "Bundle.entry[1].resource.occurrenceDateTime",
        ),
        (f"{DOSE}.lotNumber", "X" * 20, "warning", "lot-number-long", "Bundle.entry[1].resource.lotNumber"),
        (f"{DOSE}.lotNumber", "Lot 1", "warning", "lot-number-word", "Bundle.entry[1].resource.lotNumber"),
        (f"{DOSE}.lotNumber", 7, "error", "lot-number-invalid", "Bundle.entry[1].resource.lotNumber"),
        (
            f"{DOSE}.performer",
            [{"actor": {"display": "A"}}, {"actor": {"display": "B"}}],
            "error",
            "performer-count",
            "Bundle.entry[1].resource.performer",
        ),
        (
            f"{DOSE}.performer.0.actor",
            {"reference": "Organization/1"},
            "error",
            "performer-display-missing",
            "Bundle.entry[1].resource.performer[0].actor.display",
        ),
        (
            f"{DOSE}.performer.0.actor.display",
            "x" * 30,
            "warning",
            "performer-display-long",
            "Bundle.entry[1].resource.performer[0].actor.display",
        ),
        (f"{DOSE}.isSubpotent", False, "error", "subpotent-not-true", "Bundle.entry[1].resource.isSubpotent"),
    ],
)
def test_each_rule_is_found_at_its_place(
    patient: dict[str, Any], path: str, value: object, severity: str, code: str, expression: str
) -> None:
    bundle = minimal_bundle(patient)
    put(bundle, path, value)
    assert (severity, code, expression) in [(found.severity, found.code, found.expression) for found in check(bundle)]


def test_missing_elements_are_found(patient: dict[str, Any]) -> None:
    bundle = minimal_bundle(patient)
    del bundle["entry"][0]["resource"]["birthDate"]
    del bundle["entry"][1]["resource"]["occurrenceDateTime"]
    bundle["entry"][2]["resource"]["vaccineCode"]["coding"] *= 2
    codes = [found.code for found in check(bundle)]
    assert codes == [
        "birth-date-missing",
        "occurrence-missing",
        "vaccine-code-many",
        "vaccine-code-repeated",
        "vaccine-code-repeated",
    ]
    assert [found.code for found in check({})] == ["bundle-type", "patient-count", "no-immunization"]


def test_codes_can_be_judged_by_the_caller(patient: dict[str, Any]) -> None:
    found = check(minimal_bundle(patient), lambda system, code: False)
    assert [finding.code for finding in found] == ["vaccine-code-not-allowed"] * 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2021-02-28", "2021-02-28"),
        ("2021-02", "2021-02"),
        ("2021", "2021"),
        ("2021-02-28T23:00:00-05:00", "2021-02-28"),
        ("2021-02-30", None),
        ("2021-2-3", None),
        ("0000", None),
        ("2021-02-28T23", None),
        ("", None),
        (2021, None),
        (None, None),
    ],
)
def test_day_as_written(written: object, expected: str | None) -> None:
    assert day(written) == expected


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "entry", "resource", "name", "vaccineCode", "coding", "meta", "performer", "patient"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["type", "entry", "id"]), _json))
def test_any_object_can_be_checked(bundle: dict[str, Any]) -> None:
    assert check(bundle)
