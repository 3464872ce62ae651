"""$health-cards-issue and $health-cards-preview over HTTP."""

import hashlib
import time
from typing import Any

import httpx
import pytest

from tests.health_cards.conftest import JSON, People, dose

COVID = "https://terminology.smarthealth.cards/ValueSet/immunization-covid-cvx"
ALL = "http://hl7.org/fhir/uv/shc-vaccination/ValueSet/immunization-all-cvx"
POX = "https://terminology.smarthealth.cards/ValueSet/immunization-orthopoxvirus-all"


def content(card: str) -> dict[str, Any]:
    from smart_health_cards import jws, payload

    return payload.unpack(jws.split(card).payload)


def codes(cards: list[str]) -> list[str]:
    bundles = [content(card)["vc"]["credentialSubject"]["fhirBundle"] for card in cards]
    return [
        entry["resource"]["vaccineCode"]["coding"][0]["code"] for bundle in bundles for entry in bundle["entry"][1:]
    ]


async def test_a_card_for_each_disease_group_small_enough_for_one_code(people: People) -> None:
    patient, _ = await people.person(dose("", "208"), dose("", "141", "2020-10-01"), dose("", "208", "2021-02-19"))
    cards = await people.issue(patient)
    assert codes(cards) == ["208", "208", "141"]
    assert len(cards) == 2 and all(len(card) <= 1195 for card in cards)


async def test_a_post_answers_like_a_get(people: People, client: httpx.AsyncClient) -> None:
    patient, (given,) = await people.person(dose(""))
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "credentialType", "valueUri": "https://smarthealth.cards#immunization"},
            {"name": "credentialValueSet", "valueUri": COVID},
            {"name": "includeIdentityClaim", "valueString": "Patient.name"},
            {"name": "_since", "valueDateTime": "2020"},
        ],
    }
    answer = await client.post(f"Patient/{patient}/$health-cards-issue", json=parameters, headers=JSON)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    first, *links = answer.json()["parameter"]
    assert [link["name"] for link in links] == ["resourceLink", "resourceLink"]
    assert links[1]["part"][2]["valueUri"].endswith(f"/Immunization/{given}/_history/1")
    person = content(first["valueString"])["vc"]["credentialSubject"]["fhirBundle"]["entry"][0]["resource"]
    assert person == {"resourceType": "Patient", "name": [{"family": "Peña", "given": ["Ana"]}]}


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        ([COVID], ["208"]),
        ([ALL], ["208", "141", "206"]),
        ([ALL, COVID], ["208"]),
        ([COVID, POX], []),
        ([POX + "|2023.1"], ["206"]),
    ],
)
async def test_several_value_sets_mean_all_of_them(people: People, sets: list[str], found: list[str]) -> None:
    patient, _ = await people.person(dose("", "208"), dose("", "141"), dose("", "206"))
    assert sorted(codes(await people.issue(patient, credentialValueSet=sets))) == sorted(found)


async def test_another_spelling_of_cvx_goes_on_a_card(people: People) -> None:
    coding = {"system": "urn:oid:2.16.840.1.113883.12.292", "code": "208"}
    patient, _ = await people.person(dose("", vaccineCode={"coding": [coding]}))
    assert codes(await people.issue(patient)) == ["208"]


@pytest.mark.parametrize(
    ("query", "code", "place"),
    [
        ("", "missing-parameter", "credentialType"),
        ("credentialType=Immunization&color=red", "unknown-parameter", "color"),
        ("credentialType=Vaccination", "unknown-credential-type", "credentialType"),
        ("credentialType=Immunization&credentialValueSet=https://e.org/v", "unknown-value-set", "credentialValueSet"),
        ("credentialType=Immunization&_since=yesterday", "invalid-value", "_since"),
    ],
)
async def test_refused_with_the_parameter_named(
    people: People, client: httpx.AsyncClient, query: str, code: str, place: str
) -> None:
    patient, _ = await people.person()
    answer = await client.get(f"Patient/{patient}/$health-cards-issue?{query}")
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["details"]["coding"][0]["code"], issue["expression"]) == (400, code, [place])
    if code == "unknown-value-set":
        assert "https://e.org/v" in issue["details"]["text"]


