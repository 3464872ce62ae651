"""A roster as a CSV file: its encoding, delimiter and header, and its records one by one.

https://www.rfc-editor.org/rfc/rfc4180
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

REQUIRED = ("first_name", "last_name", "birth_date")
COLUMNS = (
    "row_id",
    *REQUIRED,
    "middle_name",
    "suffix",
    "sex",
    "email",
    "phone",
    "address",
    "city",
    "state",
    "zip",
    "county",
    "race",
    "ethnicity",
    "occupation",
)

_DELIMITERS = (",", ";", "\t")
_CHUNK = 1 << 20
_HEADER_LIMIT = 1 << 16
_LINE_LIMIT = 1 << 20
_UNUSED_IN_CP1252 = b"\x81\x8d\x8f\x90\x9d"
_NOT_TEXT = (
    (b"PK\x03\x04", "spreadsheet"),
    (b"\xd0\xcf\x11\xe0", "spreadsheet"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


class RosterFileError(ValueError):
    """The file as a whole cannot be read: nothing of it is used. `code` is stable, `details` fill its sentence."""

    def __init__(self, code: str, **details: str) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one row, or with the file where `line` is 1. A warning leaves the value out, an error the
    row. `column` is the column's name, None where the whole row is meant."""

    line: int
    column: str | None
    code: str
    severity: str = "error"
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one row by column name, stripped, without the empty ones. `line` is where it begins in the file."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RosterFile:
    """A file whose header has been understood. `encoding` is `utf-8` or `windows-1252`, the latter a guess."""

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    notes: tuple[Problem, ...]
    _content: BinaryIO = field(repr=False)
    _header_lines: int

    def records(self) -> Iterator[Record | Problem]:
        """Every row that is not blank, or what is wrong with it; read as it is asked for, never all at once.

        From the beginning each time; one reading at a time. RosterFileError at a line that is longer than any row.
        """
        with _text(self._content, self.encoding) as text:
            for _ in range(self._header_lines):
                text.readline()
            reader = csv.reader(_bounded(text), delimiter=self.delimiter, strict=True)
            while True:
                line = self._header_lines + reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    yield Problem(line, None, "row-unreadable")
                    continue
                values = [cell.strip() for cell in cells]
                if any(values):
                    yield self._record(line, values)

    def _record(self, line: int, values: list[str]) -> Record | Problem:
        if any(values[len(self.columns) :]):
            details = {"found": str(len(values)), "expected": str(len(self.columns))}
            return Problem(line, None, "too-many-cells", details=details)
        cells = {column: value for column, value in zip(self.columns, values, strict=False) if value}
        return Record(line, {column: cells[column] for column in COLUMNS if column in cells})


def read(content: BinaryIO) -> RosterFile:
    """The file's shape, from its first lines and bytes. RosterFileError where it is no roster."""
    content.seek(0)
    start = content.read(4)
    for beginning, code in _NOT_TEXT:
        if start.startswith(beginning):
            raise RosterFileError(code)
    encoding = _encoding(content)
    with _text(content, encoding) as text:
        line, count = _header(text)
    names, delimiter = max(
        ((_names(line, delimiter), delimiter) for delimiter in _DELIMITERS),
        key=lambda choice: len(set(choice[0]) & set(COLUMNS)),
    )
    columns = _columns(names)
    notes = [
        Problem(1, name or None, "unknown-column", "warning", {"name": name})
        for name in columns
        if name and name not in COLUMNS
    ]
    if encoding != "utf-8":
        notes.insert(0, Problem(1, None, "encoding-guessed", "warning", {"encoding": encoding}))
    return RosterFile(encoding, delimiter, columns, tuple(notes), content, count)


def _header(text: io.TextIOWrapper) -> tuple[str, int]:
    """The header line, and which line it is."""
    line, count = text.readline(_HEADER_LIMIT), 1
    # Excel writes the delimiter into a line of its own where the country's is not the comma.
    while line and (not line.strip(" \t\r\n,;") or line.lower().startswith("sep=")):
        line, count = text.readline(_HEADER_LIMIT), count + 1
    if not line:
        raise RosterFileError("empty-file")
    return line, count


def _columns(names: list[str]) -> tuple[str, ...]:
    if not set(names) & set(COLUMNS):
        raise RosterFileError("header-missing", required=", ".join(REQUIRED))
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise RosterFileError("column-missing", columns=", ".join(missing))
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise RosterFileError("column-repeated", columns=", ".join(repeated))
    return tuple(names)


def _names(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter))
    except csv.Error:
        return []
    return ["_".join(cell.casefold().replace("-", " ").replace("_", " ").split()) for cell in cells]


@contextmanager
def _text(content: BinaryIO, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file as text, from its beginning."""
    content.seek(0)
    text = io.TextIOWrapper(content, encoding="utf-8-sig" if encoding == "utf-8" else "cp1252", newline="")
    try:
        yield text
    finally:
        # Else it would close the file, too. (Where reading was given up half-way, the file may be closed already.)
        if not content.closed:
            text.detach()


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LINE_LIMIT):
        if len(line) == _LINE_LIMIT:
            raise RosterFileError("line-too-long")
        yield line


def _encoding(content: BinaryIO) -> str:
    """`utf-8` where every byte fits, else `windows-1252`: what spreadsheets on Windows write."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in _chunks(content):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        if any(byte in chunk for chunk in _chunks(content) for byte in _UNUSED_IN_CP1252):
            raise RosterFileError("encoding-unknown") from None
        return "windows-1252"
    return "utf-8"


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    content.seek(0)
    while chunk := content.read(_CHUNK):
        yield chunk
