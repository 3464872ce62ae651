"""$immds-forecast over HTTP: people handed in, people on record, and what comes in badly."""

import csv
from pathlib import Path
from typing import Any

import httpx
import pytest

from profiles import checker, structure
from terminology.library import shipped
from tests.http.answers import JSON

CDC = Path(__file__).parents[3] / "shared" / "data" / "cdsi" / "covid_cases_2024-25.csv"

CVX = "http://hl7.org/fhir/sid/cvx"
NDC = "http://hl7.org/fhir/sid/ndc"
SNOMED = "http://snomed.info/sct"
CDSI = "https://fhir-server.example/fhir/CodeSystem/cdsi-observation"
STATUS = "http://terminology.hl7.org/CodeSystem/immunization-recommendation-status"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
ENDED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}
EARLIEST, DUE, OVERDUE = "30981-5", "30980-7", "59778-1"
DATES = {EARLIEST: "Earliest_Date", DUE: "Recommended_Date", OVERDUE: "Past_Due_Date"}


def dose(day: str | None, code: str = "309", system: str = CVX, **more: Any) -> dict[str, Any]:
    occurrence = {"occurrenceString": "unknown"} if day is None else {"occurrenceDateTime": day}
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": system, "code": code}]},
        "patient": {"reference": "Patient/p"},
        "primarySource": True,
    } | (occurrence | more)


def person(born: str | None = "1990-06-01") -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", "gender": "female"} | ({"birthDate": born} if born else {})


def condition(code: str, system: str = SNOMED, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p"},
    } | more


def body(
    *doses: dict[str, Any], day: str = "2025-01-15", born: str | None = "1990-06-01", **more: Any
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": "assessmentDate", "valueDate": day},
        {"name": "patient", "resource": person(born)},
        *({"name": "immunization", "resource": one} for one in doses),
    ]
    for name, value in more.items():
        if isinstance(value, dict):
            parameters.append({"name": name, "resource": value})
        else:
            parameters.append({"name": name, "valueString": value})
    return {"resourceType": "Parameters", "parameter": parameters}


async def ask(client: httpx.AsyncClient, sent: dict[str, Any], language: str = "en") -> dict[str, Any]:
    answer = await client.post("$immds-forecast", json=sent, headers=JSON | {"accept-language": language})
    assert answer.status_code == 200, answer.text
    return read(answer)


def read(answer: httpx.Response) -> dict[str, Any]:
    """`doses`: (status word, first reason code) of each evaluation; `status`, `dates`, `reasons`, `vaccines`."""
    given = answer.json()["parameter"]
    [recommendation] = [one["resource"] for one in given if one["name"] == "recommendation"]
    [next_dose] = recommendation["recommendation"]
    evaluations = [one["resource"] for one in given if one["name"] == "evaluation"]
    return {
        "evaluations": evaluations,
        "doses": [(one["doseStatus"]["text"], _code(one["doseStatusReason"][0])) for one in evaluations],
        "status": next_dose["forecastStatus"]["text"],
        "bound": [one["code"] for one in next_dose["forecastStatus"].get("coding", ())],
        "dates": {one["code"]["coding"][0]["code"]: one["value"] for one in next_dose.get("dateCriterion", ())},
        "reasons": [_code(one) for one in next_dose["forecastReason"]],
        "texts": [one["text"] for one in next_dose["forecastReason"]],
        "vaccines": [one["coding"][0]["code"] for one in next_dose["vaccineCode"]],
        "refused": [one["coding"][0]["code"] for one in next_dose.get("contraindicatedVaccineCode", ())],
        "series": next_dose.get("series"),
        "authority": recommendation["authority"]["display"],
    }


def _code(concept: dict[str, Any]) -> str:
    code: str = concept["coding"][-1]["code"]
    return code


