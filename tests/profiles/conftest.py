"""The official definitions package, where it is at hand."""

import os
from pathlib import Path

import pytest

from tools.definitions.package import Package, find, load


def package_path() -> Path | None:
    """The path in FHIR_DEFINITIONS, or what python -m tools.definitions left in .definitions/; absolute."""
    named = os.environ.get("FHIR_DEFINITIONS")
    path = Path(named) if named else find()
    return path and path.resolve()


@pytest.fixture(scope="session")
def package() -> Package:
    """The R4 definitions, parsed once."""
    path = package_path()
    if path is None:
        pytest.skip("no definitions package: set FHIR_DEFINITIONS, or run python -m tools.definitions once")
    return load(path)
