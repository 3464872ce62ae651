"""North Carolina's phases as shipped: valid R4, readable, and right on both sides of every criterion and date."""

from datetime import date
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.domain.eligibility import Decision, decide
from fhir_server.domain.facts import Facts
from fhir_server.domain.phases import Group, in_force
from fhir_server.domain.sentences import LANGUAGES
from fhir_server.operations import facts, phases, shipped, vocabulary
from profiles import structure

GROUPS = [resource for resource in shipped.resources() if resource["resourceType"] == "Group"]


def shipped_groups() -> list[Group]:
    return [phases.read(resource, f"Group/{resource['id']}") for resource in GROUPS]


def response(**answers: Any) -> dict[str, Any]:
    items = [
        {"linkId": name.replace("_", "-"), "answer": [_answer(value) for value in values]}
        for name, given in answers.items()
        for values in [given if isinstance(given, list) else [given]]
    ]
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "item": items}


def _answer(value: Any) -> dict[str, Any]:
    return {"valueBoolean": value} if isinstance(value, bool) else {"valueCoding": {"code": value}}


def ask(
    as_of: str, born: str | None, policy: str | None = None, rosters: tuple[Any, ...] = (), **answers: Any
) -> Decision:
    patient = {"resourceType": "Patient", "id": "p", **({"birthDate": born} if born else {})}
    day = date.fromisoformat(as_of)
    known: Facts = facts.read(facts.Record(patient, rosters=rosters, answers=[response(**answers)]), day)
    return decide(known, in_force(shipped_groups(), day, policy, "US-NC"), day)


@pytest.mark.parametrize("resource", list(shipped.resources()), ids=lambda resource: resource["id"])
def test_what_is_shipped_is_valid(resource: dict[str, Any]) -> None:
    assert structure.check(resource) == []
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_every_shipped_phase_is_readable_and_named_in_both_languages() -> None:
    for group in shipped_groups():
        assert group.policy.jurisdiction == "US-NC"
        assert group.titles["en"] != group.titles["es"]


def test_every_answer_of_the_questionnaire_is_a_code_with_a_name_in_both_languages() -> None:
    questionnaire = next(found for found in shipped.resources() if found["resourceType"] == "Questionnaire")
    for item in questionnaire["item"]:
        assert vocabulary.translated(item, "text", "es") not in (None, item["text"])
        for option in item.get("answerOption", ()):
            coding = option["valueCoding"]
            for language in LANGUAGES:
                name = vocabulary.display(coding["system"], coding["code"], language)
                assert vocabulary.translated(coding, "display", language) == name != coding["code"]


OPENED = {
    "nc-2021-01-group-1": {"2020-12-14"},
    "nc-2021-01-group-2": {"2021-01-14"},
    "nc-2021-01-group-3": {"2021-02-24", "2021-03-03"},
    "nc-2021-01-group-4": {"2021-03-17", "2021-03-31"},
    "nc-2021-01-group-5": {"2021-04-07"},
}


def test_opening_dates() -> None:
    found: dict[str, set[str]] = {}
    for group in shipped_groups():
        if group.policy.identifier == "nc-2021-01":
            assert group.opens is not None
            found.setdefault(group.phase, set()).add(group.opens.isoformat())
    assert found == OPENED


HOME = {"residence": "household"}
HEALTHY = {"high_risk_conditions": "none"}
NOBODY = {"occupation": "other", **HOME, **HEALTHY}
NURSE = {"occupation": "health-care", "patient_contact": True, **HOME, **HEALTHY}
TEACHER = {"occupation": "education", "in_person": True, **HOME, **HEALTHY}
GROCER = {"occupation": "grocery", "in_person": True, **HOME, **HEALTHY}