async def test_the_answer_has_the_shape_of_the_guide(client: httpx.AsyncClient) -> None:
    sent = body(dose("2024-09-10", id="first"), dose("2024-09-20"), dose("2020-01-01", "08"))
    answer = await client.post("$immds-forecast", json=sent, headers=JSON)
    found = answer.json()["parameter"]
    assert [one["name"] for one in found] == ["evaluation", "evaluation", "recommendation"]
    first, second, recommendation = (one["resource"] for one in found)
    assert first["meta"]["profile"] == ["http://hl7.org/fhir/uv/immds/StructureDefinition/immds-immunizationevaluation"]
    assert first["immunizationEvent"] == {"reference": "Immunization/first"}
    assert first["doseStatus"]["coding"][0]["code"] == "valid"
    assert first["doseStatus"]["text"] == "Valid"
    assert first["targetDisease"]["coding"][0] == {
        "system": CVX,
        "code": "213",
        "display": "SARS-COV-2 (COVID-19) vaccine, UNSPECIFIED",
    }
    assert first["date"] == "2025-01-15"
    assert second["immunizationEvent"] == {"reference": "#immunization"}
    assert second["contained"][0]["occurrenceDateTime"] == "2024-09-20"
    assert second["doseStatus"]["coding"][0]["code"] == "notvalid"
    assert recommendation["patient"] == {"reference": "Patient/p"}
    assert recommendation["recommendation"][0]["forecastStatus"] == {
        "coding": [{"system": STATUS, "code": "complete", "display": "Complete"}],
        "text": "Complete",
    }


async def test_dates_are_told_by_loinc_codes(client: httpx.AsyncClient) -> None:
    found = await ask(client, body(dose("2025-02-06", "308"), day="2025-02-06", born="2024-08-06"))
    assert found["dates"] == {EARLIEST: "2025-02-27", DUE: "2025-02-27", OVERDUE: "2025-04-02"}
    assert found["bound"] == ["due"]
    assert found["status"] == "Not Complete"
    assert found["authority"] == "CDC-ACIP 2024-25 (CDSi 4.61)"
    late = await ask(client, body(dose("2025-02-06", "308"), day="2025-04-03", born="2024-08-06"))
    assert late["bound"] == ["overdue"]


@pytest.mark.parametrize("names", [("ASSESSMENTDATE", "Patient", "Immunization"), (None, "PATIENT", "immunization")])
async def test_names_may_be_in_any_case_and_the_date_without_one(
    client: httpx.AsyncClient, names: tuple[str | None, str, str]
) -> None:
    sent = body(dose("2024-09-10"))
    for parameter, name in zip(sent["parameter"], names, strict=True):
        parameter |= {"name": name}
    if names[0] is None:
        del sent["parameter"][0]["name"]
    assert (await ask(client, sent))["doses"] == [("Valid", "preferable")]


@pytest.mark.parametrize(
    ("day", "version"),
    [("2020-12-12", "2021"), ("2021-12-31", "2021"), ("2023-09-12", "2023-24"), ("2024-08-21", "2023-24"),
     ("2024-08-22", "2024-25"), ("2025-08-26", "2024-25"), ("2025-08-27", "2025-26")],
)  # fmt: skip
async def test_the_schedule_in_force_on_the_day(client: httpx.AsyncClient, day: str, version: str) -> None:
    assert (await ask(client, body(day=day)))["authority"].startswith(f"CDC-ACIP {version}")


async def test_a_schedule_asked_for_by_name(client: httpx.AsyncClient) -> None:
    found = await ask(client, body(day="2025-09-01", knowledgeBase="cdc-acip", knowledgeBaseVersion="2024-25"))
    assert found["authority"] == "CDC-ACIP 2024-25 (CDSi 4.61)"
    assert found["reasons"][-1] == "outside-window"
    assert found["texts"][-1].endswith("it is meant for August 22, 2024 to August 26, 2025.")


