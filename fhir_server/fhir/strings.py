"""Strings: names, addresses and other text, as index keys.

https://hl7.org/fhir/R4/search.html#string

A text is indexed folded, then the separator, then as written: `smith␟Smith`. A search looks for the beginning of that
key, `:exact` for the whole. Names of persons are found by each of their words: `garcia lopez␟García-López` and `lopez`.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from fhir_server.fhir.condition import SEPARATOR
from fhir_server.fhir.keys import LENGTH, escape, normalise
from fhir_server.fhir.params import Parameter

_HYPHENS = str.maketrans(dict.fromkeys("-\u2010\u2012\u2013", " "))
_WORDS = 10
"""Words of a name by which it is found; the rest belongs to the last of them."""

_NAME = ("family", "given", "prefix", "suffix", "text")
_ADDRESS = ("line", "city", "district", "state", "postalCode", "country", "text")


def reader(type_name: str) -> Callable[[Any], list[str]] | None:
    """A function from a value of this FHIR type to its texts as written; None where the type is no text."""
    return _READERS.get(type_name)


def folded(text: str) -> str:
    """The text a string is searched by, at most LENGTH characters of it; a hyphen parts words as a space does."""
    found = normalise(text)
    if "-" in found or not found.isascii():
        found = " ".join(found.translate(_HYPHENS).split()) or found
    return escape(found[:LENGTH])


def further(key: str) -> list[str]:
    """What a folded text is also found by: from its second word on, from its third ..."""
    words = key.split(" ", _WORDS)
    return [" ".join(words[start:]) for start in range(1, len(words))]


def is_name(parameter: Parameter) -> bool:
    """Whether the parameter searches names of persons, or parts of them."""
    return any(each.type == "HumanName" for each in parameter.branches) or parameter.expression.endswith(
        (".name.family", ".name.given")
    )


@lru_cache(maxsize=4096)
def whole(text: str) -> str:
    """The key of a text: folded and as written; what goes beyond LENGTH counts by its SHA-256."""
    written = text
    if len(text) > LENGTH:
        written = f"{text[:LENGTH]}{hashlib.sha256(text.encode()).hexdigest()}"
    return f"{folded(text)}{SEPARATOR}{escape(written)}"


def folded_key(key: str) -> str:
    """The part of an entry that searches look for the beginning of: `family␟smith` of `family␟smith␟Smith`."""
    head = key.rpartition(SEPARATOR)[0]
    return head if SEPARATOR in head else key


def _text(value: Any) -> list[str]:
    return [value] if type(value) is str else []


def _parts(names: tuple[str, ...]) -> Callable[[Any], list[str]]:
    def read(value: Any) -> list[str]:
        found: list[str] = []
        for name in names:
            part = value.get(name) if type(value) is dict else None
            if type(part) is str:
                found.append(part)
            elif type(part) is list:
                found += [text for text in part if type(text) is str]
        return found

    return read


_READERS: Mapping[str, Callable[[Any], list[str]]] = {
    "string": _text,
    "markdown": _text,
    "HumanName": _parts(_NAME),
    "Address": _parts(_ADDRESS),
}
