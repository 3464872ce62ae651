"""Members: joining, staying, leaving, coming back."""

from datetime import date
from typing import Any

from fhir_server.operations import vocabulary
from fhir_server.operations.rosters.members import Members, Seat, ended, seated

BASE = "http://localhost/fhir"
DAY = date(2021, 1, 14)
LATER = date(2021, 2, 1)


def members(*listed: dict[str, Any], today: date = DAY) -> Members:
    found = Members(today)
    for member in listed:
        found.add(member, BASE)
    return found


def seat(patient: str, row_id: str | None = "1", digest: str = "d", occupation: str | None = None) -> Seat:
    return Seat(f"Patient/{patient}", row_id, f"person-{patient}", digest, occupation)


def test_joining_and_being_known_again() -> None:
    joined = [seated(each, None, DAY) for each in (seat("a"), seat("b", None))]
    assert [member["period"] for member in joined] == [{"start": "2021-01-14"}] * 2
    known = members(*joined)
    assert known.count == 2
    assert known.by_row == {"1": ("Patient/a", "d")}
    assert known.by_person == {"person-a": [("Patient/a", "1", "d")], "person-b": [("Patient/b", None, "d")]}
    assert known.strangers == []
    assert seated(seat("a"), joined[0], LATER) is joined[0]


def test_what_a_row_says_anew_keeps_the_membership() -> None:
    joined = seated(seat("a"), None, DAY)
    changed = seated(seat("a", digest="new", occupation="Grocery store"), joined, LATER)
    assert changed["period"] == {"start": "2021-01-14"}
    [extension] = changed["extension"]
    occupation = extension["extension"][-1]["valueCodeableConcept"]
    assert occupation == {"coding": [{"system": vocabulary.OCCUPATION, "code": "grocery"}], "text": "Grocery store"}


def test_leaving_and_coming_back() -> None:
    joined = seated(seat("a"), None, DAY)
    left = ended(joined, LATER)
    assert (left["entity"], left["inactive"]) == ({"reference": "Patient/a"}, True)
    assert left["period"] == {"start": "2021-01-14", "end": "2021-02-01"}
    assert ended(left, LATER) is left
    assert members(left, today=LATER).by_row == {"1": ("Patient/a", "")}
    back = seated(seat("a"), left, LATER)
    assert "inactive" not in back
    assert back["period"] == {"start": "2021-02-01"}


def test_members_nobody_uploaded_are_strangers_whatever_their_reference_looks_like() -> None:
    plain: dict[str, Any] = {
        "entity": {"reference": f"{BASE}/Patient/a"},
        "extension": [{"url": "urn:x", "valueString": "kept"}],
    }
    known = members(plain)
    assert known.strangers == ["Patient/a"]
    assert known.written == {"Patient/a": f"{BASE}/Patient/a"}
    taken = seated(seat("a"), plain, DAY)
    assert taken["entity"] == plain["entity"]
    assert taken["extension"][0] == plain["extension"][0]
