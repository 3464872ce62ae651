"""Tokens: codes, identifiers and other exact values, as index keys and as search conditions.

https://hl7.org/fhir/R4/search.html#token

A value is indexed as `system|code` and `*|code` (any system), or `|code` and `*|code` where it has no system. Where a
parameter's values never have one (codes, booleans, text: a *plain* parameter) they are indexed as `*|code` only; the
system a query may name for them follows from the element's binding. Codes compare exactly, with case: identifiers and
most code systems tell case apart. ContactPoints compare without it, and telephone numbers without their punctuation.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from fhir_server.fhir.keys import escape, token
from fhir_server.fhir.paths import Branch
from profiles.definitions import value_set

Read = Callable[[Any], list[str]]

_PUNCTUATION = re.compile(r"[\s().\-/]")
_BOOLEAN_SYSTEM = "http://terminology.hl7.org/CodeSystem/special-values"


def is_plain(branches: tuple[Branch, ...]) -> bool:
    """Whether no value of the parameter can have a system of its own."""
    return not any(branch.type in ("Coding", "CodeableConcept", "Identifier") for branch in branches)


def reader(branch: Branch, plain: bool) -> Read | None:
    """A function from a value of the branch's type to its keys; None where the type is no token."""
    if plain:
        return _PLAIN.get(branch.type)
    return _code(branch.value_set) if branch.type == "code" else _READERS.get(branch.type)


def systems(branches: tuple[Branch, ...], code: str) -> set[str]:
    """The systems that `code` belongs to as a value of a plain parameter, by binding; those of any value if empty."""
    found = {_BOOLEAN_SYSTEM} if any(branch.type == "boolean" for branch in branches) else set()
    for branch in branches:
        bound = value_set(branch.value_set) if branch.value_set else None
        found |= {system for system, codes in bound.codes.items() if not code or code in codes} if bound else set()
    return found


def coding(value: Any) -> list[str]:
    """The keys of a Coding."""
    if type(value) is not dict:
        return []
    return _pair(value.get("system"), value.get("code"))


def codeable_concept(value: Any) -> list[str]:
    """The keys of every Coding of a CodeableConcept."""
    if type(value) is not dict:
        return []
    codings = value.get("coding")
    if type(codings) is not list:
        return []
    return coding(codings[0]) if len(codings) == 1 else [found for entry in codings for found in coding(entry)]


def identifier(value: Any) -> list[str]:
    """The keys of an Identifier."""
    if type(value) is not dict:
        return []
    return _pair(value.get("system"), value.get("value"))


def of_type(value: Any) -> list[str]:
    """The `:of-type` keys of an Identifier: `system|code|value`, the system and code of its type."""
    if type(value) is not dict or type(value.get("value")) is not str:
        return []
    return [
        f"{token(entry['system'], entry['code'])}|{value['value']}"
        for entry in _codings(value.get("type"))
        if type(entry.get("system")) is str and type(entry.get("code")) is str
    ]


def texts(value: Any) -> list[str]:
    """What `:text` searches: display of codings, text of concepts and of an Identifier's type."""
    if type(value) is not dict:
        return []
    found = [value.get("display"), value.get("text"), *(entry.get("display") for entry in _codings(value))]
    if type(value.get("type")) is dict:
        found += texts(value["type"])
    return [text for text in found if type(text) is str and text]


def _codings(value: Any) -> list[dict[str, Any]]:
    codings = value.get("coding") if type(value) is dict else None
    return [entry for entry in codings if type(entry) is dict] if type(codings) is list else []


def contact(text: str) -> str:
    """A telephone number, address of mail or URL as it is compared: folded, numbers without punctuation."""
    folded = text.casefold().strip()
    return folded if "@" in folded or ":" in folded else _PUNCTUATION.sub("", folded)


def _pair(system: Any, code: Any) -> list[str]:
    if type(code) is not str:
        return [token(escape(system), "")] if type(system) is str else []
    code = escape(code)
    if type(system) is not str:
        return [f"|{code}", f"*|{code}"]
    return [token(escape(system), code), f"*|{code}"]


def _text(value: Any) -> list[str]:
    return [f"*|{escape(value)}"] if type(value) is str else []


def _boolean(value: Any) -> list[str]:
    return ["*|true"] if value is True else ["*|false"] if value is False else []


def _contact_point(value: Any) -> list[str]:
    return _text(contact(value["value"])) if type(value) is dict and type(value.get("value")) is str else []


@cache
def _code(canonical: str | None) -> Read:
    """The keys of a code beside values with systems: its own system is the one its required binding gives it."""
    bound = value_set(canonical) if canonical else None
    known = {code: system for system, codes in bound.codes.items() for code in codes} if bound else {}

    def read(value: Any) -> list[str]:
        if type(value) is not str:
            return []
        code, system = escape(value), known.get(value)
        return [f"|{code}", f"*|{code}"] if system is None else [f"|{code}", f"*|{code}", f"{system}|{code}"]

    return read


def _unsystematic(value: Any) -> list[str]:
    return [f"|{escape(value)}", f"*|{escape(value)}"] if type(value) is str else []


_TEXTS = ("string", "uri", "url", "canonical", "id", "oid", "uuid", "markdown")

_PLAIN: Mapping[str, Read] = {
    "ContactPoint": _contact_point,
    "boolean": _boolean,
    **dict.fromkeys(("code", *_TEXTS), _text),
}

_READERS: Mapping[str, Read] = {
    "Coding": coding,
    "CodeableConcept": codeable_concept,
    "Identifier": identifier,
    "boolean": lambda value: [key for plain in _boolean(value) for key in (plain[1:], plain)],
    **dict.fromkeys(_TEXTS, _unsystematic),
}
