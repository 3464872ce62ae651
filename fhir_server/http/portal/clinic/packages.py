"""Packages: what the code on a vial, syringe or carton says: product, lot and expiry.

https://www.gs1.org/standards/barcodes/application-identifiers

Pure. A code is GS1 text, as a scanner types it (`]d2` and the separator or not) or as it is printed
(`(01)...(17)...(10)...`), or an NDC in any spelling, or the number in the bars of a carton.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date

from terminology import codes

_SYMBOLOGY = re.compile(r"^\](?:d2|C1|Q3|e0)")
_PRINTED = re.compile(r"\((\d{2,4})\)([^(]*)")
_SEPARATOR = "\x1d"
_FIXED = {"01": 14, "02": 14, "11": 6, "15": 6, "17": 6}
_VARIABLE = {"10": 20, "21": 20, "30": 8, "240": 30, "400": 30}
_GTIN, _EXPIRY, _LOT = "01", "17", "10"
_BARE = (12, 13, 14)
"""Digits of a GTIN that stands alone, as in the bars of a carton."""
_DRUGS = "03"
"""GS1's prefix of the numbers of drugs in the United States: the ten digits behind it are the NDC."""
_CENTURY = 2_000


@dataclass(frozen=True, slots=True)
class Package:
    """What a code says, as far as it does: the NDC as it is stored (5-4-2), the lot, and the last day of use."""

    ndc: str = ""
    lot: str = ""
    expires: date | None = None


def read(text: str) -> Package | None:
    """What this text says; None where it is no GS1 text of a drug, no number of one, and no NDC that is one."""
    text = text.strip()
    ndc = codes.normal_ndc(text)
    if ndc is not None:
        return Package(ndc)
    if text.isascii() and text.isdigit() and len(text) in _BARE:
        ndc = _ndc(text.zfill(_FIXED[_GTIN]))
        return None if ndc is None else Package(ndc)
    elements = _printed(text) if text.startswith("(") else _typed(_SYMBOLOGY.sub("", text))
    if elements is None or _GTIN not in elements:
        return None
    ndc = _ndc(elements[_GTIN])
    if ndc is None:
        return None
    return Package(ndc, elements.get(_LOT, ""), _day(elements.get(_EXPIRY, "")))


def _printed(text: str) -> dict[str, str] | None:
    found = {name: value.strip() for name, value in _PRINTED.findall(text)}
    return found if all(len(found[name]) == _FIXED[name] for name in found if name in _FIXED) else None


def _typed(text: str) -> dict[str, str] | None:
    """The elements one behind the other; of some the length is known, others end at a separator or the end."""
    found: dict[str, str] = {}
    while text := text.lstrip(_SEPARATOR):
        name = next((name for name in (*_FIXED, *_VARIABLE) if text.startswith(name)), None)
        if name is None:
            return None
        rest = text[len(name) :]
        if name in _FIXED:
            value, text = rest[: _FIXED[name]], rest[_FIXED[name] :]
            if len(value) < _FIXED[name] or not (value.isascii() and value.isdigit()):
                return None
        else:
            value, _, text = rest.partition(_SEPARATOR)
            if not 0 < len(value) <= _VARIABLE[name]:
                return None
        found[name] = value
    return found


def _ndc(gtin: str) -> str | None:
    if len(gtin) != _FIXED[_GTIN] or not gtin.isdigit() or gtin[1:3] != _DRUGS or _check_digit(gtin[:-1]) != gtin[-1]:
        return None
    return codes.normal_ndc(gtin[3:13])


def _check_digit(digits: str) -> str:
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def _day(text: str) -> date | None:
    """`YYMMDD`; day 00 means the last of the month."""
    try:
        year, month, day = _CENTURY + int(text[:2]), int(text[2:4]), int(text[4:6])
        return date(year, month, day or monthrange(year, month)[1])
    except ValueError:
        return None
