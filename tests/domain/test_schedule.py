"""The schedules: what was generated is what is committed, and what is committed can be read."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from fhir_server.domain.knowledge_bases import in_force, knowledge_bases, named
from tools.schedules.__main__ import generate

ROOT = Path(__file__).parents[2]
SOURCES = ROOT.parent / "shared" / "data" / "cdsi"


@pytest.mark.skipif(not SOURCES.is_dir(), reason="CDC's supporting data is not at hand")
def test_the_committed_schedules_are_those_the_sources_give() -> None:
    for path, data in generate(SOURCES).items():
        assert (ROOT / path).read_bytes() == data, path


def test_the_windows_follow_one_another() -> None:
    held = knowledge_bases()
    assert [one.version for one in held] == ["2021", "2023-24", "2024-25", "2025-26"]
    assert all(before.ends < after.starts for before, after in pairwise(held))
    for one in held:
        assert in_force(one.starts) is one
        assert in_force(one.ends, "cdc-acip") is one
        assert in_force(one.ends, "somebody") is None
    assert in_force(held[0].starts - timedelta(days=1)) is None
    assert in_force(date(2022, 6, 1)) is None
    assert in_force(held[-1].ends + timedelta(days=1)) is None


def test_a_version_is_found_by_name() -> None:
    found = named("2024-25")
    assert found is not None
    assert (found.edition, found.authority, found.disease, len(found.series)) == ("4.61", "CDC-ACIP", "COVID-19", 16)
    assert named("2019") is None


def test_every_series_can_be_chosen() -> None:
    for one in knowledge_bases():
        names = [series.name for series in one.series]
        assert len(names) == len(set(names))
        assert all(series.doses and series.type in ("standard", "risk", "evaluation-only") for series in one.series)
        assert all(series.indications for series in one.series if series.type == "risk")
