"""References have one normal form.

https://hl7.org/fhir/R4/references.html
"""

import pytest

from fhir_server.fhir.references import Local, is_conditional, keys, local, normalise, refers_to

BASE = "http://our.example/fhir"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", Local("Patient", "1")),
        (f"{BASE}/Patient/1", Local("Patient", "1")),
        ("Patient/1/_history/2", Local("Patient", "1", "2")),
        ("http://our.example/fhirx/Patient/1", None),
        ("http://their.example/fhir/Patient/1", None),
        ("Patent/1", None),
        ("Patient/1 ", None),
        ("Patient/", None),
        ("Patient/1/extra", None),
        ("#contained", None),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", None),
        ("Patient?identifier=a", None),
        (f"Patient/{'x' * 65}", None),
    ],
)
def test_local(text: str, expected: Local | None) -> None:
    assert local(text, BASE) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{BASE}/Patient/1", ["Patient/1", "*/1"]),
        ("Patient/1/_history/2", ["Patient/1", "*/1", "Patient/1/_history/2"]),
        ("http://x/fhir/Patient/1/_history/2", ["http://x/fhir/Patient/1/_history/2", "http://x/fhir/Patient/1"]),
        ("http://x/Questionnaire/q|2.0", ["http://x/Questionnaire/q|2.0", "http://x/Questionnaire/q"]),
        ("urn:oid:1.2", ["urn:oid:1.2"]),
        ("#p", []),
    ],
)
def test_keys(text: str, expected: list[str]) -> None:
    assert keys(text, BASE) == expected


def test_normalise_strips_the_own_base_only() -> None:
    assert normalise(f"{BASE}/Patient/1", BASE) == "Patient/1"
    assert normalise(f"{BASE}2/Patient/1", BASE) == f"{BASE}2/Patient/1"
    assert normalise("Patient/1") == "Patient/1"


def test_conditional() -> None:
    assert is_conditional("Practitioner?identifier=http://npi|1")
    assert not is_conditional("Practitioner/1")
    assert not is_conditional("http://x/y?z")


def test_refers_to() -> None:
    assert refers_to({"reference": "Patient/1"}, "Patient")
    assert refers_to({"reference": "http://x/Patient/1"}, "Patient")
    assert refers_to({"reference": "urn:uuid:1", "type": "Patient"}, "Patient")
    assert refers_to({"identifier": {"value": "1"}, "type": "Patient"}, "Patient")
    assert not refers_to({"reference": "Group/1", "type": "Patient"}, "Patient")
    assert not refers_to({"reference": "#p"}, "Patient")
    assert not refers_to({}, "Patient")
