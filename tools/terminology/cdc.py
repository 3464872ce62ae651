"""CDC's code sets: CVX, MVX, NDC and the COVID-19 products.

https://www2.cdc.gov/vaccines/iis/iisstandards/vaccines.asp
"""

import csv
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

SOURCES = ("cvx.xml", "mvx.xml", "ndc_unit_of_use.xml", "ndc_unit_of_sale.xml", "covid_cvx.csv")

KINDS = {
    "vaccine": "vaccine",
    "foreign vaccine": "non-us",
    "unspecified": "unspecified",
    "non vaccine": "non-vaccine",
    "never active": "never-active",
    "pending": "pending",
}

CORRECTIONS: dict[str, dict[str, list[str]]] = {
    # Labeler 80777 is Moderna; the source names Sanofi Pasteur beside it for this one package.
    "80777-0273-98": {"mvx": ["MOD"]},
}
"""Members of an NDC's entry that replace what the source says."""


LABELLED: dict[str, tuple[int | None, int | None, str, str]] = {
    "207": (144, None, "0.5", "red"), "208": (144, None, "0.3", "purple"), "211": (144, None, "0.5", ""),
    "212": (216, None, "0.5", "blue"), "217": (144, None, "0.3", "gray"), "218": (60, 143, "0.2", "orange"),
    "219": (6, 59, "0.2", "maroon"), "221": (72, None, "0.5", "dark blue"), "227": (72, 143, "0.5", "dark blue"),
    "228": (6, 71, "0.25", "dark blue"), "229": (72, None, "0.5", "dark blue"), "230": (6, 71, "0.2", "dark pink"),
    "300": (144, None, "0.3", "gray"), "301": (60, 143, "0.2", "orange"), "302": (6, 59, "0.2", "maroon"),
    "308": (6, 59, "0.3", "yellow"), "309": (144, None, "0.3", "gray"), "310": (60, 143, "0.3", "blue"),
    "311": (6, 143, "0.25", "dark blue"), "312": (144, None, "0.5", "dark blue"), "313": (144, None, "0.5", ""),
    "334": (144, None, "0.2", ""),
}  # fmt: skip
"""Of the COVID-19 products, by CVX: first and last month of age they are labelled for (the source's own ages leave a
margin), millilitres of a dose for a person of the highest age, and the colour of the vial's cap (CDC's product guides).
"""


def tables(folder: Path) -> dict[str, bytes]:
    """The committed files by name. OSError where a source is missing."""
    covid = {row["cvx"]: row for row in csv.DictReader((folder / "covid_cvx.csv").read_text("utf-8").splitlines())}
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in SOURCES}
    ndc: dict[str, Any] = {}
    for name, unit in (("ndc_unit_of_use.xml", "use"), ("ndc_unit_of_sale.xml", "sale")):
        for code in _codes(folder / name):
            value = _text(code, "value")
            # The deprecated entries are other spellings of the same numbers; codes.py normalises instead.
            if _text(code, "code-status/status") == "Valid":
                entry = _ndc(code) | CORRECTIONS.get(value, {})
                # A product sold singly has one number for both units.
                entry["units"] = sorted({unit, *ndc.get(value, {}).get("units", ())}, reverse=True)
                ndc[value] = entry
    return {
        "cvx.json": _lines({_text(code, "value"): _cvx(code, covid) for code in _codes(folder / "cvx.xml")}),
        "mvx.json": _lines({_text(code, "value"): _mvx(code) for code in _codes(folder / "mvx.xml")}),
        "ndc.json": _lines(ndc),
        "sources.json": _lines(hashes),
    }


def _cvx(code: ElementTree.Element, covid: dict[str, dict[str, str]]) -> dict[str, Any]:
    value = _text(code, "value")
    entry: dict[str, Any] = {
        "display": _text(code, "label"),
        "kind": KINDS[_text(code, "concept-type")],
        "groups": _links(code, "VACCINE_GROUP"),
        **_window(code),
        **_ages(code),
        **_labelled(code),
    }
    if _text(code, "code-status/status") != "Valid":
        entry["invalid"] = True
    if value in covid:
        brands = [brand.strip() for brand in covid[value]["trade_names"].split(";") if brand.strip()]
        entry["brands"] = list(dict.fromkeys(brands))
    return entry


def _mvx(code: ElementTree.Element) -> dict[str, Any]:
    return {"display": _text(code, "label"), **_window(code)}


def _ndc(code: ElementTree.Element) -> dict[str, Any]:
    return {
        "display": _text(code, "label"),
        "cvx": _links(code, "VACCINATION_CVX_CODE"),
        "mvx": _links(code, "VACCINATION_MANUFACTURER_CODE"),
        **_window(code),
    }


def _window(code: ElementTree.Element) -> dict[str, str]:
    """Days of use, both included, as ISO dates: `from` and `to`, each where the source has one."""
    found = {"from": _text(code, "use-date/not-before"), "to": _text(code, "use-date/not-after")}
    return {name: f"{day[:4]}-{day[4:6]}-{day[6:]}" for name, day in found.items() if re.fullmatch(r"\d{8}", day)}


def _ages(code: ElementTree.Element) -> dict[str, list[int | None]]:
    """`months`: the first and the last completed month of age for use, each null where none is known."""
    texts = [_text(code, "use-age/not-before-month"), _text(code, "use-age/not-after-month")]
    months = [int(text) if text.isdigit() and int(text) < _LIFETIME else None for text in texts]
    labelled = LABELLED.get(_text(code, "value"))
    months = list(labelled[:2]) if labelled is not None else months
    return {"months": months} if any(months) else {}


def _labelled(code: ElementTree.Element) -> dict[str, str]:
    """`ml` and `cap`, each where it is known."""
    _, _, millilitres, cap = LABELLED.get(_text(code, "value"), (None, None, "", ""))
    return {name: value for name, value in (("ml", millilitres), ("cap", cap)) if value}


def _links(code: ElementTree.Element, codeset: str) -> list[str]:
    return [_clean(link.text) for link in code.iterfind("reference/link-to") if link.get("codeset") == codeset]


def _codes(path: Path) -> list[ElementTree.Element]:
    # CDC's published files, read at build time by a developer.
    return list(ElementTree.parse(path).getroot().iterfind("code"))  # noqa: S314 - see above


def _text(element: ElementTree.Element, path: str) -> str:
    return _clean(element.findtext(path))


_LIFETIME = 1440
"""Months; the source writes it where there is no upper age."""


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())


def _lines(entries: dict[str, Any]) -> bytes:
    """One JSON object, one sorted entry a line: small, and its differences read well."""
    rows = (
        f"{json.dumps(key, ensure_ascii=False)}:{json.dumps(entries[key], ensure_ascii=False, separators=(',', ':'))}"
        for key in sorted(entries)
    )
    return ("{\n" + ",\n".join(rows) + "\n}\n").encode()