JANUARY: list[tuple[str, str, dict[str, Any], str, str | None]] = [
    # as of, born, answers, status, deciding Group or opening day
    ("2020-12-13", "1990-06-01", NURSE, "not-yet", "2020-12-14"),
    ("2020-12-14", "1990-06-01", NURSE, "eligible", "group-1a"),
    ("2021-01-20", "1990-06-01", NURSE | {"patient_contact": False}, "not-yet", "2021-04-07"),
    ("2021-01-20", "1990-06-01", NURSE | {"occupation": "other"}, "not-yet", "2021-04-07"),
    ("2020-12-13", "1990-06-01", NOBODY | {"occupation": "long-term-care-staff"}, "not-yet", "2020-12-14"),
    ("2020-12-14", "1990-06-01", NOBODY | {"occupation": "long-term-care-staff"}, "eligible", "group-1b"),
    ("2020-12-13", "1990-06-01", NOBODY | {"residence": "long-term-care"}, "not-yet", "2020-12-14"),
    ("2020-12-14", "1990-06-01", NOBODY | {"residence": "long-term-care"}, "eligible", "group-1c"),
    ("2021-01-13", "1950-06-01", NOBODY, "not-yet", "2021-01-14"),
    ("2021-01-14", "1950-06-01", NOBODY, "eligible", "group-2"),
    ("2021-01-20", "1956-01-20", NOBODY, "eligible", "group-2"),
    ("2021-01-20", "1956-01-21", NOBODY, "not-yet", "2021-01-21"),
    ("2021-01-20", "1957-06-01", NOBODY, "not-yet", "2021-04-07"),
    ("2021-02-23", "1990-06-01", TEACHER, "not-yet", "2021-02-24"),
    ("2021-02-24", "1990-06-01", TEACHER, "eligible", "group-3a"),
    ("2021-02-24", "1990-06-01", TEACHER | {"in_person": False}, "not-yet", "2021-04-07"),
    ("2021-02-24", "1990-06-01", GROCER, "not-yet", "2021-03-03"),
    ("2021-03-02", "1990-06-01", GROCER, "not-yet", "2021-03-03"),
    ("2021-03-03", "1990-06-01", GROCER, "eligible", "group-3b"),
    ("2021-03-03", "1990-06-01", GROCER | {"in_person": False}, "not-yet", "2021-04-07"),
    ("2021-03-16", "1990-06-01", NOBODY | {"high_risk_conditions": "diabetes"}, "not-yet", "2021-03-17"),
    ("2021-03-17", "1990-06-01", NOBODY | {"high_risk_conditions": ["asthma", "heart"]}, "eligible", "group-4a"),
    ("2021-03-17", "2005-03-17", NOBODY | {"high_risk_conditions": "diabetes"}, "eligible", "group-4a"),
    ("2021-03-17", "2005-03-18", NOBODY | {"high_risk_conditions": "diabetes"}, "not-yet", "2021-03-18"),
    ("2021-03-17", "1956-03-18", NOBODY | {"high_risk_conditions": "diabetes"}, "eligible", "group-4a"),
    ("2021-03-17", "1956-03-17", NOBODY | {"high_risk_conditions": "diabetes"}, "eligible", "group-2"),
    ("2021-03-16", "1990-06-01", NOBODY | {"residence": "congregate"}, "not-yet", "2021-03-17"),
    ("2021-03-17", "1990-06-01", NOBODY | {"residence": "congregate"}, "eligible", "group-4b"),
    ("2021-03-17", "1990-06-01", NOBODY | {"residence": "correctional"}, "eligible", "group-4b"),
    ("2021-03-30", "1990-06-01", NOBODY | {"occupation": "other-essential"}, "not-yet", "2021-03-31"),
    ("2021-03-31", "1990-06-01", NOBODY | {"occupation": "other-essential"}, "eligible", "group-4c"),
    ("2021-04-06", "1990-06-01", NOBODY, "not-yet", "2021-04-07"),
    ("2021-04-07", "1990-06-01", NOBODY, "eligible", "group-5"),
    ("2021-04-07", "2005-04-07", NOBODY, "eligible", "group-5"),
    ("2021-04-07", "2005-04-08", NOBODY, "not-yet", "2021-04-08"),
    ("2021-04-07", "2010-01-01", NOBODY, "not-eligible", None),
    ("2021-04-07", "1990", {}, "eligible", "group-5"),
]


@pytest.mark.parametrize(("as_of", "born", "answers", "status", "expected"), JANUARY)
def test_january_2021(as_of: str, born: str, answers: dict[str, Any], status: str, expected: str | None) -> None:
    decision = ask(as_of, born, "nc-2021-01", **answers)
    assert decision.status == status
    assert decision.missing == ()
    if status == "eligible":
        assert decision.group is not None
        assert decision.group.reference == f"Group/nc-2021-01-{expected}"
    else:
        assert decision.opens_on == (date.fromisoformat(expected) if expected else None)


DECEMBER: list[tuple[str, dict[str, Any], str, str]] = [
    # born, answers, status, deciding Group
    ("1990-06-01", NURSE, "eligible", "phase-1a-1"),
    ("1990-06-01", NOBODY | {"occupation": "long-term-care-staff"}, "eligible", "phase-1a-2"),
    ("1990-06-01", NOBODY | {"residence": "long-term-care"}, "eligible", "phase-1a-3"),
    ("1947-01-07", NOBODY, "not-yet", "phase-2-group-1"),
    ("1971-01-05", NURSE | {"patient_contact": False}, "not-yet", "phase-1b-group-2-1"),
    ("1972-06-06", NURSE | {"patient_contact": False}, "not-yet", "phase-1b-group-3-1"),
    ("1971-01-05", TEACHER, "not-yet", "phase-1b-group-2-2"),
    ("1972-06-06", TEACHER, "not-yet", "phase-1b-group-3-2"),
    ("1956-01-05", NOBODY, "not-yet", "phase-2-group-1"),
    ("1990-06-01", NOBODY | {"high_risk_conditions": "cancer"}, "not-yet", "phase-2-group-2"),
    ("1990-06-01", NOBODY | {"residence": "correctional"}, "not-yet", "phase-2-group-3"),
    ("1990-06-01", NOBODY | {"occupation": "other-essential"}, "not-yet", "phase-2-group-4"),
    ("2003-06-01", NOBODY | {"occupation": "student"}, "not-yet", "phase-3"),
    ("1990-06-01", NOBODY, "not-yet", "phase-4"),
]


