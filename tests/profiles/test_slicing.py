"""Slices by each kind of discriminator, open and closed, ordered, and within each other: cases of short profiles."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.checker import check
from profiles.guides import Guide, Library, shipped
from profiles.snapshot import table

CASES = json.loads((Path(__file__).with_name("cases_slicing.json")).read_text(), parse_float=Decimal)
URL = "https://example.org/StructureDefinition/sliced"


def definition(type_name: str, elements: list[dict[str, Any]]) -> dict[str, Any]:
    """A StructureDefinition whose snapshot has these elements alone; cardinality is that of the case, or 0..*."""
    complete = [
        {"path": ".".join(s.partition(":")[0] for s in e.get("id", "").split(".")), "min": 0, "max": "*", **e}
        for e in [{"id": type_name}, *elements]
    ]
    return {"url": URL, "type": type_name, "snapshot": {"element": complete}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_slices(case: dict[str, Any]) -> None:
    tables = [table(definition(case["type"], case["elements"]))]
    for other in case.get("others", ()):
        tables.append({**table(definition(other["type"], other["elements"])), "url": other["url"]})
    guide = Guide({"name": "test", "version": "1", "profiles": tables, "value_sets": {}})
    for each in case["resources"]:
        found = check(each["resource"], URL, library=Library((*shipped(), guide)))
        told = [[issue.detail, *issue.expression] for issue in found if issue.severity == "error"]
        assert told == each["errors"], each
