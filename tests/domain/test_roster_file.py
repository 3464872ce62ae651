"""The files employers really send."""

from datetime import date
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.domain.roster import row
from fhir_server.domain.roster_file import Problem, Record, RosterFileError, read
from fhir_server.domain.sentences import sentence

HEADER = "row_id,first_name,last_name,birth_date\n"


def rows(data: bytes) -> list[tuple[int, dict[str, str]] | tuple[int, str]]:
    return [
        (found.line, dict(found.cells)) if isinstance(found, Record) else (found.line, found.code)
        for found in read(BytesIO(data)).records()
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_encodings_and_line_ends(delimiter: str, encoding: str, end: str) -> None:
    table = [
        ["First Name", "LAST_NAME", "Birth-Date"],
        ["José", "Peña", "1980-01-02"],
        ["", "", ""],
        ["Ana", "Li", "x"],
    ]
    data = "".join(delimiter.join(line) + end for line in table).encode(encoding)
    assert rows(data) == [
        (2, {"first_name": "José", "last_name": "Peña", "birth_date": "1980-01-02"}),
        (4, {"first_name": "Ana", "last_name": "Li", "birth_date": "x"}),
    ]
    codes = [note.code for note in read(BytesIO(data)).notes]
    assert codes == (["encoding-guessed"] if encoding == "cp1252" else [])


def test_excel_says_its_delimiter_first() -> None:
    data = b"sep=;\r\nfirst_name;last_name;birth_date\r\nAna;Li;1980-01-02\r\n"
    assert rows(data) == [(3, {"first_name": "Ana", "last_name": "Li", "birth_date": "1980-01-02"})]


def test_quotes_and_line_ends_inside_a_cell_keep_the_count_of_lines() -> None:
    data = HEADER + '1,"Ana ""La"" M.","Li, Jr.",1980-01-02\n2,"two\nlines",Li,1980-01-02\n3,Bo,Li,1980-01-02\n'
    assert [line for line, _ in rows(data.encode())] == [2, 3, 5]
    assert rows(data.encode())[0][1] == {
        "row_id": "1", "first_name": 'Ana "La" M.', "last_name": "Li, Jr.", "birth_date": "1980-01-02"
    }  # fmt: skip


def test_short_and_long_rows() -> None:
    data = HEADER + "1,Ana\n2,Ana,Li,1980-01-02,,\n3,Ana,Li,Jr.,1980-01-02\n"
    assert rows(data.encode()) == [
        (2, {"row_id": "1", "first_name": "Ana"}),
        (3, {"row_id": "2", "first_name": "Ana", "last_name": "Li", "birth_date": "1980-01-02"}),
        (4, "too-many-cells"),
    ]


def test_a_bad_quote_costs_its_row_only() -> None:
    data = HEADER + '1,"Ana"x,Li,1980-01-02\n2,Bo,Li,1980-01-02\n'
    assert [row[1] if isinstance(row[1], str) else row[0] for row in rows(data.encode())] == ["row-unreadable", 3]


def test_a_quote_that_is_never_closed_is_named_by_the_line_it_opens_on() -> None:
    data = HEADER + '1,Ana,Li,1980-01-02\n2,"Bo,Li,1980-01-02\n3,Cy,Li,1980-01-02\n'
    assert [line for line, _ in rows(data.encode())] == [2, 3]
    assert rows(data.encode())[1] == (3, "row-unreadable")


def test_unknown_columns_are_noted_and_unused() -> None:
    data = b"first_name,last_name,birth_date,Department,\nAna,Li,1980-01-02,ICU,\n"
    assert read(BytesIO(data)).notes == (Problem(1, "department", "unknown-column", "warning", {"name": "department"}),)
    assert rows(data) == [(2, {"first_name": "Ana", "last_name": "Li", "birth_date": "1980-01-02"})]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-file"),
        (b"\xef\xbb\xbf", "empty-file"),
        (b"\n\n", "empty-file"),
        (b"Ana,Li,1980-01-02\n", "header-missing"),
        (b'"unclosed\n', "header-missing"),
        (b"first_name,last_name\nAna,Li\n", "column-missing"),
        (b"first_name,first_name,last_name,birth_date\n", "column-repeated"),
        (b"PK\x03\x04rest", "spreadsheet"),
        ("first_name\n".encode("utf-16"), "utf-16"),
        (b"first_name,last_name,birth_date\nAna\x81,Li,1980-01-02\n", "encoding-unknown"),
    ],
)
def test_files_that_are_no_roster(data: bytes, code: str) -> None:
    with pytest.raises(RosterFileError) as error:
        read(BytesIO(data))
    assert error.value.code == code


def test_a_line_that_is_no_row() -> None:
    with pytest.raises(RosterFileError, match="line-too-long"):
        rows(HEADER.encode() + b"a" * (1 << 20))


def test_a_header_alone_is_a_roster_of_nobody() -> None:
    assert rows(HEADER.encode()) == []


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_whatever_is_sent_the_answer_is_rows_or_a_reason(data: bytes) -> None:
    for content in (data, HEADER.encode() + data):
        try:
            file = read(BytesIO(content))
        except RosterFileError:
            continue
        last = 0
        for found in file.records():
            assert found.line > last
            last = found.line
            if isinstance(found, Record):
                usable, problems = row(found, date(2021, 1, 14))
                assert (usable is None) == any(problem.severity == "error" for problem in problems)
                for problem in problems:
                    assert sentence("roster", problem.code, "es", problem.details)
