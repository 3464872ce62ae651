"""Lines of CSV and NDJSON: people, problems, repeats."""

import json
from datetime import date
from io import BytesIO
from typing import Any

import pytest

from fhir_server.domain.roster_file import RosterFileError
from fhir_server.operations.rosters.lines import File, Line, TooManyRowsError

TODAY = date(2021, 1, 14)
HEADER = "row_id,first_name,last_name,birth_date\n"


def lines(body: bytes, media_type: str) -> list[Line]:
    return list(File(BytesIO(body), media_type).lines(TODAY))


def csv(text: str) -> list[tuple[int, str | None, list[str]]]:
    found = lines((HEADER + text).encode(), "text/csv")
    return [(line.number, line.row_id, [problem.code for problem in line.problems]) for line in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,Ana,Li,1980-01-02\n1,Ana,Li,1980-01-02\n", [(2, "1", []), (3, "1", ["repeated-row"])]),
        ("1,Ana,Li,1980-01-02\n1,Bo,Ruiz,1980-01-02\n", [(2, "1", []), (3, "1", ["row-id-repeated"])]),
        ("1,Ana,Li,1980-01-02\n2,Ana,Li,1980-01-02\n", [(2, "1", []), (3, "2", ["possible-duplicate"])]),
        (",Ana,Li,1980-01-02\n,ANA,LÍ,01/02/1980\n", [(2, None, []), (3, None, ["repeated-row"])]),
        ("1,Ana,Li,1980-01-02\n,Ana,Li,1980-01-02\n", [(2, "1", []), (3, None, ["repeated-row"])]),
        (",Ana,Li,1980-01-02\n1,Ana,Li,1980-01-02\n", [(2, None, []), (3, "1", ["repeated-row"])]),
        (
            "1,Ana,Li,1980-01-02\n2,Ana,Li,1980-01-02\n2,Ana,Li,1980-01-02\n",
            [(2, "1", []), (3, "2", ["possible-duplicate"]), (4, "2", ["repeated-row"])],
        ),
        ("1,,Li,1980-01-02\n1,Ana,Li,1980-01-02\n", [(2, "1", ["value-missing"]), (3, "1", [])]),
    ],
)
def test_repeats(text: str, expected: list[tuple[int, str | None, list[str]]]) -> None:
    assert csv(text) == expected


def test_refused_lines_keep_their_row_id_and_have_no_person() -> None:
    [line] = lines((HEADER + "9,Ana,Li,never\n").encode(), "text/csv")
    assert (line.row_id, line.row, line.patient) == ("9", None, None)


def test_the_limit() -> None:
    text = HEADER + "".join(f"{number},A{number},Li,1980-01-02\n" for number in range(5))
    file = File(BytesIO(text.encode()), "text/csv")
    assert file.count(5) == 5
    with pytest.raises(TooManyRowsError):
        file.count(4)
    assert [line.number for line in file.lines(TODAY)] == [2, 3, 4, 5, 6]


def person(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "theirs",
        "identifier": [{"system": "urn:mrn", "value": "m1"}],
        "name": [{"use": "nickname", "given": ["A"]}, {"use": "official", "family": "Li", "given": ["Ana", "Luz"]}],
        "birthDate": "1980-01-02",
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}],
    } | more


def ndjson(*values: Any) -> list[Any]:
    body = b"\n\n".join(value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)
    return lines(body, "application/fhir+ndjson")


def test_a_patient_a_line() -> None:
    [line] = ndjson(person())
    assert line.row is not None
    assert (line.number, line.row_id, line.row.given, line.row.family) == (1, "urn:mrn|m1", ("Ana", "Luz"), "Li")
    kept = person()
    del kept["id"]
    assert line.patient == kept


def test_the_employee_number_is_the_row_id() -> None:
    number = {"type": {"coding": [{"code": "EI"}]}, "value": "77"}
    [line] = ndjson(person(identifier=[{"system": "urn:mrn", "value": "m1"}, number]))
    assert line.row_id == "77"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"{", "not-a-patient"),
        (b'{"resourceType":"Patient","resourceType":"Patient"}', "not-a-patient"),
        ({"resourceType": "Observation"}, "not-a-patient"),
        (person(gender="robot"), "not-a-patient"),
        (person(birthDate="1980"), "birth-date-format"),
        (person(name=[{"text": "Ana Li"}]), "value-missing"),
        (person(birthDate="2021-01-15"), "birth-date-future"),
    ],
)
def test_lines_that_are_refused(value: Any, code: str) -> None:
    first, second = ndjson(value, person())
    assert first.row is None
    assert first.problems[0].code == code
    assert (second.number, second.row is not None) == (3, True)


def test_nothing_sent() -> None:
    with pytest.raises(RosterFileError):
        File(BytesIO(b"\n"), "application/fhir+ndjson").count(100)


def test_a_line_longer_than_any_patient() -> None:
    body = b"{}\n" + b" " * 2_000_001 + b"{}\n"
    with pytest.raises(RosterFileError, match="line-too-long"):
        lines(body, "application/fhir+ndjson")