@pytest.mark.parametrize(("born", "answers", "status", "expected"), DECEMBER)
def test_december_2020(born: str, answers: dict[str, Any], status: str, expected: str) -> None:
    decision = ask("2021-01-05", born, **answers)
    assert (decision.status, decision.opens_on) == (status, None)
    assert decision.group is not None
    assert decision.group.reference == f"Group/nc-2020-12-{expected}"


MISSING: list[tuple[str, str | None, dict[str, Any], tuple[str, ...]]] = [
    ("2021-01-20", None, {}, ("occupation", "patient-contact", "residence", "birth-date")),
    ("2021-01-20", "1990-06-01", {}, ("occupation", "patient-contact", "residence")),
    ("2021-01-20", "1990-06-01", {"occupation": "health-care"}, ("patient-contact", "residence")),
    ("2021-01-20", "1990-06-01", {"occupation": "other"}, ("residence",)),
    ("2021-01-20", "1956", NOBODY, ("birth-date",)),
    ("2021-03-01", "1990-06-01", {"occupation": "frontline-essential", **HOME}, ("occupation", "in-person")),
    ("2021-03-17", "1990-06-01", {"occupation": "other", **HOME}, ("high-risk-conditions",)),
    ("2021-04-07", None, NOBODY, ("birth-date",)),
]


@pytest.mark.parametrize(("as_of", "born", "answers", "missing"), MISSING)
def test_missing_facts(as_of: str, born: str | None, answers: dict[str, Any], missing: tuple[str, ...]) -> None:
    decision = ask(as_of, born, **answers)
    assert (decision.status, decision.missing) == ("needs-info", missing)


def roster(**more: Any) -> dict[str, Any]:
    member = {"entity": {"reference": "Patient/p"}}
    manager = {"managingEntity": {"reference": "Organization/o"}}
    base = {"resourceType": "Group", "id": "r", "type": "person", "actual": True, "member": [member]}
    return base | manager | more


def test_being_on_an_employers_roster_is_enough_for_the_first_phase() -> None:
    decision = ask("2021-01-20", "1990-06-01", rosters=(roster(),))
    assert decision.status == "eligible"
    assert decision.group is not None
    assert decision.group.reference == "Group/nc-2021-01-group-1d"
    [reason] = [reason for reason in decision.reasons if reason.code == "roster-membership"]
    assert reason.source is not None
    assert (reason.source.attester, reason.source.reference) == ("employer", "Group/r")


def test_a_roster_attests_the_traits_its_members_share() -> None:
    traits = [
        {
            "code": {"coding": [{"system": vocabulary.CRITERION, "code": "occupation"}]},
            "valueCodeableConcept": {"coding": [{"system": vocabulary.OCCUPATION, "code": "grocery"}]},
            "exclude": False,
        },
        {
            "code": {"coding": [{"system": vocabulary.CRITERION, "code": "in-person"}]},
            "valueBoolean": True,
            "exclude": False,
        },
    ]
    kind = {"code": {"coding": [{"system": vocabulary.ROSTER_KIND, "code": "traits-only"}]}}
    decision = ask("2021-03-03", "1990-06-01", rosters=(roster(characteristic=traits, **kind),), **HOME)
    assert decision.group is not None
    assert (decision.status, decision.group.reference) == ("eligible", "Group/nc-2021-01-group-3b")


def characteristic(code: str, **value: Any) -> dict[str, Any]:
    return {"code": {"coding": [{"system": vocabulary.CRITERION, "code": code}]}, "exclude": False, **value}


@pytest.mark.parametrize(
    "change",
    [
        {"identifier": []},
        {"characteristic": []},
        {"characteristic": [characteristic("shoe-size", valueBoolean=True)]},
        {"characteristic": [characteristic("age", valueBoolean=True)]},
        {"characteristic": [characteristic("age", valueRange={})]},
        {"characteristic": [characteristic("age", valueRange={"low": {"value": 16, "code": "mo"}})]},
        {"characteristic": [characteristic("occupation", valueCodeableConcept={"text": "nurse"})]},
        {"characteristic": [characteristic("in-person", valueBoolean=True, period={"start": "2021"})]},
    ],
)
def test_groups_that_are_no_usable_phase(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        phases.read(GROUPS[0] | change, "Group/x")


def test_open_on_the_days_all_periods_share() -> None:
    criteria = [
        characteristic("in-person", valueBoolean=True, period={"start": "2021-01-10", "end": "2021-03-01"}),
        characteristic(
            "patient-contact", valueBoolean=True, period={"start": "2021-01-05", "end": "2021-02-01T12:00:00Z"}
        ),
    ]
    group = phases.read(GROUPS[0] | {"characteristic": criteria}, "Group/x")
    assert (group.opens, group.closes) == (date(2021, 1, 10), date(2021, 2, 1))
