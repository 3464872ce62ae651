"""https://hl7.org/fhir/R4/list.html"""

from fhir_server.fhir.lists import current

BASE = "https://example.org/fhir"
LIST = {
    "resourceType": "List",
    "entry": [
        {"item": {"reference": "Patient/1"}},
        {"item": {"reference": "Immunization/i"}},
        {"item": {"reference": f"{BASE}/Patient/2/_history/3"}},
        {"item": {"reference": "https://elsewhere.example/fhir/Patient/3"}},
        {"item": {"reference": "Patient/4"}, "deleted": True},
        {"item": {"reference": "Patient/5"}, "deleted": False},
        {"item": {"display": "somebody"}},
        {"item": {"identifier": {"value": "6"}}},
    ],
}


def test_current_entries_of_the_type() -> None:
    assert current(LIST, "Patient", BASE) == ["1", "2", "5"]
    assert current(LIST, "Immunization", BASE) == ["i"]
    assert current(LIST, "Group", BASE) == []


def test_an_empty_list_names_nothing() -> None:
    assert current({"resourceType": "List"}, "Patient", BASE) == []
