"""The house keeps its own rules: imports, first lines, documented settings, codes and operations."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.operations.catalogue import OPERATIONS
from fhir_server.operations.registry import Registry
from fhir_server.settings import Settings

ROOT = Path(__file__).parents[1]
PACKAGES = ("fhir_server", "profiles", "smart_health_cards", "terminology", "tools", "benchmarks")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_says_what_it_is_in_its_first_line(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "no docstring"
    first, *rest = docstring.splitlines()
    assert len(first) > 15, first
    assert not rest or rest[0] == "", "the second line of a docstring is empty"


def test_imports_point_down() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "operate.md").read_text(), re.MULTILINE))
    assert set(Settings.model_fields) <= documented
    assert all(field.description for field in Settings.model_fields.values())


def test_every_operation_has_a_definition_that_agrees_and_a_place_in_the_docs() -> None:
    Registry(OPERATIONS)
    text = (ROOT / "docs" / "api" / "operations.md").read_text()
    for row in OPERATIONS:
        assert f"## ${row.code}\n" in text, f"${row.code} is not in docs/api/operations.md"
    definitions = {path.stem for path in (ROOT / "fhir_server" / "operations" / "definitions").glob("*.json")}
    assert definitions == {row.definition for row in OPERATIONS}


def test_every_operation_definition_is_second_opinion_valid() -> None:
    from fhir.resources.R4B.operationdefinition import OperationDefinition

    for row in OPERATIONS:
        path = ROOT / "fhir_server" / "operations" / "definitions" / f"{row.definition}.json"
        OperationDefinition.model_validate(json.loads(path.read_text()))


def test_every_issue_code_is_documented() -> None:
    documented = set(re.findall(r"`([a-z0-9-]+)`", (ROOT / "docs" / "api" / "issue-codes.md").read_text()))
    used = {code: path for path in SOURCES for code in _details(path)}
    known = documented | {code for code in used if code.startswith("invariant-")}
    missing = {code: str(path.relative_to(ROOT)) for code, path in used.items() if code not in known}
    assert not missing


def _details(path: Path) -> Iterator[str]:
    """The literal detail codes of `refuse(status, code, detail, ...)`, `Issue(code, detail, ...)` and the like."""
    places = {"refuse": 2, "Issue": 1} | ({"Problem": 2} if path.parent.name == "profiles" else {})
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        position = places.get(name)
        if position is not None and len(node.args) > position:
            value = node.args[position]
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def test_what_workers_are_forked_from_has_no_threads() -> None:
    asked = "import threading, fhir_server.worker; print(threading.active_count())"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


def test_the_supervisor_does_not_import_the_application() -> None:
    asked = "import sys, fhir_server.commands.serving; print('fhir_server.app' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