@pytest.mark.parametrize("day", ["2020-12-11", "2022-06-01", "2030-01-01"])
async def test_a_day_outside_every_window_is_not_supported(client: httpx.AsyncClient, day: str) -> None:
    answer = await client.post("$immds-forecast", json=body(day=day), headers=JSON)
    [issue] = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (422, "not-supported")
    assert issue["details"]["coding"][0]["code"] == "no-knowledge-base"
    assert "2023-24 from 2023-09-12 to 2024-08-21" in issue["details"]["text"]


@pytest.mark.parametrize("name", ["knowledgeBase", "knowledgeBaseVersion"])
async def test_an_unknown_schedule_is_refused(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("$immds-forecast", json=body(**{name: "2019"}), headers=JSON)
    [issue] = answer.json()["issue"]
    assert (answer.status_code, issue["details"]["coding"][0]["code"]) == (400, "unknown-knowledge-base")
    assert issue["expression"] == [name]


async def test_immunocompromise_brings_the_schedule_for_people_at_risk(client: httpx.AsyncClient) -> None:
    before = await ask(client, body(dose("2024-09-10")))
    assert before["status"] == "Complete"
    for said in (
        condition("313039003"),
        condition("Z94.0", "http://hl7.org/fhir/sid/icd-10-cm"),
        condition("157", CDSI),
    ):
        found = await ask(client, body(dose("2024-09-10"), condition=said))
        assert (found["status"], "indication" in found["reasons"]) == ("Not Complete", True)
    observed = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Immune status"},
        "valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "86553008"}]},
    }
    assert "indication" in (await ask(client, body(dose("2024-09-10"), observation=observed)))["reasons"]


@pytest.mark.parametrize(
    "said",
    [
        condition("313039003", verificationStatus={"coding": [{"system": VERIFICATION, "code": "refuted"}]}),
        condition("86553008", clinicalStatus=ENDED),
        condition("86553008", clinicalStatus=ENDED, abatementDateTime="2024-12-01"),
        condition("22298006"),
    ],
)
async def test_conditions_that_do_not_hold_change_nothing(client: httpx.AsyncClient, said: dict[str, Any]) -> None:
    assert (await ask(client, body(dose("2024-09-10"), condition=said)))["status"] == "Complete"


async def test_contraindications(client: httpx.AsyncClient) -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "code": {"coding": [{"system": CVX, "code": "309"}]},
        "patient": {"reference": "Patient/p"},
    }
    found = await ask(client, body(allergyIntolerance=allergy))
    assert (found["status"], found["bound"]) == ("Contraindicated", ["contraindicated"])
    assert found["reasons"] == ["contraindicated", "contraindication"]
    found = await ask(client, body(condition=condition("188", CDSI)), "es")
    assert found["status"] == "Not Complete"
    assert {"309", "312"} <= set(found["refused"])
    sentence = "Algunas de las vacunas no deben administrarse: Alergia conocida al polietilenglicol [PEG]."
    assert sentence in found["texts"]


async def test_doses_by_other_codes_are_understood(client: httpx.AsyncClient) -> None:
    by_ndc = await ask(client, body(dose("2024-09-10", "00069-2432-01", NDC)))
    assert by_ndc["doses"] == [("Valid", "preferable")]
    by_kind = await ask(client, body(dose("2024-09-10", "1119349007", SNOMED)))
    assert by_kind["doses"] == [("Valid", "allowable")]


