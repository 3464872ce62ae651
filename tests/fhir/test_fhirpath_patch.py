import re
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from fhir_server.fhir import fhirpath_patch, json
from fhir_server.fhir.outcome import FhirError
from fhir_server.fhir.xml import from_xml

FILE = Path(__file__).parents[3] / "shared" / "data" / "fhir-patch" / "fhir-patch-tests.xml"
ET.register_namespace("", "http://hl7.org/fhir")


def cases() -> list[Any]:
    if not FILE.is_file():
        return [pytest.param(None, marks=pytest.mark.skip("the official patch cases are not on this machine"))]
    root = ET.parse(FILE).getroot()
    return [pytest.param(case, id=case.get("name", "")) for case in root.iter("case")]


def resource(case: ET.Element, part: str) -> dict[str, Any]:
    found = case.find(part)
    assert found is not None
    return json.parse(from_xml(ET.tostring(found[0], encoding="utf-8")))


def spaced(value: Any) -> Any:
    """The narrative's white space has no meaning; the official cases differ in it."""
    if "text" in value:
        value["text"]["div"] = re.sub(r"\s*(<[^>]*>)\s*", r"\1", re.sub(r"\s+", " ", value["text"]["div"]))
    return value


@pytest.mark.parametrize("case", cases())
def test_official(case: ET.Element) -> None:
    before = resource(case, "input")
    operations = fhirpath_patch.parse(resource(case, "diff"))
    if case.find("error") is not None:
        with pytest.raises(FhirError) as refused:
            fhirpath_patch.apply(before, operations)
        assert refused.value.status == 400
        return
    kept = deepcopy(before)
    assert spaced(fhirpath_patch.apply(before, operations)) == spaced(resource(case, "output"))
    assert before == kept


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"use": "official", "family": "Nowak", "given": ["Ana", "Bea"], "_given": [None, {"id": "b"}]}],
    "birthDate": "1980",
    "_birthDate": {"extension": [{"url": "http://example.org/a", "valueString": "x"}]},
    "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}],
    "deceasedBoolean": False,
}


