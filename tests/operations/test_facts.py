"""Facts from FHIR: which answer counts, who attested it, what is no fact."""

from datetime import date
from typing import Any

import pytest

from fhir_server.domain.facts import BirthDate, Dose, Facts, Source
from fhir_server.operations import facts, vocabulary
from terminology.systems import CVX, NDC

AS_OF = date(2021, 3, 1)
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1956-06-01"}


def read(**record: Any) -> Facts:
    return facts.read(facts.Record(**({"patient": PATIENT} | record)), AS_OF)


def response(id: str, authored: str, items: dict[str, list[dict[str, Any]]], **more: Any) -> dict[str, Any]:
    item = [{"linkId": name, "answer": answers} for name, answers in items.items()]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": id,
        "status": "completed",
        "authored": authored,
        "item": item,
    } | more


def coding(code: str, system: str | None = None) -> dict[str, Any]:
    return {"valueCoding": {"code": code} | ({"system": system} if system else {})}


def value(known: Facts, name: str) -> Any:
    found = known.about(name)
    return found[0].value if found else None


def test_the_latest_response_counts_whole() -> None:
    older = response("1", "2021-01-01", {"occupation": [coding("grocery")], "in-person": [{"valueBoolean": True}]})
    newer = response("2", "2021-01-02T00:00:00-05:00", {"occupation": [coding("student")]})
    for order in ([older, newer], [newer, older]):
        known = read(responses=order)
        assert value(known, "occupation") == {"student"}
        assert known.about("in-person") == ()
        assert known.about("occupation")[0].source == Source("self", "QuestionnaireResponse/2", date(2021, 1, 2))


def test_of_two_responses_of_one_second_the_one_stored_later_counts() -> None:
    said = "2021-01-02T10:00:00Z"
    older = response("2", said, {"occupation": [coding("grocery")]}, meta={"lastUpdated": "2021-01-02T10:00:00.100Z"})
    newer = response("1", said, {"occupation": [coding("student")]}, meta={"lastUpdated": "2021-01-02T10:00:00.200Z"})
    for order in ([older, newer], [newer, older]):
        assert value(read(responses=order), "occupation") == {"student"}


def test_a_provider_stands_beside_the_person() -> None:
    own = response("1", "2021-01-02", {"residence": [coding("household")]})
    theirs = response("2", "2021-01-01", {"residence": [coding("congregate")]}, source={"reference": "Practitioner/7"})
    found = read(responses=[own, theirs]).about("residence")
    assert [(fact.value, fact.source.attester) for fact in found] == [
        (frozenset({"household"}), "self"),
        (frozenset({"congregate"}), "provider"),
    ]


def test_answers_with_the_request_are_newer_than_stored_ones() -> None:
    stored = response("1", "2031-01-01", {"occupation": [coding("grocery")]})
    given = response("2", "2021-01-01", {"occupation": [coding("student")]}, status="in-progress")
    assert value(read(responses=[stored], answers=[given]), "occupation") == {"student"}


@pytest.mark.parametrize(
    "more",
    [
        {"status": "in-progress"},
        {"status": "entered-in-error"},
        {"questionnaire": "https://elsewhere.example/Questionnaire/x"},
    ],
)
def test_responses_that_do_not_count(more: dict[str, Any]) -> None:
    assert (
        read(responses=[response("1", "2021-01-01", {"occupation": [coding("grocery")]}, **more)]).about("occupation")
        == ()
    )


@pytest.mark.parametrize(
    "name",
    [
        vocabulary.REGISTRATION,
        vocabulary.REGISTRATION + "|7",
        "Questionnaire/registration",
        "http://localhost/fhir/Questionnaire/registration|1",
    ],
)
def test_our_questionnaire_by_any_of_its_names(name: str) -> None:
    named = response("1", "2021-01-01", {"occupation": [coding("grocery")]}, questionnaire=name)
    assert value(read(responses=[named], base="http://localhost/fhir"), "occupation") == {"grocery"}


