"""$vaccine-eligibility over HTTP: decisions on stored people and on people nobody stores."""

from typing import Any

import httpx
import pytest

from fhir_server.operations import vocabulary


async def patient(client: httpx.AsyncClient, born: str | None = "1990-06-01") -> str:
    person = {"resourceType": "Patient", "name": [{"family": "Li"}]} | ({"birthDate": born} if born else {})
    return f"Patient/{(await client.post('Patient', json=person)).json()['id']}"


async def ask(client: httpx.AsyncClient, address: str, as_of: str, **more: str) -> dict[str, Any]:
    headers = {"accept-language": more.pop("language", "en")}
    answer = await client.get(f"{address}/$vaccine-eligibility", params={"asOf": as_of, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    return read(answer.json())


def read(parameters: dict[str, Any]) -> dict[str, Any]:
    """Values by name; `nextDose` as its parts by name, `reason` and `missing` as lists of such."""
    found: dict[str, Any] = {"reason": [], "missing": []}
    for parameter in parameters["parameter"]:
        name = parameter["name"]
        if "part" in parameter:
            parts = {part["name"]: _value(part) for part in parameter["part"]}
            found[name] = [*found[name], parts] if name in found else parts
        else:
            found[name] = _value(parameter)
    return found


def _value(part: dict[str, Any]) -> Any:
    return next(value for name, value in part.items() if name.startswith("value"))


def response(subject: str | None = None, **answers: Any) -> dict[str, Any]:
    items = [
        {
            "linkId": name.replace("_", "-"),
            "answer": [{"valueBoolean": value} if isinstance(value, bool) else {"valueCoding": {"code": value}}],
        }
        for name, value in answers.items()
    ]
    about = {"subject": {"reference": subject}} if subject else {}
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{vocabulary.REGISTRATION}|1",
        "status": "completed",
        "authored": "2021-01-05",
        "item": items,
    } | about


async def test_eligible_by_age_with_the_version_of_the_group(client: httpx.AsyncClient) -> None:
    found = await ask(client, await patient(client, "1950-01-01"), "2021-01-14")
    assert found["status"] == "eligible"
    assert found["group"]["reference"] == "Group/nc-2021-01-group-2/_history/1"
    assert found["group"]["display"] == "Group 2: people aged 65 or older"
    assert [(reason["code"], reason["met"]) for reason in found["reason"]] == [("phase-open", True), ("age", True)]
    assert found["reason"][0]["text"] == "“Group 2: people aged 65 or older” has been open since January 14, 2021."
    assert found["reason"][1]["source"]["display"] == "record"
    assert "opensOn" not in found


async def test_in_spanish(client: httpx.AsyncClient) -> None:
    found = await ask(client, await patient(client), "2021-01-20", language="es-MX,en;q=0.5")
    assert found["status"] == "needs-info"
    assert found["missing"][0] == {
        "linkId": "occupation",
        "text": "¿Cuál de estas opciones describe mejor su trabajo?",
    }
    assert found["opensOn"] == "2021-04-07"
    texts = [reason["text"] for reason in found["reason"]]
    assert "Necesitamos saber más sobre su ocupación. La que se pide: Trabajador de la salud." in texts


async def test_answers_change_and_the_decision_with_them(client: httpx.AsyncClient) -> None:
    person = await patient(client)
    nurse = response(person, occupation="health-care", patient_contact=True)
    stored = (await client.post("QuestionnaireResponse", json=nurse)).json()
    found = await ask(client, person, "2021-01-20")
    assert (found["status"], found["group"]["reference"]) == ("eligible", "Group/nc-2021-01-group-1a/_history/1")
    source = next(reason for reason in found["reason"] if reason["code"] == "occupation")
    assert source["source"] == {"reference": f"QuestionnaireResponse/{stored['id']}", "display": "self"}
    assert source["since"] == "2021-01-05"
    other = response(person, occupation="other", residence="household") | {"authored": "2021-01-06"}
    await client.post("QuestionnaireResponse", json=other)
    found = await ask(client, person, "2021-01-20")
    assert (found["status"], found["opensOn"]) == ("not-yet", "2021-04-07")


async def test_doses_and_a_refusal_and_a_corrected_dose(client: httpx.AsyncClient) -> None:
    person = await patient(client, "1950-01-01")
    doses = []
    for day in ("2021-01-15", "2021-02-05"):
        dose = {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
            "patient": {"reference": person},
            "occurrenceDateTime": day,
        }
        doses.append((await client.post("Immunization", json=dose)).json())
    between = await ask(client, person, "2021-02-04")
    assert (between["status"], between["doseFrom"]) == ("eligible", "2021-02-05")
    assert between["nextDose"] == {"earliest": "2021-02-05", "recommended": "2021-02-05", "pastDue": "2021-02-25"}
    assert between["reason"][-1]["text"] == "Your next dose can be given from February 5, 2021 on, not earlier."
    done = await ask(client, person, "2021-02-05")
    assert (done["status"], "nextDose" in done, "group" in done) == ("complete", False, False)
    doses[1]["status"] = "entered-in-error"
    await client.put(f"Immunization/{doses[1]['id']}", json=doses[1])
    again = await ask(client, person, "2021-02-10")
    assert (again["status"], again["nextDose"]["earliest"], again["doseFrom"]) == (
        "eligible",
        "2021-02-05",
        "2021-02-10",
    )
    # The first dose was given a week later than it says.
    await client.put(f"Immunization/{doses[0]['id']}", json=doses[0] | {"occurrenceDateTime": "2021-01-22"})
    assert (await ask(client, person, "2021-02-10"))["nextDose"]["earliest"] == "2021-02-12"


async def test_who_declines_is_opted_out_until_they_change_their_mind(client: httpx.AsyncClient) -> None:
    person = await patient(client, "1950-01-01")
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]},
        "category": [{"coding": [{"system": vocabulary.CONSENT_CATEGORY, "code": "decline-vaccine"}]}],
        "patient": {"reference": person},
        "dateTime": "2021-01-10",
        "policyRule": {"text": "The person declines the vaccine."},
    }
    stored = (await client.post("Consent", json=consent)).json()
    found = await ask(client, person, "2021-01-20")
    assert (found["status"], found["reason"][0]["code"]) == ("opted-out", "declined")
    await client.put(f"Consent/{stored['id']}", json=stored | {"status": "inactive"})
    assert (await ask(client, person, "2021-01-20"))["status"] == "eligible"


