"""The cases beside this file: resources with the issues they must have, as (code, detail, expression)."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("cases")
DATA = Path("../shared/data")


def load(path: Path) -> Any:
    """A JSON file with fractions as Decimal, as the server parses them."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def structure_cases() -> list[tuple[str, dict[str, Any]]]:
    """(file and name, case) of every case about whole resources."""
    files = sorted(path for path in FOLDER.glob("*.json") if path.stem != "primitives")
    return [(f"{path.stem}: {case['name']}", case) for path in files for case in load(path)]


def official_files() -> list[Path]:
    """The official examples and the synthetic bundles, none where the folder is absent."""
    return sorted([*DATA.glob("fhir-r4-examples/*.json"), *DATA.glob("synthea/**/*.json")])