@pytest.mark.parametrize(
    ("name", "answers", "expected"),
    [
        ("occupation", [coding("grocery", vocabulary.OCCUPATION)], {"grocery"}),
        ("occupation", [coding("grocery", "https://elsewhere.example")], None),
        ("occupation", [coding("astronaut")], None),
        ("occupation", [{"valueString": "grocery"}], None),
        ("occupation", [], None),
        ("high-risk-conditions", [coding("none")], frozenset()),
        ("high-risk-conditions", [coding("heart"), coding("copd")], {"heart", "copd"}),
        ("in-person", [{"valueBoolean": False}], False),
        ("in-person", [{"valueString": "no"}], None),
        ("nonsense", [{"valueBoolean": False}], None),
    ],
)
def test_values(name: str, answers: list[dict[str, Any]], expected: Any) -> None:
    assert value(read(answers=[response("1", "2021-01-01", {name: answers})]), name) == expected


def test_nested_answers() -> None:
    inner = {"linkId": "residence", "answer": [coding("household")]}
    outer = {"linkId": "page", "item": [{"linkId": "in-person", "answer": [{"valueBoolean": True, "item": [inner]}]}]}
    known = read(answers=[{"resourceType": "QuestionnaireResponse", "status": "completed", "item": [outer]}])
    assert (value(known, "in-person"), value(known, "residence")) == (True, {"household"})


@pytest.mark.parametrize(
    ("recorded", "answered", "expected"),
    [
        ("1956-06-01", None, "1956-06-01"),
        ("1956-06-01", "1956-06-02", "1956-06-01"),
        ("1956", "1956-06-02", "1956-06-02"),
        ("1956", "1957-06-02", "1956"),
        (None, "1957-06-02", "1957-06-02"),
        (None, None, None),
    ],
)
def test_one_birth_date(recorded: str | None, answered: str | None, expected: str | None) -> None:
    patient = {"resourceType": "Patient", "id": "p"} | ({"birthDate": recorded} if recorded else {})
    items = {"birth-date": [{"valueDate": answered}]} if answered else {}
    known = read(patient=patient, answers=[response("1", "2021-01-01", items)])
    assert value(known, "birth-date") == (BirthDate.parse(expected) if expected else None)
    assert len(known.about("birth-date")) == (1 if expected else 0)


