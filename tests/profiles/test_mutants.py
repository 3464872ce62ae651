"""A seed meets its profile; broken in one way, it is caught there, with the severity that breach has."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.checker import check
from profiles.guides import Library, shipped
from terminology.library import shipped as terminology
from tests.profiles.make_mutants import MUTANTS, SEEDS, edited

LIBRARY = Library(shipped(), {"hl7.fhir.us.core": "6.1.0"})


def read(path: Path) -> Any:
    return json.loads(path.read_text(), parse_float=Decimal)


def corpus() -> list[tuple[str, str]]:
    return [(path.stem, url) for path in sorted(MUTANTS.glob("*.json")) for url in read(path)]


def found(resource: dict[str, Any], url: str) -> set[tuple[str, str]]:
    issues = check(resource, url, terminology().allowed, library=LIBRARY)
    return {(issue.severity, place) for issue in issues for place in issue.expression}


@pytest.mark.parametrize(("name", "url"), corpus(), ids=lambda text: text.rpartition("/")[2])
def test_mutants_are_caught_where_they_are_broken(name: str, url: str) -> None:
    seed = read(SEEDS / f"{name}.json")["resource"]
    assert not [each for each in found(seed, url) if each[0] == "error"]
    missed = {}
    for mutant in read(MUTANTS / f"{name}.json")[url]:
        told = found(edited(seed, *mutant["edit"]), url)
        if tuple(mutant["expected"]) not in told:
            missed[mutant["name"]] = (mutant["expected"], sorted(told))
    assert not missed


def test_the_corpus_is_large() -> None:
    assert sum(len(read(MUTANTS / f"{name}.json")[url]) for name, url in corpus()) > 300
