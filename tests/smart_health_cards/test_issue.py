import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smart_health_cards import (
    Card,
    CardError,
    Issuer,
    LogEntry,
    SigningKey,
    base64url,
    card,
    check,
    issue,
    minimal,
    numeric,
    prepare,
    release,
    rid,
)
from tests.smart_health_cards.conftest import NOW, fixed_key, immunization

Made = Callable[..., Card]


def header_and_claims(jws: str) -> tuple[bytes, Any]:
    header, payload, _ = jws.split(".")
    return base64url.decode(header), json.loads(zlib.decompress(base64url.decode(payload), -15))


def test_header_and_claims_are_exactly_the_specified_ones(issue_one: Made, key: SigningKey) -> None:
    made = issue_one(immunization(), rid=lambda group: rid(bytes(32), key.kid, group))
    header, claims = header_and_claims(made.jws)
    assert header == f'{{"zip":"DEF","alg":"ES256","kid":"{key.kid}"}}'.encode()
    bundle = claims["vc"]["credentialSubject"].pop("fhirBundle")
    assert bundle == made.bundle
    assert check(bundle) == []
    assert claims == {
        "iss": "https://health.example/shc",
        "nbf": NOW,
        "vc": {
            "type": ["https://smarthealth.cards#health-card", "https://smarthealth.cards#immunization"],
            "credentialSubject": {"fhirVersion": "4.0.1"},
            "rid": rid(bytes(32), key.kid, "covid-19"),
        },
    }