def roster(member: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    entry = {"entity": {"reference": "Patient/p"}, "period": {"start": "2021-01-05"}} | (member or {})
    return {
        "resourceType": "Group",
        "id": "r",
        "type": "person",
        "actual": True,
        "managingEntity": {"reference": "Organization/o"},
        "member": [entry],
    } | more


@pytest.mark.parametrize(
    ("group", "kinds"),
    [
        (roster(), {"first-phase"}),
        (roster({"period": {"start": "2030-01-01"}}), {"first-phase"}),
        (roster({"period": {"end": "2021-03-01"}}), {"first-phase"}),
        (roster({"period": {"end": "2021-03"}}), {"first-phase"}),
        (roster({"period": {"end": "2021-02-28"}}), set()),
        (roster({"inactive": True}), set()),
        (roster({"entity": {"reference": "Patient/other"}}), set()),
        (roster({"entity": {"reference": "http://localhost/fhir/Patient/p"}}), {"first-phase"}),
        (roster({"entity": {"reference": "https://elsewhere.example/fhir/Patient/p"}}), set()),
        (roster(active=False), set()),
        (roster(actual=False), set()),
        (roster(code={"coding": [{"system": vocabulary.GROUP_KIND, "code": "roster"}]}), {"first-phase"}),
        (roster(code={"coding": [{"system": vocabulary.ROSTER_KIND, "code": "traits-only"}]}), {"traits-only"}),
        (roster(code={"text": "study cohort"}), set()),
        (roster({"extension": [{"url": vocabulary.MEMBER_ROW}]}, code={"text": "our staff"}), {"first-phase"}),
    ],
)
def test_roster_membership(group: dict[str, Any], kinds: set[str]) -> None:
    known = read(rosters=[group], base="http://localhost/fhir")
    assert value(known, "roster-membership") == kinds


def test_the_occupation_of_a_row_is_the_employers_word() -> None:
    part = {
        "url": "occupation",
        "valueCodeableConcept": {"coding": [{"system": vocabulary.OCCUPATION, "code": "grocery"}]},
    }
    known = read(rosters=[roster({"extension": [{"url": vocabulary.MEMBER_ROW, "extension": [part]}]})])
    [fact] = known.about("occupation")
    source = Source("employer", "Group/r", date(2021, 1, 5), "Organization/o")
    assert (fact.value, fact.source) == (frozenset({"grocery"}), source)


def immunization(system: str, code: str, given: str | None = "2021-01-20", **more: Any) -> dict[str, Any]:
    when = {"occurrenceDateTime": given} if given else {"occurrenceString": "last winter"}
    return {"status": "completed", "vaccineCode": {"coding": [{"system": system, "code": code}]}} | when | more


@pytest.mark.parametrize(
    ("dose", "cvx"),
    [
        (immunization(CVX, "208"), "208"),
        (immunization("urn:oid:2.16.840.1.113883.12.292", "208"), "208"),
        (immunization(NDC, "59267-1000-1"), "208"),
        (immunization(NDC, "0"), None),
        (immunization(CVX, "208", "2021-01-20T23:30:00-05:00"), "208"),
        (immunization(CVX, "208", "2021-01"), None),
        (immunization(CVX, "208", None), None),
        (immunization(CVX, "141"), None),
        (immunization(CVX, "208", status="not-done"), None),
        (immunization(CVX, "208", status="entered-in-error"), None),
        (immunization(CVX, "208", isSubpotent=True), None),
    ],
)
def test_doses(dose: dict[str, Any], cvx: str | None) -> None:
    assert read(immunizations=[dose]).doses == ((Dose(cvx, date(2021, 1, 20)),) if cvx else ())


@pytest.mark.parametrize(
    ("change", "declined"),
    [
        ({}, True),
        ({"status": "inactive"}, False),
        ({"category": [{"coding": [{"system": vocabulary.CONSENT_CATEGORY, "code": "no-contact"}]}]}, False),
        ({"provision": {"period": {"end": "2021-02-28"}}}, False),
        ({"provision": {"period": {"end": "2021-03"}}}, True),
    ],
)
def test_opting_out(change: dict[str, Any], declined: bool) -> None:
    consent = {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "category": [{"coding": [{"system": vocabulary.CONSENT_CATEGORY, "code": "decline-vaccine"}]}],
        "dateTime": "2021-01-15",
    }
    expected = Source("self", "Consent/c", date(2021, 1, 15)) if declined else None
    assert read(consents=[consent | change]).declined == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Durham", "37063"),
        ("durham county", "37063"),
        ("County of Durham", "37063"),
        ("condado de Durham", "37063"),
        ("Durham County, NC", "37063"),
        (" New Hanover ", "37129"),
        ("37063", "37063"),
        ("Durhm", None),
        ("", None),
    ],
)
def test_counties_as_people_write_them(text: str, code: str | None) -> None:
    expected = None if code is None else frozenset({code})
    answered = {"linkId": "work-county", "answer": [{"valueString": text}]}
    given = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [answered]}
    known = read(
        patient=PATIENT | {"address": [{"use": "old", "district": "Wake"}, {"district": text}]}, answers=[given]
    )
    assert (value(known, "county"), value(known, "work-county")) == (expected, expected)


def test_what_the_person_answers_stands_before_the_record() -> None:
    answered = {"linkId": "county", "answer": [{"valueCoding": {"system": vocabulary.COUNTY, "code": "37183"}}]}
    given = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [answered]}
    known = read(patient=PATIENT | {"address": [{"district": "Durham"}]}, answers=[given])
    assert [fact.source.attester for fact in known.about("county")] == ["self", "record"]


@pytest.mark.parametrize(
    ("patient", "source"),
    [
        ({}, None),
        ({"deceasedBoolean": False}, None),
        ({"deceasedBoolean": True}, Source("record", "Patient/p")),
        ({"deceasedDateTime": "2021-02-28T10:00:00-05:00"}, Source("record", "Patient/p", date(2021, 2, 28))),
        ({"deceasedDateTime": "2021-03-02"}, None),
        ({"deceasedDateTime": "2021"}, Source("record", "Patient/p")),
    ],
)
def test_deceased(patient: dict[str, Any], source: Source | None) -> None:
    assert read(patient=PATIENT | patient).deceased == source


def test_the_record_says_since_when() -> None:
    stored = PATIENT | {"meta": {"lastUpdated": "2021-01-06T04:30:00.123Z"}}
    known = read(patient=stored, zone="America/New_York")
    assert known.about("birth-date")[0].source == Source("record", "Patient/p", date(2021, 1, 5))
