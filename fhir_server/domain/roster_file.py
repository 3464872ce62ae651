"""A roster as a CSV file: its encoding, delimiter and header, and its records one by one.

https://www.rfc-editor.org/rfc/rfc4180
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
    _data: bytes = field(repr=False)
    _header_lines: int

    def records(self) -> Iterator[Record | Problem]:
        """Every row that is not blank, or what is wrong with it; read as it is asked for, never all at once.
        RosterFileError at a line that is longer than any row."""
        text = _text(self._data, self.encoding)
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


def read(data: bytes) -> RosterFile:
    """The file's shape, from its first lines and bytes. RosterFileError where it is no roster."""
    for beginning, code in _NOT_TEXT:
        if data.startswith(beginning):
            raise RosterFileError(code)
    encoding = _encoding(data)
    text = _text(data, encoding)
    line, count = text.readline(_HEADER_LIMIT), 1
    # Excel writes the delimiter into a line of its own where the country's is not the comma.
    while line and (not line.strip(" \t\r\n,;") or line.lower().startswith("sep=")):
        line, count = text.readline(_HEADER_LIMIT), count + 1
    if not line:
        raise RosterFileError("empty-file")
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
    return RosterFile(encoding, delimiter, columns, tuple(notes), data, count)


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


def _text(data: bytes, encoding: str) -> io.TextIOWrapper:
    codec = "utf-8-sig" if encoding == "utf-8" else "cp1252"
    return io.TextIOWrapper(io.BytesIO(data), encoding=codec, newline="")


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LINE_LIMIT):
        if len(line) == _LINE_LIMIT:
            raise RosterFileError("line-too-long")
        yield line


def _encoding(data: bytes) -> str:
    """`utf-8` where every byte fits, else `windows-1252`: what spreadsheets on Windows write."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK):
            decoder.decode(data[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        if any(byte in data for byte in _UNUSED_IN_CP1252):
            raise RosterFileError("encoding-unknown") from None
        return "windows-1252"
    return "utf-8"