async def test_an_allergy_speaks_against_it_whatever_the_phase(client: httpx.AsyncClient) -> None:
    person = await patient(client, "1950-01-01")
    allergy = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": person},
        "onsetDateTime": "2021-01-15",
    }
    assert (await client.post("AllergyIntolerance", json=allergy)).status_code == 201
    found = await ask(client, person, "2021-01-20")
    assert (found["status"], found["reason"][0]["code"]) == ("not-eligible", "contraindicated")
    assert "nextDose" not in found
    assert "doseFrom" not in found
    assert ("phase-open", True) in [(reason["code"], reason.get("met")) for reason in found["reason"]]


async def test_odd_doses_have_an_answer(client: httpx.AsyncClient) -> None:
    """Unknown codes, partial days, before birth, twice a day, in the future: the rest still counts."""
    person = await patient(client, "1950-01-01")
    for code, given in (
        ("999", {"occurrenceDateTime": "2021-01-02"}),
        ("208", {"occurrenceDateTime": "2021-01"}),
        ("208", {"occurrenceDateTime": "1940-01-01"}),
        ("208", {"occurrenceDateTime": "2021-01-15"}),
        ("213", {"occurrenceDateTime": "2021-01-15T10:00:00-05:00"}),
        ("208", {"occurrenceDateTime": "2031-01-01"}),
        ("208", {"occurrenceString": "in spring"}),
    ):
        dose = {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": code}]},
            "patient": {"reference": person},
        }
        assert (await client.post("Immunization", json=dose | given)).status_code == 201
    found = await ask(client, person, "2021-02-04")
    assert (found["status"], found["nextDose"]["earliest"]) == ("eligible", "2021-02-05")
    unborn = await ask(client, person, "1949-12-31")
    assert (unborn["status"], "nextDose" in unborn) == ("needs-info", False)


async def test_an_employer_attests(client: httpx.AsyncClient) -> None:
    person = await patient(client)
    member = {"entity": {"reference": person}, "period": {"start": "2021-01-05"}}
    roster = {
        "resourceType": "Group",
        "type": "person",
        "actual": True,
        "managingEntity": {"reference": "Organization/test-works"},
        "member": [member],
    }
    works = {"resourceType": "Organization", "id": "test-works", "name": "Works"}
    await client.put("Organization/test-works", json=works)
    group = (await client.post("Group", json=roster)).json()
    found = await ask(client, person, "2021-01-20")
    assert (found["status"], found["group"]["reference"]) == ("eligible", "Group/nc-2021-01-group-1d/_history/1")
    [reason] = [reason for reason in found["reason"] if reason["code"] == "roster-membership"]
    assert reason["source"] == {"reference": f"Group/{group['id']}", "display": "employer"}
    assert (reason["attester"], reason["since"]) == ({"reference": "Organization/test-works"}, "2021-01-05")
    group["member"][0]["inactive"] = True
    await client.put(f"Group/{group['id']}", json=group)
    assert (await ask(client, person, "2021-01-20"))["status"] == "needs-info"


