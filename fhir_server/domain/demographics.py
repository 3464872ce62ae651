"""What people write about a person, in the form it is stored and compared: names, dates, telephone, race.

https://hl7.org/fhir/us/core/StructureDefinition-us-core-patient.html
"""

import re
import unicodedata
from datetime import date

_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>,;:\"()\[\]]+@[^\s@<>,;:\"()\[\]]+\.[^\s@.<>,;:\"()\[\]]{2,}")
_EXTENSION = re.compile(r"(?:;ext=|\bext\.?|\bx|#)\s*(\d{1,7})$", re.IGNORECASE | re.ASCII)
_ZIP = re.compile(r"(\d{5})(?:-?(\d{4}))?", re.ASCII)

GENDERS = {
    "f": "female",
    "female": "female",
    "m": "male",
    "male": "male",
    "o": "other",
    "x": "other",
    "other": "other",
    "nonbinary": "other",
    "u": "unknown",
    "unknown": "unknown",
}

RACES = {
    "1002-5": "American Indian or Alaska Native",
    "2028-9": "Asian",
    "2054-5": "Black or African American",
    "2076-8": "Native Hawaiian or Other Pacific Islander",
    "2106-3": "White",
}
"""Codes of the OMB's race categories with their displays."""

ETHNICITIES = {"2135-2": "Hispanic or Latino", "2186-5": "Not Hispanic or Latino"}

_RACE_WORDS = {
    "american indian": "1002-5",
    "alaska native": "1002-5",
    "native american": "1002-5",
    "asian": "2028-9",
    "black": "2054-5",
    "african american": "2054-5",
    "native hawaiian": "2076-8",
    "pacific islander": "2076-8",
    "other pacific islander": "2076-8",
    "white": "2106-3",
    "caucasian": "2106-3",
}

_ETHNICITY_WORDS = {
    "hispanic": "2135-2",
    "latino": "2135-2",
    "latina": "2135-2",
    "hispanic latino": "2135-2",
    "yes": "2135-2",
    "not hispanic": "2186-5",
    "non hispanic": "2186-5",
    "non hispanic or latino": "2186-5",
    "not hispanic latino": "2186-5",
    "no": "2186-5",
}


def comparable(text: str) -> str:
    """Letters and digits alone, without case or accents: `O'Neill-Peña` and `ONEILL PENA` become the same."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed.casefold() if character.isalnum())


def birth_date(text: str) -> date:
    """From `YYYY-MM-DD` or `MM/DD/YYYY`. ValueError: `birth-date-format` or `birth-date-impossible`."""
    iso, us = _ISO_DATE.fullmatch(text), _US_DATE.fullmatch(text)
    if iso is not None:
        year, month, day = map(int, iso.groups())
    elif us is not None:
        month, day, year = map(int, us.groups())
    else:
        raise ValueError("birth-date-format")
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("birth-date-impossible") from None


def gender(text: str) -> str | None:
    """The administrative gender of FHIR, or None where the text is none."""
    return GENDERS.get(comparable(text))


def email(text: str) -> str | None:
    """The address as written, or None where it cannot be one."""
    return text if len(text) <= 254 and _EMAIL.fullmatch(text) else None


def phone(text: str) -> str | None:
    """E.164, with `;ext=` for an extension; North American where no country is given. None where it cannot be one."""
    found = _EXTENSION.search(text)
    main, extension = (text[: found.start()], f";ext={found[1]}") if found else (text, "")
    if re.search(r"[^\d\s().+/-]", main, re.ASCII):
        return None
    digits = re.sub(r"\D", "", main)
    if main.strip().startswith("+"):
        return f"+{digits}{extension}" if 8 <= len(digits) <= 15 and digits[0] != "0" else None
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    # Area codes and exchanges begin with 2 to 9.
    return f"+1{digits}{extension}" if len(digits) == 10 and digits[0] > "1" and digits[3] > "1" else None


def postal_code(text: str) -> str | None:
    """`27601` or `27601-1234`, or None where the text is no ZIP code (a spreadsheet drops leading zeros)."""
    found = _ZIP.fullmatch(text)
    return None if found is None else f"{found[1]}-{found[2]}" if found[2] else found[1]


def races(text: str) -> tuple[str, ...] | None:
    """OMB category codes, from codes or names with `;` or `|` between several; None where a part is none of them."""
    parts = [part for part in re.split(r"[;|]", text) if part.strip()]
    found = [_coded(part, RACES, _RACE_WORDS) for part in parts]
    return None if None in found or not found else tuple(dict.fromkeys(code for code in found if code))


def ethnicity(text: str) -> str | None:
    """The OMB category's code, or None where the text is none."""
    return _coded(text, ETHNICITIES, _ETHNICITY_WORDS)


def _coded(text: str, displays: dict[str, str], words: dict[str, str]) -> str | None:
    text = text.strip()
    if text in displays:
        return text
    wanted = comparable(text)
    for code, display in displays.items():
        if comparable(display) == wanted:
            return code
    return next((code for word, code in words.items() if comparable(word) == wanted), None)