def parameters(**parts: Any) -> dict[str, Any]:
    given = [
        {"name": name, **value} if isinstance(value, dict) else {"name": name, _kind(name, value): value}
        for name, value in parts.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": given}]}


def _kind(name: str, value: Any) -> str:
    return "valueInteger" if isinstance(value, int) else "valueCode" if name == "type" else "valueString"


def changed(**parts: Any) -> dict[str, Any]:
    return fhirpath_patch.apply(PATIENT, fhirpath_patch.parse(parameters(**parts)))


def refused(**parts: Any) -> tuple[int, str]:
    with pytest.raises(FhirError) as caught:
        changed(**parts)
    return caught.value.status, caught.value.issues[0].detail


def test_a_deleted_primitive_takes_its_extensions_along() -> None:
    after = changed(type="delete", path="Patient.birthDate")
    assert "birthDate" not in after
    assert "_birthDate" not in after


def test_arrays_of_primitives_stay_aligned() -> None:
    after = changed(type="delete", path="Patient.name[0].given[0]")
    assert after["name"][0]["given"] == ["Bea"]
    assert after["name"][0]["_given"] == [{"id": "b"}]
    after = changed(type="insert", path="Patient.name[0].given", index=0, value={"valueString": "Eva"})
    assert after["name"][0]["given"] == ["Eva", "Ana", "Bea"]
    assert after["name"][0]["_given"] == [None, None, {"id": "b"}]
    after = changed(type="move", path="Patient.name[0].given", source=1, destination=0)
    assert after["name"][0]["given"] == ["Bea", "Ana"]
    assert after["name"][0]["_given"] == [{"id": "b"}, None]
    after = changed(type="replace", path="Patient.name[0].given[1]", value={"valueString": "Eva"})
    assert after["name"][0]["given"] == ["Ana", "Eva"]
    assert "_given" not in after["name"][0]


def test_a_choice_takes_the_type_of_its_value() -> None:
    after = changed(type="replace", path="Patient.deceased", value={"valueDateTime": "2020-01-01"})
    assert "deceasedBoolean" not in after
    assert after["deceasedDateTime"] == "2020-01-01"
    wrong = {"valueQuantity": {"value": 1}}
    assert refused(type="replace", path="Patient.deceased", value=wrong) == (400, "wrong-type")


def test_an_extension_of_a_primitive() -> None:
    value = {"valueExtension": {"url": "http://example.org/b", "valueCode": "y"}}
    part = {"part": [{"name": "url", "valueUri": "http://example.org/b"}, {"name": "value", "valueCode": "y"}]}
    for content in (value, part):
        after = changed(type="add", path="Patient.birthDate", name="extension", value=content)
        assert [each["url"] for each in after["_birthDate"]["extension"]] == [
            "http://example.org/a",
            "http://example.org/b",
        ]
        assert after["birthDate"] == "1980"
    after = changed(type="delete", path="Patient.birthDate.extension('http://example.org/a')")
    assert after["birthDate"] == "1980"
    assert "_birthDate" not in after
    after = changed(type="add", path="Patient.name[0].given[0]", name="extension", value=value)
    assert after["name"][0]["_given"][0] == {"extension": [value["valueExtension"]]}


def test_numbers_keep_their_digits() -> None:
    observation = json.parse(
        b'{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":1.10}}'
    )
    change = parameters(type="replace", path="Observation.status", value={"valueCode": "amended"})
    after = fhirpath_patch.apply(observation, fhirpath_patch.parse(change))
    assert str(after["valueQuantity"]["value"]) == "1.10"
    assert isinstance(after["valueQuantity"]["value"], Decimal)


def test_deleting_nothing_changes_nothing() -> None:
    assert changed(type="delete", path="Patient.maritalStatus") == PATIENT


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"type": "delete", "path": "Patient.colour"}, (400, "invalid-path")),
        ({"type": "delete", "path": "Patient.identifier"}, (400, "several-elements")),
        ({"type": "delete", "path": "Patient"}, (400, "whole-resource")),
        ({"type": "delete", "path": "Observation.status"}, (400, "invalid-path")),
        ({"type": "replace", "path": "Patient.gender", "value": {"valueCode": "male"}}, (400, "no-element")),
        (
            {"type": "replace", "path": "Patient", "value": {"resource": {"resourceType": "Patient"}}},
            (400, "whole-resource"),
        ),
        (
            {"type": "add", "path": "Patient", "name": "birthDate", "value": {"valueDate": "1990"}},
            (400, "element-present"),
        ),
        (
            {"type": "add", "path": "Patient", "name": "birthdate", "value": {"valueDate": "1990"}},
            (400, "unknown-element"),
        ),
        ({"type": "add", "path": "Patient", "name": "active", "value": {"valueString": "true"}}, (400, "wrong-type")),
        ({"type": "add", "path": "Patient", "name": "contact", "value": {}}, (400, "missing-part")),
        (
            {"type": "insert", "path": "Patient.identifier", "index": 3, "value": {"valueIdentifier": {"value": "3"}}},
            (400, "no-position"),
        ),
        (
            {"type": "insert", "path": "Patient.gender", "index": 0, "value": {"valueCode": "male"}},
            (400, "not-a-list"),
        ),
        ({"type": "move", "path": "Patient.identifier", "source": 2, "destination": 0}, (400, "no-position")),
        ({"type": "move", "path": "Patient.identifier[0]", "source": 0, "destination": 0}, (400, "invalid-path")),
        ({"type": "move", "path": "Patient.identifier", "source": 0}, (400, "missing-part")),
        ({"type": "add", "path": "Patient", "name": "gender"}, (400, "missing-part")),
        ({"type": "upsert", "path": "Patient"}, (400, "invalid-operation")),
        ({"type": "delete", "path": "Patient.gender", "index": 1}, (400, "invalid-operation")),
        ({"type": "delete", "path": "Patient.name.matches('(a+)+$')"}, (400, "invalid-path")),
    ],
)
def test_refused(parts: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refused(**parts) == expected


def test_each_operation_is_named_where_it_fails() -> None:
    two = parameters(type="delete", path="Patient.gender")
    two["parameter"] += parameters(type="delete", path="Patient.identifier")["parameter"]
    with pytest.raises(FhirError) as caught:
        fhirpath_patch.apply(PATIENT, fhirpath_patch.parse(two))
    assert caught.value.issues[0].expression == ("Parameters.parameter[1]",)