async def test_nothing_to_certify_is_an_empty_answer(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose("", status="not-done"))
    for query in (
        "credentialType=Immunization",
        "credentialType=Immunization&credentialType=Observation",
        "credentialType=%23laboratory",
    ):
        answer = await client.get(f"Patient/{patient}/$health-cards-issue?{query}")
        assert (answer.status_code, answer.json()) == (200, {"resourceType": "Parameters"})


async def test_the_log_has_the_card_before_it_is_released(people: People, client: httpx.AsyncClient) -> None:
    patient, (given,) = await people.person(dose(""))
    before = time.time()
    (card,) = await people.issue(patient)
    log = (await client.get(f"AuditEvent?patient=Patient/{patient}&subtype=health-card-issued")).json()
    about, certified = log["entry"][0]["resource"]["entity"]
    noted = {each["type"]: each["valueString"] for each in about["detail"]}
    assert noted["rid"] == content(card)["vc"]["rid"]
    assert int(noted["nbf"]) == content(card)["nbf"] >= int(before)
    assert certified["what"]["reference"] == f"Immunization/{given}/_history/1"


async def test_preview_says_why_a_dose_is_on_no_card(people: People, client: httpx.AsyncClient) -> None:
    local = {"coding": [{"system": "https://clinic.example/vaccines", "code": "covid-1"}]}
    left = [
        (dose("", status="not-done"), "status-not-completed", "business-rule", "status"),
        (dose("", vaccineCode=local), "no-standard-code", "code-invalid", "vaccineCode"),
        (dose("", "998"), "vaccine-code-not-allowed", "code-invalid", "vaccineCode"),
        (dose("", primarySource=False), "historical", "business-rule", "primarySource"),
    ]
    undated = dose("")
    undated["occurrenceString"] = f"winter, {undated.pop('occurrenceDateTime')[:4]}"
    left.append((undated, "no-date", "required", "occurrence"))
    patient, ids = await people.person(dose(""), *(each[0] for each in left))
    answer = await client.get(f"Patient/{patient}/$health-cards-preview")
    assert answer.status_code == 200
    found = {
        (issue["expression"][0], issue["details"]["coding"][0]["code"], issue["code"])
        for issue in answer.json()["issue"]
    }
    assert found == {
        (f"Immunization.where(id = '{id}').{place}", detail, code)
        for id, (_, detail, code, place) in zip(ids[1:], left, strict=True)
    }


async def test_preview_of_more_doses_than_fit(people: People, client: httpx.AsyncClient) -> None:
    days = [f"20{year:02}-{month}-15" for year in range(10, 20) for month in ("02", "10", "12")]
    lots = [hashlib.sha256(day.encode()).hexdigest()[:12] for day in days]
    doses = [dose("", "141", day, lotNumber=lot) for day, lot in zip(days, lots, strict=True)]
    patient, ids = await people.person(*doses)
    issues = (await client.get(f"Patient/{patient}/$health-cards-preview")).json()["issue"]
    assert {issue["details"]["coding"][0]["code"] for issue in issues} == {"no-room"}
    (card,) = await people.issue(patient)
    on_card = content(card)["vc"]["credentialSubject"]["fhirBundle"]["entry"][1:]
    # The moment of issue is on the card, and may compress a little differently.
    assert 29 <= len(on_card) + len(issues) <= 31
    shown = [entry["resource"]["occurrenceDateTime"] for entry in on_card]
    assert shown == days[-len(shown) :], "the newest doses first"
    left = {issue["expression"][0] for issue in issues}
    assert left == {f"Immunization.where(id = '{id}')" for id in ids[: len(issues)]}


async def test_preview_with_nothing_left_out(people: People, client: httpx.AsyncClient) -> None:
    patient, _ = await people.person(dose(""))
    (issue,) = (await client.get(f"Patient/{patient}/$health-cards-preview")).json()["issue"]
    assert (issue["severity"], issue["details"]["coding"][0]["code"]) == ("information", "nothing-left-out")


async def test_the_capability_statement_lists_the_operations(client: httpx.AsyncClient) -> None:
    text = (await client.get("metadata")).text
    for name in ("health-cards-issue", "health-cards-preview", "health-cards-verify", "health-cards-revoke"):
        assert f'"{name}"' in text
        definition = (await client.get(f"OperationDefinition/{name}")).json()
        assert definition["code"] == name
