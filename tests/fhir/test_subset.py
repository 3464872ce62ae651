from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir import json, subset
from fhir_server.fhir.outcome import FhirError
from profiles import structure

EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "fhir-r4-examples"
TAG = b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}'


def of(raw: bytes, summary: Any = None, *elements: str) -> bytes:
    asked = subset.subset(summary, elements)
    assert asked is not None
    return asked(raw)


PATIENT = (
    b'{"resourceType":"Patient","id":"1","meta":{"versionId":"1","tag":[{"code":"a"}]},"text":{"status":"generated",'
    b'"div":"<div>caf\\u00e9</div>"},"active":true,"name":[{"family":"A"}],"_birthDate":{"id":"b"},"birthDate":"1980",'
    b'"photo":[{"url":"x"}],"contact":[{"gender":"male"}],"maritalStatus":{"text":"x"},"multipleBirthInteger":2}'
)
META = b'"meta":{"versionId":"1","tag":[{"code":"a"},' + TAG + b"]}"


def test_summary() -> None:
    assert of(PATIENT, "true") == (
        b'{"resourceType":"Patient","id":"1",' + META + b',"active":true,"name":[{"family":"A"}],'
        b'"_birthDate":{"id":"b"},"birthDate":"1980"}'
    )


def test_text() -> None:
    assert of(PATIENT, "text") == (
        b'{"resourceType":"Patient","id":"1",' + META + b',"text":{"status":"generated","div":"<div>caf\\u00e9</div>"}}'
    )


def test_data() -> None:
    kept = of(PATIENT, "data")
    assert b'"text":{"status"' not in kept
    assert kept.replace(b"," + TAG, b"").replace(b'"active"', b"") in PATIENT.replace(
        b'"text":{"status":"generated","div":"<div>caf\\u00e9</div>"},"active"', b""
    )


def test_elements() -> None:
    assert of(PATIENT, None, "multipleBirth", "birthDate") == (
        b'{"resourceType":"Patient","id":"1",' + META + b',"_birthDate":{"id":"b"},"birthDate":"1980",'
        b'"multipleBirthInteger":2}'
    )


def test_mandatory_elements_stay_and_lexemes_too() -> None:
    raw = (
        b'{"resourceType":"Observation","id":"1","status":"final","code":{"text":"\\u00e9"},"valueQuantity":'
        b'{"value":1.0e2},"note":[{"text":"n"}],"component":[{"code":{"text":"c"},"valueQuantity":{"value":1.10},'
        b'"referenceRange":[{"text":"r"}],"interpretation":[{"text":"i"}]}],"modifierExtension":[{"url":"m","valueCode":"x"}]}'
    )
    marked = b'{"resourceType":"Observation","id":"1","meta":{"tag":[' + TAG + b"]}"
    mandatory = b',"status":"final","code":{"text":"\\u00e9"}'
    modifier = b',"modifierExtension":[{"url":"m","valueCode":"x"}]}'
    assert of(raw, None, "note") == marked + mandatory + b',"note":[{"text":"n"}]' + modifier
    assert of(raw, "text") == marked + mandatory + modifier
    assert of(raw, "true") == (
        marked + mandatory + b',"valueQuantity":{"value":1.0e2},"component":[{"code":{"text":"c"},'
        b'"valueQuantity":{"value":1.10}}]' + modifier
    )


def test_a_subset_of_a_subset_says_so_once() -> None:
    assert of(of(PATIENT, "true"), "true") == of(PATIENT, "true")


def test_the_whole_is_no_subset() -> None:
    assert subset.subset(None) is None
    assert subset.subset("false") is None
    assert subset.asked("Patient", [("_summary", "false")]) is None


@pytest.mark.parametrize(
    ("pairs", "detail"),
    [
        ([("_summary", "count")], "invalid-value"),
        ([("_summary", "all")], "invalid-value"),
        ([("_elements", "colour")], "invalid-value"),
        ([("_elements", "")], "invalid-value"),
        ([("_elements", "name"), ("_elements", "active")], "repeated-parameter"),
        ([("_elements", "name"), ("_summary", "true")], "invalid-value"),
        ([("_count", "1")], "unknown-parameter"),
    ],
)
def test_refused(pairs: list[tuple[str, str]], detail: str) -> None:
    with pytest.raises(FhirError) as caught:
        subset.asked("Patient", pairs)
    assert (caught.value.status, caught.value.issues[0].detail) == (400, detail)


def test_subsets_of_the_official_examples_are_valid() -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the official examples are not on this machine")
    count = 0
    for path in sorted(EXAMPLES.rglob("*.json")):
        raw = json.compact(path.read_bytes())
        resource = json.parse(raw)
        if any(issue.severity == "error" for issue in structure.check(resource)):
            continue
        for summary in ("true", "text", "data"):
            found = json.parse(of(raw, summary))
            errors = [issue for issue in structure.check(found) if issue.severity == "error"]
            # Rules about several elements, and references to what is contained, may need what was left out.
            left = [issue for issue in errors if issue.code != "invariant" and "contained" not in issue.text]
            assert left == [], (path.name, summary)
            count += 1
    assert count > 300
