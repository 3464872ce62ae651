"""Primitives: is a JSON value a well-formed boolean, date, code, uri ... of R4.

https://hl7.org/fhir/R4/datatypes.html#primitive

A checker takes a JSON value and returns None, or the Fault it has. The
specification's regular expressions are tightened where its text says more: dates exist in the calendar, numbers fit
their range. Base64 has a check of its own because the published expression takes exponential time.
"""

import binascii
import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from profiles.issue import Severity


class Fault(NamedTuple):
    """What is wrong with one value: the issue's code, our detail code, a sentence, and whether it invalidates."""

    code: str
    detail: str
    text: str
    severity: Severity = "error"


Checker = Callable[[Any], Fault | None]

KINDS = {dict: "an object", list: "an array", type(None): "null"}
MAX_STRING = 1024 * 1024

_DATE = r"(?!0000)([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_is_date = re.compile(f"{_DATE})?)?").fullmatch
_is_date_time = re.compile(f"{_DATE}(?:T{_TIME}{_ZONE})?)?)?").fullmatch
_is_instant = re.compile(rf"{_DATE}T{_TIME}{_ZONE}))").fullmatch
_is_text = re.compile(r"[\t\n\r ]*[^\x00-\x20][^\x00-\x08\x0b\x0c\x0e-\x1f]*").fullmatch


def shown(value: Any) -> str:
    """A JSON value in a sentence: strings and numbers in short, objects, arrays and null by their kind."""
    if type(value) is str:
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}..."'
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int and value.bit_length() > 200:
        return "a very large number"
    return KINDS.get(type(value)) or f"the number {value!s:.60}"


def wrong_kind(value: Any, type_name: str, wanted: str) -> Fault:
    """The fault of a value whose JSON kind does not fit the type."""
    if value is None:
        text = f"null stands where {type_name} ({wanted}) belongs; leave the member out."
        return Fault("structure", "null-value", text)
    if value == "" and type(value) is str:
        return Fault("value", "empty-value", f"An empty string stands where {type_name} belongs; leave the member out.")
    return Fault("structure", "wrong-json-type", f"JSON writes {type_name} as {wanted}; found {shown(value)}.")


def _malformed(value: str, type_name: str, form: str) -> Fault:
    if not value:
        return wrong_kind(value, type_name, "a string")
    return Fault("value", "invalid-format", f"{shown(value)} is not a valid {type_name}: {form}.")


def _boolean(value: Any) -> Fault | None:
    return None if value is True or value is False else wrong_kind(value, "boolean", "true or false")


def _decimal(value: Any) -> Fault | None:
    if type(value) is int:
        return None
    if type(value) is Decimal and value.is_finite():
        return None
    return wrong_kind(value, "decimal", "a number")


def _whole(type_name: str, least: int) -> Checker:
    most = 2**31 - 1

    def check(value: Any) -> Fault | None:
        if type(value) is not int:
            return wrong_kind(value, type_name, "a whole number")
        if least <= value <= most:
            return None
        return Fault(
            "value", "out-of-range", f"{shown(value)} is not a valid {type_name}: it lies in {least} to {most}."
        )

    return check


def _text(type_name: str) -> Checker:
    def check(value: Any) -> Fault | None:
        if type(value) is not str:
            return wrong_kind(value, type_name, "a string")
        if _is_text(value) and len(value) <= MAX_STRING:
            return None
        if len(value) > MAX_STRING:
            return Fault(
                "too-long", "too-long", f"A {type_name} has at most {MAX_STRING} characters; this has {len(value)}."
            )
        return _malformed(
            value, type_name, "it has visible characters, and no control characters but tab and line ends"
        )

    return check


def _matching(type_name: str, pattern: str, form: str) -> Checker:
    matches = re.compile(pattern).fullmatch

    def check(value: Any) -> Fault | None:
        if type(value) is not str:
            return wrong_kind(value, type_name, "a string")
        return None if matches(value) else _malformed(value, type_name, form)

    return check


def _dated(type_name: str, matches: Callable[[str], re.Match[str] | None], form: str) -> Checker:
    def check(value: Any) -> Fault | None:
        if type(value) is not str:
            return wrong_kind(value, type_name, "a string")
        match = matches(value)
        if match is None:
            return _malformed(value, type_name, form)
        year, month, day = match.groups()
        if day is None or day < "29" or int(day) <= monthrange(int(year), int(month))[1]:
            return None
        return Fault("value", "invalid-date", f"{shown(value)} names a day that the calendar does not have.")

    return check


def _base64(value: Any) -> Fault | None:
    if type(value) is not str:
        return wrong_kind(value, "base64Binary", "a string")
    data = "".join(value.split())
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return _malformed(value, "base64Binary", "it is base64 (RFC 4648) with padding")
    return None if data else _malformed(value, "base64Binary", "it has content")


_VISIBLE = r"[^\x00-\x20\x7f]+"
_NO_SPACE = "it has neither white space nor control characters"

CHECKERS: dict[str, Checker] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _matching("canonical", _VISIBLE, _NO_SPACE),
    "code": _matching("code", f"{_VISIBLE}( {_VISIBLE})*", "its only white space is single spaces inside"),
    "date": _dated("date", _is_date, "it is written YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": _dated(
        "dateTime", _is_date_time, "it is written YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or +zz:zz"
    ),
    "decimal": _decimal,
    "id": _matching("id", r"[A-Za-z0-9.-]{1,64}", "it has 1 to 64 letters (A-Z, a-z), digits, hyphens and dots"),
    "instant": _dated("instant", _is_instant, "it is written YYYY-MM-DDThh:mm:ss with Z or +zz:zz"),
    "integer": _whole("integer", -(2**31)),
    "markdown": _text("markdown"),
    "oid": _matching("oid", r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+", "it is written urn:oid:1.2.3"),
    "positiveInt": _whole("positiveInt", 1),
    "string": _text("string"),
    "time": _matching("time", _TIME, "it is written hh:mm:ss"),
    "unsignedInt": _whole("unsignedInt", 0),
    "uri": _matching("uri", _VISIBLE, _NO_SPACE),
    "url": _matching("url", _VISIBLE, _NO_SPACE),
    "uuid": _matching(
        "uuid",
        "urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "it is written urn:uuid: and lower-case hex digits",
    ),
}
"""By primitive type; xhtml has its own in narrative.py."""
