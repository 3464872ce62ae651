"""Rows: values in their stored form, problems with column and reason, identity."""

from datetime import date

import pytest

from fhir_server.domain.roster import Row, row
from fhir_server.domain.roster_file import Problem, Record

TODAY = date(2021, 1, 14)
GOOD = {"row_id": "7", "first_name": "Ana", "last_name": "Li", "birth_date": "1980-01-02"}


def read(**cells: str) -> tuple[Row | None, tuple[Problem, ...]]:
    return row(Record(2, {key: value for key, value in (GOOD | cells).items() if value}), TODAY)


def good(**cells: str) -> Row:
    found, problems = read(**cells)
    assert found is not None, problems
    return found


def test_every_column() -> None:
    found, problems = read(
        middle_name="María  Luz",
        suffix="Jr.",
        sex="F",
        email="ana@example.org",
        phone="919 555 0100",
        address="1 Main St\nApt 2",
        city="Raleigh",
        state="nc",
        zip="27601",
        county="Wake",
        race="White|Asian",
        ethnicity="hispanic",
        occupation="Registered nurse",
    )
    assert problems == ()
    assert found == Row(
        2, "7", "Li", ("Ana", "María Luz"), date(1980, 1, 2), "Jr.", "female", "ana@example.org", "+19195550100",
        "1 Main St Apt 2", "Raleigh", "NC", "27601", "Wake", ("2106-3", "2028-9"), "2135-2", "Registered nurse",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "problems"),
    [
        ({"first_name": ""}, [("first_name", "value-missing")]),
        ({"last_name": "", "birth_date": ""}, [("last_name", "value-missing"), ("birth_date", "value-missing")]),
        ({"first_name": "-"}, [("first_name", "not-a-name")]),
        ({"birth_date": "1981-02-29"}, [("birth_date", "birth-date-impossible")]),
        ({"birth_date": "2021-01-15"}, [("birth_date", "birth-date-future")]),
        ({"birth_date": "1895-01-13"}, [("birth_date", "birth-date-too-long-ago")]),
        ({"birth_date": "2.1.1980"}, [("birth_date", "birth-date-format")]),
        ({"first_name": "An\x00a"}, [("first_name", "control-character")]),
        ({"city": "A" * 256}, [("city", "value-too-long")]),
        ({"birth_date": "x", "email": "y"}, [("birth_date", "birth-date-format"), ("email", "email-not-understood")]),
    ],
)
def test_refused(cells: dict[str, str], problems: list[tuple[str, str]]) -> None:
    found, met = read(**cells)
    assert found is None
    assert [(problem.column, problem.code) for problem in met] == problems


@pytest.mark.parametrize(
    ("column", "value"),
    [("sex", "7"), ("email", "nope"), ("phone", "12"), ("zip", "2760"), ("race", "?"), ("ethnicity", "?")],
)
def test_what_a_person_can_do_without_is_left_out_with_a_warning(column: str, value: str) -> None:
    found, problems = read(**{column: value})
    assert found == good()
    assert [(problem.column, problem.code, problem.severity) for problem in problems] == [
        (column, f"{column}-not-understood", "warning")
    ]


def test_born_today_is_possible() -> None:
    assert good(birth_date="2021-01-14").birth_date == TODAY


def test_formulas_are_text() -> None:
    assert good(last_name="=HYPERLINK(1)").family == "=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("cells", "same"),
    [
        ({"first_name": "ÁNA", "last_name": "LI-"}, True),
        ({"middle_name": "Q"}, True),
        ({"birth_date": "1/2/1980"}, True),
        ({"row_id": ""}, True),
        ({"birth_date": "1980-02-01"}, False),
        ({"first_name": "Anna"}, False),
    ],
)
def test_the_same_person(cells: dict[str, str], same: bool) -> None:
    assert (good(**cells).person == good().person) is same


def test_the_digest_is_of_what_the_row_says_not_where() -> None:
    elsewhere, _ = row(Record(99, GOOD), TODAY)
    assert elsewhere is not None
    assert elsewhere.digest == good().digest != good(email="a@example.org").digest
