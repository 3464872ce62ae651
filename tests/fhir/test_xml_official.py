"""HL7's own examples go through XML and back without a difference.

https://hl7.org/fhir/R4/xml.html
"""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import compact, parse
from fhir_server.fhir.xml import from_xml, to_xml
from profiles.structure import check


def exact(data: bytes) -> Any:
    """The JSON value, each number as it is written (and not equal to a string that looks the same)."""
    return json.loads(data, parse_int=lambda text: ("number", text), parse_float=lambda text: ("number", text))


def files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"{folder} is not at hand")
    return found


@pytest.mark.parametrize(("folder", "least"), [("fhir-r4-examples", 200), ("synthea", 12)])
def test_json_examples_survive(shared: Path, folder: str, least: int) -> None:
    paths = files(shared / folder, "**/*.json")
    assert len(paths) >= least
    for path in paths:
        body = path.read_bytes()
        parse(body)
        assert exact(from_xml(to_xml(compact(body)))) == exact(body), path.name
        assert exact(from_xml(to_xml(body, indent=True))) == exact(body), path.name


def test_xml_examples_survive(shared: Path) -> None:
    paths = files(shared / "immds", "*.xml")
    assert len(paths) == 10
    for path in paths:
        body = from_xml(path.read_bytes())
        assert not [issue for issue in check(parse(body)) if issue.severity == "error"], path.name
        assert from_xml(to_xml(body)) == body, path.name
