"""How a person may be reached: languages, contact points, consents, and whose call list they are on."""

from datetime import date
from typing import Any

import pytest

from fhir_server.operations import contacts, facts, vocabulary

ON = date(2021, 2, 5)


def record(patient: dict[str, Any] | None = None, **more: Any) -> facts.Record:
    return facts.Record({"resourceType": "Patient", "id": "p"} | (patient or {}), **more)


def spoken(*tags: str, preferred: str | None = None) -> dict[str, Any]:
    languages = [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": tag}]}}
        | ({"preferred": True} if tag == preferred else {})
        for tag in tags
    ]
    return {"communication": languages}


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({}, "en"),
        (spoken("es"), "es"),
        (spoken("es-MX"), "es"),
        (spoken("en", "es"), "en"),
        (spoken("en", "es", preferred="es"), "es"),
        (spoken("vi", "es", preferred="vi"), "es"),
        (spoken("vi"), "en"),
        ({"communication": [{"language": {"text": "Spanish"}}]}, "en"),
    ],
)
def test_language(patient: dict[str, Any], expected: str) -> None:
    assert contacts.language(patient) == expected


def mail(value: str, **more: Any) -> dict[str, Any]:
    return {"system": "email", "value": value, **more}


@pytest.mark.parametrize(
    ("telecom", "expected"),
    [
        ([], None),
        ([mail("a@example.org")], "a@example.org"),
        ([mail("a@example.org", use="old")], None),
        ([mail("a@example.org", use="old"), mail("b@example.org")], "b@example.org"),
        ([mail("a@example.org", rank=2), mail("b@example.org", rank=1)], "b@example.org"),
        ([mail("a@example.org"), mail("b@example.org", rank=1)], "b@example.org"),
        ([mail("a@example.org", period={"end": "2021-02-04"})], None),
        ([mail("a@example.org", period={"end": "2021-02-05"})], "a@example.org"),
        ([mail("a@example.org", period={"end": "2021"})], "a@example.org"),
        ([mail("not an address")], None),
        ([{"system": "phone", "value": "+19195550100"}], None),
        ([{"system": "email"}], None),
    ],
)
def test_the_address_in_use(telecom: list[dict[str, Any]], expected: str | None) -> None:
    found = record({"telecom": telecom})
    assert contacts.read(found, facts.read(found, ON), ON).email == expected


def answered(code: str, **more: Any) -> dict[str, Any]:
    coding = {"system": vocabulary.REMINDER_CHANNEL, "code": code}
    item = [{"linkId": "reminders", "answer": [{"valueCoding": coding}]}]
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "item": item, **more}


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ([], {"email", "phone"}),
        ([answered("email")], {"email"}),
        ([answered("phone")], {"phone"}),
        ([answered("none")], set()),
        ([answered("none", authored="2021-01-01"), answered("email", authored="2021-01-02")], {"email"}),
        # What a provider writes down does not take the person's own word away.
        ([answered("none", source={"reference": "Practitioner/1"})], {"email", "phone"}),
    ],
)
def test_what_the_person_allows(responses: list[dict[str, Any]], expected: set[str]) -> None:
    found = record(responses=responses)
    assert contacts.read(found, facts.read(found, ON), ON).allow == expected


@pytest.mark.parametrize(
    ("category", "more", "refused"),
    [
        ("no-contact", {}, True),
        ("no-contact", {"status": "inactive"}, False),
        ("no-contact", {"provision": {"period": {"end": "2021-02-04"}}}, False),
        ("do-not-share", {}, False),
        ("decline-vaccine", {}, False),
    ],
)
def test_no_contact(category: str, more: dict[str, Any], refused: bool) -> None:
    coding = {"system": vocabulary.CONSENT_CATEGORY, "code": category}
    consent = {"resourceType": "Consent", "status": "active", "category": [{"coding": [coding]}], **more}
    found = record(consents=[consent])
    assert (contacts.read(found, facts.read(found, ON), ON).refused is not None) is refused


def given(day: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Immunization", "status": "completed", "occurrenceDateTime": day, **more}


def by(*references: str) -> dict[str, Any]:
    return {"performer": [{"actor": {"reference": reference}} for reference in references]}


@pytest.mark.parametrize(
    ("patient", "immunizations", "expected"),
    [
        ({}, [], None),
        ({"managingOrganization": {"reference": "Organization/m"}}, [], "Organization/m"),
        ({"generalPractitioner": [{"reference": "Practitioner/g"}]}, [given("2021-01-01")], "Practitioner/g"),
        ({}, [given("2021-01-01", **by("Practitioner/p", "Organization/o"))], "Organization/o"),
        ({}, [given("2021-01-01", location={"reference": "Location/l"}, **by("Practitioner/p"))], "Location/l"),
        (
            {},
            [given("2021-01-02", **by("Organization/2")), given("2021-01-01", **by("Organization/1"))],
            "Organization/2",
        ),
        ({}, [given("2021-01-02", **by("Organization/2")) | {"status": "entered-in-error"}], None),
    ],
)
def test_whose_call_list(patient: dict[str, Any], immunizations: list[dict[str, Any]], expected: str | None) -> None:
    assert contacts.provider(record(patient, immunizations=immunizations)) == expected