def test_issuer_settings_reach_the_claims(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> None:
    terms = replace(issuer, lifetime=3600, immunization_type=False)
    issued = issue(terms, key, patient, [immunization()], not_before=NOW, log=print)
    _, claims = header_and_claims(issued.cards[0].jws)
    assert claims["exp"] == NOW + 3600
    assert claims["vc"]["type"] == ["https://smarthealth.cards#health-card"]
    assert "rid" not in claims["vc"]


def test_each_card_tells_where_each_dose_went(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> None:
    doses = [
        immunization("2021-02-20"),
        immunization("2021-01-30", code="141"),
        immunization("2021-01-29"),
        immunization(status="not-done"),
    ]
    by_code = replace(
        issuer, group_of=lambda dose: {"141": "influenza"}.get(dose["vaccineCode"]["coding"][1]["code"], "covid-19")
    )
    issued = issue(by_code, key, patient, doses, not_before=NOW, log=print)
    assert [made.entry.group for made in issued.cards] == ["covid-19", "influenza"]
    assert [[(placed.position, placed.resource) for placed in made.placed] for made in issued.cards] == [
        [(2, "resource:1"), (0, "resource:2")],
        [(1, "resource:1")],
    ]
    for made in issued.cards:
        for placed in made.placed:
            (entry,) = [entry for entry in made.bundle["entry"] if entry["fullUrl"] == placed.resource]
            assert doses[placed.position]["occurrenceDateTime"].startswith(entry["resource"]["occurrenceDateTime"])
    assert [(dose.position, dose.code) for dose in issued.left_out] == [(3, "status-not-completed")]


def test_a_dose_without_a_group_gets_a_card_by_its_code(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any]
) -> None:
    none = replace(issuer, group_of=lambda dose: None)
    issued = issue(none, key, patient, [immunization(code="208"), immunization(code="03")], not_before=NOW, log=print)
    assert [made.entry.group for made in issued.cards] == [
        "http://hl7.org/fhir/sid/cvx|03",
        "http://hl7.org/fhir/sid/cvx|208",
    ]


@pytest.mark.parametrize(
    ("change", "code", "expression"),
    [
        ({"resourceType": "Observation"}, "not-an-immunization", "Immunization"),
        ({"patient": {"reference": "Patient/p2"}}, "other-patient", "Immunization.patient"),
        ({"patient": {"reference": "Patient/xp1"}}, "other-patient", "Immunization.patient"),
        ({"patient": {}}, "other-patient", "Immunization.patient"),
        ({"status": "entered-in-error"}, "status-not-completed", "Immunization.status"),
        ({"status": "not-done"}, "status-not-completed", "Immunization.status"),
        ({"primarySource": False}, "historical", "Immunization.primarySource"),
        ({"vaccineCode": {"text": "a vaccine"}}, "no-standard-code", "Immunization.vaccineCode"),
        (
            {"vaccineCode": {"coding": [{"system": "urn:local", "code": "208"}]}},
            "no-standard-code",
            "Immunization.vaccineCode",
        ),
        (
            {"vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "998"}]}},
            "vaccine-code-not-allowed",
            "Immunization.vaccineCode",
        ),
        ({"occurrenceDateTime": "2021-02-31"}, "date-invalid", "Immunization.occurrence"),
        ({"occurrenceDateTime": "2024-07-05"}, "date-in-future", "Immunization.occurrence"),
    ],
)
def test_why_a_dose_is_left_out(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any], change: dict[str, Any], code: str, expression: str
) -> None:
    vaccines = replace(issuer, code_allowed=lambda system, code: code != "998")
    issued = issue(vaccines, key, patient, [{**immunization(), **change}], not_before=NOW, log=print)
    assert issued.cards == ()
    assert [(dose.position, dose.code, dose.expression) for dose in issued.left_out] == [(0, code, expression)]


def test_a_dose_without_a_date_is_left_out(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> None:
    dose = immunization(occurrenceString="last summer")
    del dose["occurrenceDateTime"]
    (left,) = issue(issuer, key, patient, [dose], not_before=NOW, log=print).left_out
    assert left.code == "no-date"


def test_historical_doses_go_on_a_card_where_the_issuer_allows_it(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any]
) -> None:
    allowed = replace(issuer, historical=True)
    assert issue(allowed, key, patient, [immunization(primarySource=False)], not_before=NOW, log=print).cards


def test_references_to_the_patient_may_be_absolute_or_versioned(issue_one: Made) -> None:
    for reference in ("https://health.example/fhir/Patient/p1", "Patient/p1/_history/3"):
        assert issue_one(immunization(patient={"reference": reference}))


def test_partial_dates_stay_as_precise_as_they_are(issue_one: Made) -> None:
    made = issue_one({**immunization(), "occurrenceDateTime": "2021-03"})
    assert made.bundle["entry"][1]["resource"]["occurrenceDateTime"] == "2021-03"


def test_identity_claims_limit_what_is_told(issue_one: Made) -> None:
    assert "birthDate" not in issue_one(identity_claims=["Patient.name"]).bundle["entry"][0]["resource"]
    for claims in (None, ["Patient"], ["Patient.birthDate"]):
        assert "birthDate" in issue_one(identity_claims=claims).bundle["entry"][0]["resource"]


def test_nothing_to_issue_is_an_empty_answer(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> None:
    issued = issue(issuer, key, patient, [], not_before=NOW, log=print)
    assert (issued.cards, issued.left_out) == ((), ())


def test_every_card_fits_a_qr_code_and_the_newest_doses_come_first(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any]
) -> None:
    doses = [
        immunization(f"2021-{n // 28 + 1:02d}-{n % 28 + 1:02d}", lot=f"{n * 7919 % 99991:05d}QX{n}") for n in range(60)
    ]
    issued = issue(issuer, key, patient, doses, not_before=NOW, log=print)
    (made,) = issued.cards
    assert len(made.jws) <= 1195
    assert numeric(made.jws)
    on_card = [placed.position for placed in made.placed]
    assert on_card == sorted(on_card)
    assert on_card == list(range(60 - len(on_card), 60))
    assert [dose.position for dose in issued.left_out] == list(range(60 - len(on_card)))
    assert {dose.code for dose in issued.left_out} == {"no-room"}
    one_more = prepare(issuer, key.kid, patient, doses[-len(on_card) - 1 :], not_before=NOW)
    assert len(one_more.left_out) == 1
    spread = issue(replace(issuer, cards_per_group=10), key, patient, doses, not_before=NOW, log=print)
    assert spread.left_out == ()
    assert sorted(placed.position for made in spread.cards for placed in made.placed) == list(range(60))
    assert all(len(made.jws) <= 1195 for made in spread.cards)


def test_a_name_too_long_for_any_card_leaves_its_doses_out(key: SigningKey, issuer: Issuer) -> None:
    name = "".join(chr(0x4E00 + n * 37 % 20000) for n in range(900))
    person = {"resourceType": "Patient", "name": [{"text": name}]}
    issued = issue(issuer, key, person, [immunization()], not_before=NOW, log=print)
    assert (issued.cards, [dose.code for dose in issued.left_out]) == ((), ["no-room"])


def test_the_log_is_written_before_anything_is_signed(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> None:
    def broken(entry: LogEntry) -> None:
        raise OSError(f"no room for {entry.digest}")

    with pytest.raises(OSError, match=r"no room for [0-9a-f]{64}"):
        issue(issuer, key, patient, [immunization()], not_before=NOW, log=broken)


def test_the_log_tells_nothing_of_the_person(key: SigningKey, issuer: Issuer, patient: dict[str, Any]) -> None:
    entries: list[LogEntry] = []
    (made,) = issue(issuer, key, patient, [immunization()], not_before=NOW, log=entries.append).cards
    assert entries == [made.entry]
    assert not any(told in repr(entries) for told in ("Anyperson", "1951", "p1", "2021-01-29"))


def test_prepared_drafts_are_released_with_their_own_key_only(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any]
) -> None:
    (drafted,) = prepare(issuer, key.kid, patient, [immunization()], not_before=NOW).drafts
    assert release(drafted, key).bundle is drafted.bundle
    with pytest.raises(CardError, match="key-mismatch"):
        release(drafted, fixed_key(99))


def test_a_wrong_signature_is_never_released(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (drafted,) = prepare(issuer, key.kid, patient, [immunization()], not_before=NOW).drafts
    monkeypatch.setattr(SigningKey, "sign", lambda self, data: bytes(64))
    with pytest.raises(CardError, match="self-check-failed"):
        release(drafted, key)


def test_the_gate_signs_nothing_beyond_the_allowable_form(
    key: SigningKey, issuer: Issuer, patient: dict[str, Any]
) -> None:
    dose = {**minimal.immunization(immunization()), "protocolApplied": []}
    bundle = minimal.bundle(minimal.patient(patient), [dose])
    with pytest.raises(CardError, match="profile-element-not-allowed"):
        card.draft(issuer, key.kid, bundle, not_before=NOW)
    del dose["protocolApplied"]
    for terms, code in (
        ({"not_before": NOW + 0.5}, "nbf-not-integer"),
        ({"not_before": NOW, "rid": "a b"}, "rid-malformed"),
    ):
        with pytest.raises(CardError, match=code):
            card.draft(issuer, key.kid, bundle, **terms)


@pytest.mark.parametrize(
    ("iss", "code"),
    [
        ("http://health.example/shc", "iss-not-https"),
        ("https://health.example/shc/", "iss-malformed"),
        ("https://health.example/shc?x=1", "iss-malformed"),
        ("https://health.example/#x", "iss-malformed"),
        ("https://user@health.example", "iss-malformed"),
        ("https://", "iss-malformed"),
        ("https://[", "iss-malformed"),
        ("https://health.example/a b", "iss-malformed"),
        ("http://127.0.0.1:8000/shc/", "iss-not-https"),
        ("", "iss-missing"),
    ],
)
def test_addresses_that_name_no_issuer(iss: str, code: str) -> None:
    with pytest.raises(CardError) as raised:
        Issuer(iss, group_of=lambda dose: None)
    assert raised.value.code == code


def test_a_development_server_may_issue_on_its_own_machine() -> None:
    assert Issuer("http://127.0.0.1:8000/shc", group_of=lambda dose: None)