@pytest.mark.parametrize(
    ("given", "born", "expected"),
    [
        (dose(None), "1990-06-01", ("Not Evaluated", "date-unknown")),
        (dose("2024-09"), "1990-06-01", ("Not Evaluated", "date-unknown")),
        (dose("2024-09-10", "9999"), "1990-06-01", ("Not Evaluated", "vaccine-unknown")),
        (dose("2024-09-10", "999"), "1990-06-01", ("Not Evaluated", "vaccine-unknown")),
        (dose("2024-09-10", "225"), "1990-06-01", ("Not Valid", "wrong-vaccine")),
        (dose("1989-09-10"), "1990-06-01", ("Not Valid", "before-birth")),
        (dose("2024-09-10"), None, ("Not Evaluated", "no-birth-date")),
        (dose("2024-09-10", status="not-done"), "1990-06-01", ("Not Evaluated", "not-done")),
        (dose("2024-09-10", status="entered-in-error"), "1990-06-01", ("Not Evaluated", "entered-in-error")),
        (dose("2024-09-10", isSubpotent=True), "1990-06-01", ("Sub-standard", "sub-standard")),
        (dose("2024-09-10", expirationDate="2024-09-09"), "1990-06-01", ("Sub-standard", "lot-expired")),
    ],
)
async def test_what_comes_in_badly_gets_an_answer_with_a_reason(
    client: httpx.AsyncClient, given: dict[str, Any], born: str | None, expected: tuple[str, str]
) -> None:
    found = await ask(client, body(given, born=born))
    assert found["doses"] == [expected]
    assert found["status"] == ("Unknown" if born is None else "Not Complete")
    assert all(found["texts"])


async def test_two_doses_on_a_day_are_one(client: httpx.AsyncClient) -> None:
    found = await ask(client, body(dose("2024-09-10"), dose("2024-09-10", "213"), dose("2024-09-10")))
    assert sorted(found["doses"]) == [("Not Evaluated", "duplicate")] * 2 + [("Valid", "preferable")]


async def test_the_order_of_the_doses_decides_nothing(client: httpx.AsyncClient) -> None:
    doses = [dose("2024-09-10", id="b"), dose("2024-09-10", id="a"), dose("2024-08-25", "312", id="c")]
    found = [await ask(client, body(*order)) for order in (doses, doses[::-1])]
    assert found[0] == found[1]
    events = [one["immunizationEvent"]["reference"] for one in found[0]["evaluations"]]
    assert events == ["Immunization/c", "Immunization/a", "Immunization/b"]
    assert [code for _, code in found[0]["doses"]] == ["preferable", "too-young", "duplicate"]


async def test_a_partial_birth_date_is_said(client: httpx.AsyncClient) -> None:
    found = await ask(client, body(dose("2024-09-10"), born="1990"))
    assert (found["status"], found["reasons"][-1]) == ("Complete", "birth-date-partial")


async def _stored(client: httpx.AsyncClient, resource: dict[str, Any], patient: str | None = None) -> str:
    who = {} if patient is None else {"subject" if "subject" in resource else "patient": {"reference": patient}}
    answer = await client.post(resource["resourceType"], json=resource | who, headers=JSON)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


async def test_a_correction_changes_the_answer_at_once(client: httpx.AsyncClient) -> None:
    patient = await _stored(client, person())

    async def now() -> dict[str, Any]:
        return read(await client.get(f"{patient}/$immds-forecast", params={"assessmentDate": "2025-01-15"}))

    assert (await now())["status"] == "Not Complete"
    given = await _stored(client, dose("2024-09-10"), patient)
    found = await now()
    assert (found["status"], found["doses"]) == ("Complete", [("Valid", "preferable")])
    assert found["evaluations"][0]["immunizationEvent"] == {"reference": given}
    resource = (await client.get(given)).json()
    await client.put(given, json=resource | {"occurrenceDateTime": "2024-08-01"}, headers=JSON)
    assert (await now())["status"] == "Not Complete"
    await client.put(given, json=resource, headers=JSON)
    assert (await now())["status"] == "Complete"
    await client.put(given, json=resource | {"status": "entered-in-error"}, headers=JSON)
    found = await now()
    assert (found["status"], found["doses"]) == ("Not Complete", [("Not Evaluated", "entered-in-error")])


