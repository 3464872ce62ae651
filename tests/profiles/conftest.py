"""The official definitions package, where it is at hand."""

import os
from pathlib import Path

import pytest

from tools.definitions.package import Package, find, load


@pytest.fixture(scope="session")
def package() -> Package:
    """From the path in FHIR_DEFINITIONS, or from .definitions/ (python -m tools.definitions puts it there)."""
    named = os.environ.get("FHIR_DEFINITIONS")
    path = Path(named) if named else find()
    if path is None:
        pytest.skip("no definitions package: set FHIR_DEFINITIONS, or run python -m tools.definitions once")
    return load(path)
