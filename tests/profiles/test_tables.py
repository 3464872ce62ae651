"""The committed tables of guides, and our published profiles, are what the generator makes of its sources."""

from pathlib import Path

import pytest

from tests.profiles.cases import DATA
from tests.profiles.conftest import package_path
from tools.definitions.__main__ import outdated
from tools.profiles.__main__ import generate


def test_committed_tables_are_up_to_date() -> None:
    path = package_path()
    if path is None or not any((DATA / "us-core").glob("*.tgz")):
        pytest.skip("no definitions package, or no packages of US Core")
    files = generate(path, DATA / "us-core")
    assert outdated(files) == []
    assert {p for p in files if p.parent.name == "profiles"} == set(
        Path("fhir_server/operations/data/profiles").iterdir()
    )