async def test_what_is_stored_about_a_patient_is_looked_at_as_of_the_day(client: httpx.AsyncClient) -> None:
    patient = await _stored(client, person())
    await _stored(client, dose("2024-09-10"), patient)
    await _stored(client, condition("86553008"), patient)
    answer = await client.post(f"{patient}/$immds-forecast?", json={
        "resourceType": "Parameters", "parameter": [{"name": "AssessmentDate", "valueDate": "2024-09-01"}],
    }, headers=JSON)  # fmt: skip
    found = read(answer)
    assert found["doses"] == [("Not Evaluated", "after-assessment")]
    assert found["reasons"][0] == "dose-needed"
    assert "indication" in found["reasons"]
    today = await client.get(f"{patient}/$immds-forecast", params={"assessmentdate": "2024-09-10"})
    assert read(today)["doses"] == [("Valid", "preferable")]
    missing = await client.get("Patient/nobody-at-all/$immds-forecast")
    assert missing.status_code == 404


async def test_both_forms_have_their_definitions(client: httpx.AsyncClient) -> None:
    for name, levels in (("immds-forecast", (True, False)), ("Patient-immds-forecast", (False, True))):
        found = (await client.get(f"OperationDefinition/{name}")).json()
        assert (found["system"], found["instance"]) == levels
    assert (await client.get("$immds-forecast")).status_code == 405
    [rest] = (await client.get("metadata")).json()["rest"]
    [patient] = [one for one in rest["resource"] if one["type"] == "Patient"]
    for operations, name in ((rest["operation"], "immds-forecast"), (patient["operation"], "Patient-immds-forecast")):
        [definition] = [one["definition"] for one in operations if one["name"] == "immds-forecast"]
        assert definition.endswith(f"/OperationDefinition/{name}")


PROFILES = "http://hl7.org/fhir/{}/immds/StructureDefinition/immds-{}"


@pytest.mark.parametrize(
    "sent",
    [
        body(),
        body(dose("2024-09-10", id="first"), dose("2024-09-20"), dose("2024-09-10"), dose("2021-01-01", "208")),
        body(dose("2024-09-10"), dose("2024-09-12", "308", expirationDate="2024-09-01"), born=None),
        body(dose("2025-02-06", "308"), day="2025-04-03", born="2024-08-06"),
        body(dose(None), dose("2024-09", "9999"), condition=condition("188", CDSI), born="1990"),
        body(condition=condition("122", CDSI)),
    ],
)
async def test_the_answer_meets_the_profiles_of_the_guide(client: httpx.AsyncClient, sent: dict[str, Any]) -> None:
    del sent["parameter"][1]["resource"]["id"]
    for language in ("en", "es"):
        answer = await client.post("$immds-forecast", json=sent, headers=JSON | {"accept-language": language})
        resources = [one["resource"] for one in answer.json()["parameter"]]
        assert structure.check(answer.json()) == []
        for resource, spelling in zip(resources, ["uv", "us"] * len(resources), strict=False):
            profile = PROFILES.format(spelling, resource["resourceType"].lower())
            issues = checker.check(resource, profile, shipped().allowed)
            assert [issue for issue in issues if issue.severity == "error"] == []


@pytest.mark.skipif(not CDC.is_file(), reason="CDC's test cases are not at hand")
async def test_cdcs_cases_come_out_of_the_operation(client: httpx.AsyncClient) -> None:
    failed = {}
    for row in csv.DictReader(CDC.read_text("utf-8-sig").splitlines()):
        numbers = [number for number in range(1, 8) if row[f"CVX_{number}"]]
        doses = [dose(row[f"Date_Administered_{number}"], row[f"CVX_{number}"]) for number in numbers]
        found = await ask(client, body(*doses, day=row["Assessment_Date"], born=row["DOB"]))
        expected = (
            row["Series_Status"].title(),
            [row[f"Evaluation_Status_{number}"] for number in numbers],
            {code: row[name] for code, name in DATES.items() if row[name]},
        )
        got = (found["status"], [word for word, _ in found["doses"]], found["dates"])
        if got != expected:
            failed[row["CDC_Test_ID"]] = (expected, got)
    assert failed == {}
