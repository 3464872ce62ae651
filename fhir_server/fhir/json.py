"""JSON: strict, lossless reading and writing of resources.

https://hl7.org/fhir/R4/json.html

What comes in goes out to the byte: decimals keep their digits, strings their escapes, members their order. Only white
space between tokens is not kept.
"""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from fhir_server.fhir.outcome import FhirError, refuse

DEPTH = 64
"""Objects and arrays may be nested this deep."""

DIGITS = 4300
"""A number may have this many digits: Python's own limit for integers (FHIR asks for at least 18)."""

EXPONENT = 308
"""A number with a fraction or exponent lies between 1e-308 and 1e308, as everywhere doubles are used."""

_EPOCH = datetime(1970, 1, 1)


class _NumberError(ValueError):
    """A number beyond DIGITS or EXPONENT."""


class _RepeatedError(ValueError):
    """The second member of the same name in one object."""


def _decimal(text: str) -> Decimal:
    if len(text) > DIGITS + 8:
        raise _NumberError(f"{text[:12]}... has too many digits")
    value = Decimal(text)
    if not -EXPONENT <= value.adjusted() <= EXPONENT:
        raise _NumberError(f"{text[:24]} is too large or too small")
    return value


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder(decimal_format="number")


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`; numbers are int or Decimal, never float.

    FhirError 400 where it is no JSON (RFC 8259, UTF-8, no byte order mark), no object, repeats a member, nests deeper
    than DEPTH, holds U+0000 or half a surrogate pair, or a number beyond DIGITS or EXPONENT. The sentence says where.
    """
    try:
        value = _decoder.decode(data)
        text = msgspec.json.format(data, indent=-1)
        # Only text with more than DEPTH openings can nest deeper than DEPTH.
        if text.count(b"{") + text.count(b"[") > DEPTH:
            _refuse_depth(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _NumberError) as error:
        raise _explain(data, error) from None
    if type(value) is not dict:
        raise _malformed("a JSON object is expected at the top level")
    # Every member has one colon. Written again, the value has fewer exactly where a repeated member was dropped:
    # strings hold the same colons in both texts as long as none is written as an escape.
    if b"\\u003" in data or text.count(b":") != _encoder.encode(value).count(b":"):
        _refuse_repeated(data)
    if b"\\u0000" in data:
        _refuse_nul(value)
    return value


def compact(data: bytes) -> bytes:
    """`data` without white space between tokens; every token's bytes are kept. `data` must have been parsed before."""
    return msgspec.json.format(data, indent=-1)


def pretty(data: bytes) -> bytes:
    """`data` indented by two spaces; every token's bytes are kept."""
    return msgspec.json.format(data, indent=2)


def dump(value: Any) -> bytes:
    """Compact JSON of a value made of dict, list, str, int, Decimal, bool, None."""
    return _encoder.encode(value)


def stamp(body: bytes, id: str, version: int, updated: int) -> bytes:
    """`body` (compact, parsed before) with `id`, `meta.versionId` and `meta.lastUpdated` set and every other byte kept.

    `updated` is in microseconds since 1970, UTC. Members keep their order; `id` follows `resourceType`, and `meta`
    follows `id`, where they were absent.
    """
    members = _members.decode(body)
    meta = members.get("meta")
    stamped: dict[str, Any] = _members.decode(meta) if meta is not None else {}
    stamped["versionId"] = str(version)
    stamped["lastUpdated"] = instant(updated)
    if "id" in members and meta is not None:
        return _encoder.encode({**members, "id": id, "meta": stamped})
    found: dict[str, Any] = {}
    for name, value in members.items():
        found[name] = value
        if name == "resourceType" and "id" not in members:
            found["id"] = id
        if name == ("id" if "id" in members else "resourceType") and meta is None:
            found["meta"] = stamped
    return _encoder.encode({**found, "id": id, "meta": stamped})


def instant(us: int) -> str:
    """Microseconds since 1970 as a FHIR instant in UTC: `2026-01-02T03:04:05.678901Z`."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        below: list[Any] = []
        for item in level:
            children = item.values() if type(item) is dict else item
            below += [child for child in children if type(child) is dict or type(child) is list]
        if not below:
            return
        level = below
    raise RecursionError


def _malformed(text: str, *expression: str) -> FhirError:
    return refuse(400, "structure", "malformed-json", f"The body is not acceptable JSON: {text}.", *expression)


def _explain(data: bytes, error: Exception) -> FhirError:
    """Why `data` was refused, with line and column where they are known."""
    if isinstance(error, RecursionError):
        return refuse(400, "structure", "too-deep", f"The body nests objects and arrays deeper than {DEPTH}.")
    if isinstance(error, _NumberError):
        return refuse(400, "value", "number-refused", f"The body holds a number that is not accepted: {error}.")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return _malformed("it starts with a byte order mark; send plain UTF-8")
    try:
        text = data.decode()
    except UnicodeDecodeError as wrong:
        return _malformed(f"byte {wrong.start} is not UTF-8")
    if not text.strip():
        return _malformed("it is empty")
    try:
        json.loads(text, parse_constant=_constant, parse_int=str, parse_float=str)
    except json.JSONDecodeError as wrong:
        return _malformed(f"{wrong.msg[0].lower()}{wrong.msg[1:]}, line {wrong.lineno} column {wrong.colno}")
    except (_NumberError, RecursionError) as wrong:
        return _explain(data, wrong)
    if isinstance(error, msgspec.ValidationError):
        reason = error.__cause__ or "it has too many digits"
        return refuse(400, "value", "number-refused", f"The body holds a number that is not accepted: {reason}.")
    half = re.search(r"\\u[dD][89a-fA-F]", text)
    if half:
        line = text.count("\n", 0, half.start()) + 1
        return _malformed(f"an escape names half a surrogate pair, line {line}")
    return _malformed(str(error).removeprefix("JSON is malformed: "))


def _constant(text: str) -> None:
    raise _NumberError(f"{text} is not JSON")


def _refuse_repeated(data: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _RepeatedError(name)
            seen.add(name)

    try:
        json.loads(data, object_pairs_hook=check)
    except _RepeatedError as error:
        raise refuse(400, "structure", "duplicate-key", f"The body repeats the member {error} in one object.") from None


def _refuse_nul(value: Any, path: str = "") -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise _malformed(f"{path} holds the character U+0000", path)
    elif isinstance(value, dict):
        for name, child in value.items():
            if "\x00" in name:
                raise _malformed(f"a member name in {path or 'the resource'} holds the character U+0000")
            _refuse_nul(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            _refuse_nul(child, f"{path}[{position}]")
