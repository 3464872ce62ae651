"""What a search means, written down a second time as plainly as possible, to compare the engine with.

https://hl7.org/fhir/R4/search.html
"""

import calendar
import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any


def finds(resource: dict[str, Any], name: str, value: str) -> bool:
    """Whether `name=value` finds a Patient or Observation; for the parameters the property test uses."""
    code, _, modifier = name.partition(":")
    if modifier == "missing":
        return (not _values(resource, code)) == (value == "true")
    found = any(_finds(resource, code, modifier, part) for part in re.findall(r"(?:\\.|[^,\\])+", value))
    return not found if modifier == "not" else found


def _values(resource: dict[str, Any], code: str) -> list[Any]:
    names = resource.get("name", [])
    readers: dict[str, Callable[[], list[Any]]] = {
        "family": lambda: [n["family"] for n in names if "family" in n],
        "given": lambda: [g for n in names for g in n.get("given", [])],
        "name": lambda: [t for n in names for t in (*n.get("given", []), *([n["family"]] if "family" in n else []))],
        "gender": lambda: [resource["gender"]] if "gender" in resource else [],
        "identifier": lambda: resource.get("identifier", []),
        "birthdate": lambda: [resource["birthDate"]] if "birthDate" in resource else [],
        "organization": lambda: [
            r["reference"] for r in [resource.get("managingOrganization", {})] if "reference" in r
        ],
        "value-quantity": lambda: [resource["valueQuantity"]["value"]] if "valueQuantity" in resource else [],
    }
    return readers[code]()


def _finds(resource: dict[str, Any], code: str, modifier: str, text: str) -> bool:
    values = _values(resource, code)
    if code in ("family", "given", "name"):
        wanted = re.sub(r"\\([\\,|$])", r"\1", text)
        if modifier == "exact":
            return wanted in values
        folded = [_fold(value) for value in values]
        return any(
            _fold(wanted) in v if modifier == "contains" else f" {v}".count(f" {_fold(wanted)}") > 0 for v in folded
        )
    if code == "gender":
        return text in values
    if code == "identifier":
        system, bar, value = re.fullmatch(r"((?:\\.|[^|\\])*)(\|?)(.*)", text).groups()  # type: ignore[union-attr] # always matches
        system, value = (re.sub(r"\\([\\,|$])", r"\1", part) for part in (system, value))
        if not bar:
            return any(i.get("value") == system for i in values)
        same = [i for i in values if i.get("system", "") == system]
        return any(i.get("value") == value for i in same) if value else bool(same)
    if code == "organization":
        return any(value in (text, f"Organization/{text}") for value in values)
    test, rest = (text[:2], text[2:]) if text[:1].isalpha() else ("eq", text)
    if code == "birthdate":
        return any(_compare(test, _days(value), _days(rest)) for value in values)
    number = Decimal(rest)
    half = Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)
    inside = [number - half <= value < number + half for value in values]
    return any(
        {
            "eq": close,
            "ne": not close,
            "gt": value > number,
            "ge": value >= number,
            "lt": value < number,
            "le": value <= number,
            "sa": value > number,
            "eb": value < number,
        }[test]
        for value, close in zip(values, inside, strict=True)
    )


def _fold(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return " ".join(plain.lower().replace("-", " ").split())


def _days(text: str) -> tuple[date, date]:
    """The first day and the last."""
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 3:
        return date(parts[0], parts[1], parts[2]), date(parts[0], parts[1], parts[2])
    if len(parts) == 2:
        year, month = parts
        return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    return date(parts[0], 1, 1), date(parts[0], 12, 31)


def _compare(test: str, target: tuple[date, date], wanted: tuple[date, date]) -> bool:
    contained = wanted[0] <= target[0] and target[1] <= wanted[1]
    return {
        "eq": contained,
        "ne": not contained,
        "gt": target[1] > wanted[1],
        "lt": target[0] < wanted[0],
        "ge": target[1] > wanted[1] or target[0] >= wanted[0],
        "le": target[0] < wanted[0] or target[1] <= wanted[1],
        "sa": target[0] > wanted[1],
        "eb": target[1] < wanted[0],
        "ap": target[0] - _width(wanted) <= wanted[1] and target[1] + _width(wanted) >= wanted[0],
    }[test]


def _width(days: tuple[date, date]) -> timedelta:
    return days[1] - days[0] + timedelta(days=1)
