from profiles.definitions import invariants
from profiles.invariants import COMPILED, rules
from tests.profiles.cases import structure_cases

IN_STRUCTURE = {"dom-2", "dom-4", "dom-5", "ref-1"}


def test_every_compiled_key_is_an_error_of_r4_at_that_path() -> None:
    assert [key for key in COMPILED if key not in invariants() or invariants()[key].severity != "error"] == []
    assert {key for key, _ in invariants()} >= IN_STRUCTURE


def test_every_compiled_key_is_broken_by_a_case() -> None:
    broken = {issue[1].removeprefix("invariant-") for _, case in structure_cases() for issue in case["issues"]}
    assert {key for key, _ in COMPILED} | IN_STRUCTURE <= broken


def test_rules_of_a_path() -> None:
    assert [invariant.key for invariant, _ in rules("Patient.contact")] == ["pat-1"]
    assert rules("Patient.link") == ()
