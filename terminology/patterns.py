"""Patterns: code systems that are a grammar or too large to hold, known by what their codes look like.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

import re
from collections.abc import Mapping

LANGUAGE = "urn:ietf:bcp:47"

PATTERNS: Mapping[str, re.Pattern[str]] = {
    LANGUAGE: re.compile(r"([A-Za-z]{2,8}|[iIxX])(-[A-Za-z0-9]{1,8})*"),
    "urn:ietf:bcp:13": re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*(/[A-Za-z0-9*][A-Za-z0-9!#$&^_.+-]*(\s*;.*)?)?"),
    "urn:iso:std:iso:4217": re.compile(r"[A-Z]{3}"),
    "urn:iso:std:iso:3166": re.compile(r"[A-Z]{2,3}|\d{3}"),
    "urn:iso:std:iso:3166:-2": re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"),
    "http://unitsofmeasure.org": re.compile(r"[\x21-\x7e]+"),
    "https://www.iana.org/time-zones": re.compile(r"[A-Za-z_+\-0-9]+(/[A-Za-z_+\-0-9]+)*"),
}


def fits(system: str, code: str) -> bool | None:
    """Whether the text can be a code of the system; None where nothing is known of its codes."""
    pattern = PATTERNS.get(system)
    return None if pattern is None else pattern.fullmatch(code) is not None