async def test_who_has_died_is_asked_nothing(client: httpx.AsyncClient) -> None:
    person = {"resourceType": "Patient", "birthDate": "1950-01-01", "deceasedDateTime": "2021-01-16"}
    address = f"Patient/{(await client.post('Patient', json=person)).json()['id']}"
    assert (await ask(client, address, "2021-01-15"))["status"] == "eligible"
    found = await ask(client, address, "2021-01-16")
    assert (found["status"], found["missing"], found["reason"][0]["code"]) == ("not-eligible", [], "deceased")


async def test_a_county_opens_alone_and_closes_again(client: httpx.AsyncClient) -> None:
    """The county where people live, from their record or as they write it; where they work, as an employer says."""
    own = (await client.get("Group/nc-2021-01-group-2")).json() | {"id": "test-county-plan"}
    for identifier in own["identifier"]:
        if identifier["system"] != vocabulary.PHASE_VERSION:
            identifier["value"] = "test-county-plan"
    home: dict[str, Any] = {
        "code": {"coding": [{"system": vocabulary.CRITERION, "code": "county"}]},
        "valueCodeableConcept": {"coding": [{"system": vocabulary.COUNTY, "code": "37063"}]},
        "exclude": False,
        "period": {"start": "2021-01-14", "end": "2021-01-31"},
    }
    own["characteristic"] = [home]
    assert (await client.put("Group/test-county-plan", json=own)).status_code == 201
    person = await patient(client)
    unknown = await ask(client, person, "2021-01-20", policy="test-county-plan")
    assert (unknown["status"], unknown["missing"]) == (
        "needs-info",
        [{"linkId": "county", "text": "In which county do you live?"}],
    )
    answer = response(person) | {"item": [{"linkId": "county", "answer": [{"valueString": "Durham county"}]}]}
    await client.post("QuestionnaireResponse", json=answer)
    found = await ask(client, person, "2021-01-20", policy="test-county-plan")
    assert (found["status"], found["reason"][-1]["text"]) == (
        "eligible",
        "The county where you live is one that counts: Durham.",
    )
    closed = await ask(client, person, "2021-02-01", policy="test-county-plan", language="es")
    assert (closed["status"], closed["reason"][0]["code"]) == ("not-eligible", "phase-closed")
    assert closed["reason"][0]["text"].endswith("se cerró el 31 de enero de 2021.")
    home["code"]["coding"][0]["code"] = "work-county"
    await client.put("Group/test-county-plan", json=own)
    at_work = await ask(client, person, "2021-01-20", policy="test-county-plan")
    assert (at_work["status"], at_work["group"]["reference"]) == ("needs-info", "Group/test-county-plan/_history/2")
    await client.delete("Group/test-county-plan")


async def test_policies_by_name_and_date(client: httpx.AsyncClient) -> None:
    person = await patient(client, "1945-01-01")
    december = await ask(client, person, "2021-01-03")
    assert (december["status"], december["opensOn"]) == ("needs-info", "2021-01-04")
    assert december["group"]["reference"] == "Group/nc-2020-12-phase-1a-1/_history/1"
    assert (december["policy"], december["jurisdiction"]) == ("nc-2020-12", "US-NC")
    assert december["authority"] == "North Carolina Department of Health and Human Services"
    opened = await ask(client, person, "2021-01-04")
    assert (opened["status"], opened["group"]["reference"]) == (
        "eligible",
        "Group/nc-2020-12-phase-1b-group-1/_history/1",
    )
    january = await ask(client, person, "2021-01-05", policy="nc-2021-01", jurisdiction="US-NC")
    assert january["status"] == "needs-info"
    assert january["opensOn"] == "2021-01-14"


async def test_opening_a_phase_is_a_put_and_takes_effect_at_once(client: httpx.AsyncClient) -> None:
    shipped = (await client.get("Group/nc-2020-12-phase-1b-group-1")).json()
    own = shipped | {"id": "test-own-plan-elders"}
    for identifier in own["identifier"]:
        if identifier["system"] != vocabulary.PHASE_VERSION:
            identifier["value"] = f"test-own-plan{'-elders' if identifier['system'] == vocabulary.PHASE else ''}"
    del own["characteristic"][0]["period"]
    person = await patient(client, "1945-01-01")
    assert (await client.put(f"Group/{own['id']}", json=own)).status_code == 201
    assert (await ask(client, person, "2021-01-05", policy="test-own-plan"))["status"] == "not-yet"
    own["characteristic"][0]["period"] = {"start": "2021-01-05"}
    assert (await client.put(f"Group/{own['id']}", json=own)).status_code == 200
    found = await ask(client, person, "2021-01-05", policy="test-own-plan")
    assert (found["status"], found["group"]["reference"]) == ("eligible", f"Group/{own['id']}/_history/2")
    own["characteristic"][0]["code"]["coding"][0]["code"] = "shoe-size"
    await client.put(f"Group/{own['id']}", json=own)
    unreadable = await ask(client, person, "2021-01-14")
    assert (unreadable["status"], unreadable["reason"][-1]["code"]) == ("eligible", "group-unreadable")
    told = (await ask(client, person, "2021-01-14", language="es"))["reason"][-1]["text"]
    assert told.endswith("una característica no es un criterio que este servidor conozca: shoe-size")
    await client.delete(f"Group/{own['id']}")


