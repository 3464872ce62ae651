"""The committed tables of guides, and our published profiles, are what the generator makes of its sources."""

from pathlib import Path

import pytest

from tests.profiles.cases import DATA
from tools.definitions.__main__ import outdated
from tools.definitions.package import Package
from tools.profiles.__main__ import generate


def test_committed_tables_are_up_to_date(package: Package) -> None:
    if not any((DATA / "us-core").glob("*.tgz")):
        pytest.skip("../shared/data/us-core is not at hand")
    files = generate(package, DATA / "us-core")
    assert outdated(files) == []
    published = {path for path in files if path.parent.name == "profiles"}
    assert published == set(Path("fhir_server/operations/data/profiles").iterdir())
