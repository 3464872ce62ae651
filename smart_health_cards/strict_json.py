"""JSON read strictly: no duplicate names, byte order mark, NaN, lone surrogates or bottomless nesting.

https://www.rfc-editor.org/rfc/rfc8259
"""

import json
from typing import Any, NoReturn

from smart_health_cards.error import CardError

__all__ = ["minify", "parse"]


def minify(value: Any) -> bytes:
    """UTF-8 JSON without optional white space; CardError when a text holds half of a surrogate pair."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise CardError("json-lone-surrogate", "A text holds a broken character (half of a surrogate pair).") from None


def parse(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `data`; CardError whose text calls it `what` ("The payload") when it is anything else."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise CardError("json-bom", f"{what} begins with a byte order mark.")
    try:
        text = data.decode("utf-8").strip(_WHITE_SPACE)
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        raise CardError("json-invalid", f"{what} is not well-formed JSON.") from None
    if end != len(text):
        raise CardError("json-invalid", f"{what} goes on after the end of its JSON.")
    if not isinstance(value, dict):
        raise CardError("json-not-object", f"{what} is not a JSON object.")
    if b"\\u" in data:
        minify(value)
    return value


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise CardError("json-duplicate-name", "A JSON object gives the same name twice.")
    return value


def _no_constant(literal: str) -> NoReturn:
    raise ValueError(literal)


_WHITE_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
