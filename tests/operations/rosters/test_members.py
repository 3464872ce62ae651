"""Members: joining, staying, leaving, coming back."""

from datetime import date
from typing import Any

from fhir_server.operations import vocabulary
from fhir_server.operations.rosters.members import Members, Seat

BASE = "http://localhost/fhir"
DAY = date(2021, 1, 14)
LATER = date(2021, 2, 1)


def members(listed: list[dict[str, Any]], today: date = DAY) -> Members:
    found = Members(today)
    for member in listed:
        found.add(member, BASE)
    return found


def seat(patient: str, row_id: str | None = "1", digest: str = "d", occupation: str | None = None) -> Seat:
    return Seat(f"Patient/{patient}", row_id, f"person-{patient}", digest, occupation)


def test_joining_and_being_known_again() -> None:
    joined = members([]).seated([seat("a"), seat("b", None)])
    assert [member["period"] for member in joined] == [{"start": "2021-01-14"}] * 2
    known = members(joined)
    assert known.by_row == {"1": ("Patient/a", "d")}
    assert known.by_person == {"person-a": [("Patient/a", "1", "d")], "person-b": [("Patient/b", None, "d")]}
    assert known.strangers == []
    assert known.seated([seat("a"), seat("b", None)]) == []


def test_what_a_row_says_anew_keeps_the_membership() -> None:
    joined = members([]).seated([seat("a")])
    [changed] = members(joined, LATER).seated([seat("a", digest="new", occupation="Grocery store")])
    assert changed["period"] == {"start": "2021-01-14"}
    [extension] = changed["extension"]
    occupation = extension["extension"][-1]["valueCodeableConcept"]
    assert occupation == {"coding": [{"system": vocabulary.OCCUPATION, "code": "grocery"}], "text": "Grocery store"}


def test_leaving_and_coming_back() -> None:
    joined = members([]).seated([seat("a"), seat("b", "2")])
    [left] = members(joined, LATER).ended({"Patient/b"})
    assert (left["entity"], left["inactive"]) == ({"reference": "Patient/a"}, True)
    assert left["period"] == {"start": "2021-01-14", "end": "2021-02-01"}
    gone = members([left, joined[1]], LATER)
    assert not gone.is_active("Patient/a")
    assert gone.ended({"Patient/b"}) == []
    [back] = gone.seated([seat("a")])
    assert "inactive" not in back
    assert back["period"] == {"start": "2021-02-01"}


def test_members_nobody_uploaded_are_strangers_whatever_their_reference_looks_like() -> None:
    plain: dict[str, Any] = {
        "entity": {"reference": f"{BASE}/Patient/a"},
        "extension": [{"url": "urn:x", "valueString": "kept"}],
    }
    known = members([plain])
    assert known.strangers == ["Patient/a"]
    [seated] = known.seated([seat("a")])
    assert seated["entity"] == plain["entity"]
    assert seated["extension"][0] == plain["extension"][0]