async def test_a_pre_check_stores_nothing(client: httpx.AsyncClient) -> None:
    before = (await client.get("Patient", params={"_summary": "count"})).json()["total"]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "asOf", "valueDate": "2021-03-03"},
            {"name": "patient", "resource": {"resourceType": "Patient", "birthDate": "1990-06-01"}},
            {"name": "responses", "resource": response(occupation="grocery", in_person=True)},
        ],
    }
    answer = await client.post("Patient/$vaccine-eligibility", json=parameters)
    assert answer.status_code == 200, answer.text
    found = read(answer.json())
    assert found["status"] == "eligible"
    assert found["group"]["reference"].startswith("Group/nc-2021-01-group-3b/")
    assert (await client.get("Patient", params={"_summary": "count"})).json()["total"] == before
    nobody = read((await client.get("Patient/$vaccine-eligibility", params={"asOf": "2021-04-07"})).json())
    assert nobody["status"] == "needs-info"
    assert "birth-date" in [missing["linkId"] for missing in nobody["missing"]]


async def test_answers_with_the_request_on_an_instance(client: httpx.AsyncClient) -> None:
    person = await patient(client)
    given = [
        {"name": "asOf", "valueDate": "2021-01-20"},
        {"name": "responses", "resource": response(residence="long-term-care")},
    ]
    parameters = {"resourceType": "Parameters", "parameter": given}
    found = read((await client.post(f"{person}/$vaccine-eligibility", json=parameters)).json())
    assert (found["status"], found["group"]["reference"]) == ("eligible", "Group/nc-2021-01-group-1c/_history/1")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"asOf": "2021"}, 400, "incomplete-date"),
        ({"asOf": "yesterday"}, 400, "invalid-value"),
        ({"policy": "nc-2099"}, 400, "unknown-policy"),
        ({"jurisdiction": "US-SC"}, 400, "unknown-jurisdiction"),
        ({"when": "2021-01-01"}, 400, "unknown-parameter"),
        ({"asOf": "2021-02-30"}, 400, "invalid-value"),
        ({"asOf": "'; drop table"}, 400, "invalid-value"),
        ({"asOf": ""}, 400, "invalid-value"),
    ],
)
async def test_bad_input(client: httpx.AsyncClient, query: dict[str, str], status: int, code: str) -> None:
    answer = await client.get(f"{await patient(client)}/$vaccine-eligibility", params=query)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (status, code)


@pytest.mark.parametrize("day", ["0001-01-01", "1900-02-28", "2100-03-01", "9999-12-31"])
async def test_any_day_of_the_calendar_has_an_answer(client: httpx.AsyncClient, day: str) -> None:
    for born in ("1956-02-29", "1956-02", "1956", None):
        person = await patient(client, born)
        found = await ask(client, person, day)
        assert found["status"] in ("eligible", "not-yet", "not-eligible", "needs-info")
        assert found["reason"]


async def test_a_policy_of_elsewhere_says_why_it_does_not_apply(client: httpx.AsyncClient) -> None:
    """Both are known, but not together."""
    own = (await client.get("Group/nc-2021-01-group-2")).json() | {"id": "test-elsewhere"}
    own["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] = "US-VA"
    for identifier in own["identifier"]:
        if identifier["system"] != vocabulary.PHASE_VERSION:
            identifier["value"] = "test-elsewhere"
    await client.put("Group/test-elsewhere", json=own)
    person = await patient(client, "1950-01-01")
    there = await ask(client, person, "2021-01-20", jurisdiction="US-VA")
    assert (there["status"], there["jurisdiction"]) == ("eligible", "US-VA")
    neither = await ask(client, person, "2021-01-20", jurisdiction="US-VA", policy="nc-2021-01")
    assert (neither["status"], neither["reason"][0]["code"]) == ("not-eligible", "no-policy")
    await client.delete("Group/test-elsewhere")


async def test_unknown_patients_and_patients_given_twice(client: httpx.AsyncClient) -> None:
    assert (await client.get("Patient/nobody-at-all/$vaccine-eligibility")).status_code == 404
    parameter = {"name": "patient", "resource": {"resourceType": "Patient"}}
    body = {"resourceType": "Parameters", "parameter": [parameter]}
    answer = await client.post(f"{await patient(client)}/$vaccine-eligibility", json=body)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["patient"])
