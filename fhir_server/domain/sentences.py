"""Sentences for people, whole and by language: a key and the values of its gaps in, a sentence out.

https://hl7.org/fhir/R4/languages.html
"""

from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any

LANGUAGES = ("en", "es")


def sentence(family: str, key: str, language: str, details: Mapping[str, object]) -> str:
    """The sentence of a family (`eligibility`, `roster`) in that language, English where it is none of ours.
    Days are written out; other values stand as they are. KeyError for an unknown key or a gap without value."""
    catalogue = _catalogue(language if language in LANGUAGES else "en")
    values = {name: day(value, language) if isinstance(value, date) else value for name, value in details.items()}
    template: str = catalogue[family][key]
    return template.format_map(values)


def day(value: date, language: str) -> str:
    """A calendar day as people write it: January 14, 2021; 14 de enero de 2021."""
    catalogue = _catalogue(language if language in LANGUAGES else "en")
    pattern: str = catalogue["day"]
    return pattern.format(day=value.day, month=catalogue["months"][value.month - 1], year=value.year)


@cache
def _catalogue(language: str) -> Mapping[str, Any]:
    path = files("fhir_server.domain") / "data" / "sentences" / f"{language}.json"
    found: dict[str, Any] = loads(path.read_bytes())
    return found
