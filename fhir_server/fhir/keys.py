"""Keys: the texts that index entries and conditions share.

https://hl7.org/fhir/R4/search.html
"""

import unicodedata

from fhir_server.fhir.condition import SEPARATOR

LOWEST, HIGHEST = " ", "~"
"""Below and above every bound of a range: the open ends of a Period or Range."""

LENGTH = 1000
"""String keys hold this many characters of a value; `:exact` keys tell longer values apart by their hash."""

_ESCAPE = "␛"


def escape(text: str) -> str:
    """`text` without the separator: no value can pose as another parameter's key."""
    if SEPARATOR in text or _ESCAPE in text:
        return text.replace(_ESCAPE, _ESCAPE + "0").replace(SEPARATOR, _ESCAPE + "1")
    return text


def key(name: str, value: str) -> str:
    """The key of a value under a parameter: `family␟smith`."""
    return f"{name}{SEPARATOR}{escape(value)}"


def token(system: str, code: str) -> str:
    """`system|code`; a bar or star in the system is escaped, so it cannot pose as another system or as any system."""
    if "|" in system or system == "*":
        system = system.replace("|", _ESCAPE + "2").replace("*", _ESCAPE + "3")
    return f"{system}|{code}"


def normalise(text: str) -> str:
    """`text` for comparing without case, accents and differences of white space: NFKD, marks stripped, casefolded,
    spaces collapsed."""
    if not text.isascii():
        # Folded twice: stripping marks and folding case can each bring forth work for the other (İ, ẖ).
        text = _plain(_plain(text).casefold())
    return " ".join(text.casefold().split())


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
