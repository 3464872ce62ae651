"""https://hl7.org/fhir/R4/security.html

Who sees what, through the API.
"""

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.caller import Caller
from tests.access.conftest import House
from tests.access.world import CATEGORY, PEOPLE, STEWARD, about, concept, reference
from tests.http.answers import refused

ANN = Caller("u-ann", frozenset({"recipient"}), "app", ("patient/*.cruds",), frozenset({"ann"}), "ann")
NORTH = Caller(
    "u-north", frozenset({"provider"}), "ehr", ("user/*.cruds",), practitioner="doctor-north", organization="north"
)
SOUTH = replace(NORTH, subject="u-south", practitioner="doctor-south", organization="south")
PLANT = Caller("u-plant", frozenset({"employer"}), "hr", ("user/*.cruds",), organization="plant")
FUTURE = 1 << 60
ANALYST = Caller("u-analyst", frozenset({"analyst"}), "charts", ("user/*.rs",))


async def found(house: House, caller: Caller, path: str) -> set[str]:
    answer = await house.ask(caller, "GET", path)
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


@pytest.mark.parametrize(
    ("caller", "people"),
    [
        (ANN, {"ann"}),
        (replace(ANN, patients=frozenset({"ann", "cat"})), {"ann"}),
        (replace(ANN, patients=frozenset({"ann", "cat"}), scopes=("user/*.rs",)), {"ann", "cat"}),
        (replace(ANN, patient=""), set()),
        (NORTH, {"ann", "cat", "dan"}),
        (SOUTH, {"ben", "fay"}),
        (PLANT, {"dan"}),
        (ANALYST, set()),
        (STEWARD, {"ann", "ben", "cat", "dan", "fay"}),
    ],
    ids=lambda each: each.subject if isinstance(each, Caller) else " ".join(sorted(each)) or "nobody",
)
async def test_people(house: House, caller: Caller, people: set[str]) -> None:
    assert await found(house, caller, "Patient?_count=1000") & set(PEOPLE) == people


async def test_doses(house: House) -> None:
    doses = {f"Immunization-{each}" for each in PEOPLE}
    assert await found(house, ANN, "Immunization") & doses == {"Immunization-ann"}
    expected = {f"Immunization-{each}" for each in ("ann", "cat", "dan")}
    assert await found(house, NORTH, "Immunization?_count=500") & doses == expected
    assert await found(house, PLANT, "Immunization") == set()


async def test_a_childs_proxy_ends(house: House) -> None:
    mother = replace(ANN, patients=frozenset({"ann", "cat"}), scopes=("user/*.rs",))
    assert await found(house, replace(mother, proxies=(("cat", FUTURE),)), "Patient") == {"ann", "cat"}
    assert await found(house, replace(mother, proxies=(("cat", 1),)), "Patient") == {"ann"}
    launched = replace(mother, patient="cat", proxies=(("cat", 1),), scopes=("patient/*.rs",))
    assert await found(house, launched, "Patient") == set()


async def test_a_restricted_resource_is_for_its_patient_and_stewards(house: House) -> None:
    for caller, status in ((ANN, 200), (STEWARD, 200), (NORTH, 404)):
        assert (await house.ask(caller, "GET", "Observation/secret-ann")).status_code == status


async def test_who_does_not_share_is_seen_by_who_registered_them(house: House) -> None:
    # fay was seen at the north, too; the visit itself is the north's own.
    assert (await house.ask(NORTH, "GET", "Patient/fay")).status_code == 404
    assert (await house.ask(NORTH, "GET", "Encounter/visit-fay")).status_code == 200
    assert await found(house, NORTH, "Immunization?patient=Patient/fay") == set()
    assert await found(house, SOUTH, "Immunization?patient=Patient/fay") == {"Immunization-fay"}


async def test_treating_opens_what_was_stored_before_and_after(house: House) -> None:
    answer = await house.ask(STEWARD, "POST", "Patient", bare("gil"))
    gil = answer.json()["id"]
    early = await house.ask(STEWARD, "POST", "Observation", without_id(about("Observation", gil, "south")))
    assert await found(house, NORTH, f"Observation?patient=Patient/{gil}") == set()
    await house.ask(STEWARD, "POST", "Immunization", without_id(about("Immunization", gil, "north")))
    late = await house.ask(STEWARD, "POST", "Observation", without_id(about("Observation", gil, "south")))
    ids = {early.json()["id"], late.json()["id"]}
    assert await found(house, NORTH, f"Observation?patient=Patient/{gil}") == ids
    assert (await house.ask(NORTH, "GET", f"Patient/{gil}")).status_code == 200
    revised = await house.ask(STEWARD, "PUT", f"Patient/{gil}", {**bare("gil"), "id": gil, "gender": "male"})
    assert revised.status_code == 200
    assert (await house.ask(NORTH, "GET", f"Patient/{gil}/_history/1")).status_code == 200
    # A will not to share closes it again.
    silence = about("Consent", gil, "south", category=[concept(CATEGORY, "do-not-share")])
    kept = await house.ask(STEWARD, "POST", "Consent", without_id(silence))
    assert (await house.ask(NORTH, "GET", f"Patient/{gil}")).status_code == 404
    assert await found(house, NORTH, f"Observation?patient=Patient/{gil}") == set()
    assert (await house.ask(STEWARD, "DELETE", f"Consent/{kept.json()['id']}")).status_code == 204
    assert (await house.ask(NORTH, "GET", f"Patient/{gil}")).status_code == 200


async def test_a_roster_opens_its_people(house: House) -> None:
    hal = (await house.ask(STEWARD, "POST", "Patient", bare("hal"))).json()["id"]
    assert (await house.ask(PLANT, "GET", f"Patient/{hal}")).status_code == 404
    roster = {
        "resourceType": "Group", "type": "person", "actual": True,
        "managingEntity": reference("Organization", "plant"), "member": [{"entity": reference("Patient", hal)}],
    }  # fmt: skip
    # Whom one does not know one cannot put on a roster either; a steward can.
    assert (await house.ask(PLANT, "POST", "Group", roster)).status_code == 403
    assert (await house.ask(STEWARD, "POST", "Group", roster)).status_code == 201
    assert (await house.ask(PLANT, "GET", f"Patient/{hal}")).status_code == 200
    assert await found(house, ANN, "Group") == {"phase"}


async def test_a_large_roster_opens_its_people(house: House) -> None:
    ida = (await house.ask(STEWARD, "POST", "Patient", bare("ida"))).json()["id"]
    roster = {
        "resourceType": "Group", "type": "person", "actual": True, "id": "large",
        "managingEntity": reference("Organization", "plant"),
        "member": [{"entity": reference("Patient", id)} for id in (ida, *map(str, range(1_000)))],
    }  # fmt: skip
    assert (await house.ask(PLANT, "POST", "Group", without_id(roster))).status_code == 403
    assert (await house.ask(STEWARD, "PUT", "Group/large", roster)).status_code == 201
    assert (await house.ask(PLANT, "GET", f"Patient/{ida}")).status_code == 200


async def test_a_certain_match_opens_a_patient(house: House) -> None:
    jan = (await house.ask(STEWARD, "POST", "Patient", bare("jan"))).json()["id"]
    assert (await house.ask(NORTH, "GET", f"Patient/{jan}")).status_code == 404
    for _ in range(2):
        await house.context.store.relate("north", [f"Patient/{jan}"], "matched", "Patient/$match")
    assert (await house.ask(NORTH, "GET", f"Patient/{jan}")).status_code == 200
    assert (await house.ask(SOUTH, "GET", f"Patient/{jan}")).status_code == 404


async def test_a_provider_registers_and_vaccinates(house: House) -> None:
    new = {"resourceType": "Patient", "name": [{"family": "Newcomer"}]}
    patient = {"fullUrl": "urn:uuid:8b4a6f7e-0000-4000-8000-000000000001", "resource": new}
    dose = without_id(about("Immunization", "x", "south"))
    dose["patient"] = {"reference": patient["fullUrl"]}
    entries = [
        {**patient, "request": {"method": "POST", "url": "Patient"}},
        {"resource": dose, "request": {"method": "POST", "url": "Immunization"}},
    ]
    answer = await house.ask(SOUTH, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    person, given = (entry["response"]["location"].split("/")[-3] for entry in answer.json()["entry"])
    assert (await house.ask(SOUTH, "GET", f"Patient/{person}")).status_code == 200
    assert (await house.ask(NORTH, "GET", f"Patient/{person}")).status_code == 404
    assert (await house.ask(SOUTH, "GET", f"Immunization/{given}")).status_code == 200


async def test_only_the_submitter_or_a_steward_corrects_a_dose(house: House) -> None:
    # Somebody of this test's own: who has treated a person goes on seeing them.
    person = (await house.ask(NORTH, "POST", "Patient", bare("corrected"))).json()["id"]
    dose = without_id(about("Immunization", person, "north"))
    made = (await house.ask(NORTH, "POST", "Immunization", dose)).json()
    treated = without_id(about("Immunization", person, "south"))
    assert (await house.ask(STEWARD, "POST", "Immunization", treated)).status_code == 201
    path = f"Immunization/{made['id']}"
    assert (await house.ask(SOUTH, "GET", path)).status_code == 200
    for method, body in (("PUT", {**made, "status": "entered-in-error"}), ("DELETE", None)):
        refused = await house.ask(SOUTH, method, path, body)
        assert refused.status_code == 403
        [issue] = refused.json()["issue"]
        assert (issue["code"], issue["details"]["coding"][0]["code"]) == ("forbidden", "not-submitter")
        assert "Task" in issue["details"]["text"]
    for caller in (NORTH, STEWARD):
        assert (await house.ask(caller, "PUT", path, {**made, "status": "entered-in-error"})).status_code == 200


async def test_nobody_moves_a_resource_out_of_a_compartment(house: House) -> None:
    answers = {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": reference("Patient", "ann")}
    made = (await house.ask(ANN, "POST", "QuestionnaireResponse", answers)).json()
    moved = {**made, "subject": reference("Patient", "ben")}
    path = f"QuestionnaireResponse/{made['id']}"
    assert (await house.ask(ANN, "PUT", path, moved)).status_code == 403
    patch = [{"op": "replace", "path": "/subject/reference", "value": "Patient/ben"}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert (await house.ask(ANN, "PATCH", path, patch, headers)).status_code == 403
    both = {**made, "author": reference("Patient", "ben")}
    assert (await house.ask(ANN, "PUT", path, both)).status_code == 403
    forged = {**made, "meta": {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}}
    stored = await house.ask(ANN, "PUT", path, forged)
    assert (stored.status_code, stored.json()["meta"]["versionId"]) == (200, "2")


async def test_a_patient_is_not_taken_over(house: House) -> None:
    kept = {**bare("lee"), "managingOrganization": reference("Organization", "south")}
    lee = (await house.ask(STEWARD, "POST", "Patient", kept)).json()
    await house.ask(STEWARD, "POST", "Encounter", without_id(about("Encounter", lee["id"], "north")))
    path = f"Patient/{lee['id']}"
    assert (await house.ask(NORTH, "PUT", path, {**lee, "gender": "female"})).status_code == 200
    taken = {**lee, "managingOrganization": reference("Organization", "north")}
    assert (await house.ask(NORTH, "PUT", path, taken)).status_code == 403
    assert (await house.ask(STEWARD, "PUT", path, taken)).status_code == 200


async def test_a_condition_sees_what_its_caller_sees(house: House) -> None:
    new = bare("kim")
    condition = {"If-None-Exist": "identifier=urn:people|ben"}
    assert (await house.ask(SOUTH, "POST", "Patient", new, condition)).status_code == 200
    hidden = await house.ask(NORTH, "POST", "Patient", new, condition)
    assert hidden.status_code == 201
    path = "Patient?identifier=urn:people|ben"
    unseen = await house.ask(replace(ANN, scopes=("user/*.cruds",)), "DELETE", path)
    assert unseen.status_code == 204
    assert (await house.ask(STEWARD, "GET", "Patient/ben")).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Patient/ben found unconscious", 200),
        ("Patient/ann found unconscious", 404),
        ("Patient/ben", 400),
        ("found unconscious", 400),
        (None, 404),
    ],
)
async def test_the_glass_is_broken_for_one_patient_and_a_reason(house: House, given: str | None, status: int) -> None:
    headers = {} if given is None else {"Break-Glass": given}
    answer = await house.ask(NORTH, "GET", "Patient/ben", headers=headers)
    assert answer.status_code == status
    path = "Immunization?patient=Patient/ben&_id=Immunization-ben"
    dose = await house.ask(NORTH, "GET", path, headers=headers)
    if dose.status_code == 200:
        assert dose.json()["total"] == (1 if status == 200 else 0)
    assert (await house.ask(ANN, "GET", "Patient/ben", headers={"Break-Glass": "Patient/ben why"})).status_code == 403


async def test_the_glass_is_for_reading(house: House) -> None:
    headers = {"Break-Glass": "Patient/ben found unconscious"}
    body = about("Observation", "ben", "north")
    assert (await house.ask(NORTH, "PUT", "Observation/Observation-ben", body, headers)).status_code == 400
    assert (await house.ask(NORTH, "POST", "Observation", without_id(body), headers)).status_code == 403


async def test_an_analyst_learns_large_numbers(house: House) -> None:
    for number in range(24):
        await house.ask(STEWARD, "PUT", f"Patient/counted{number}", counted(number))
    many = await house.ask(ANALYST, "GET", "Patient?_summary=count&_tag=urn:tests|counted&gender=male")
    assert (many.status_code, many.json()["total"]) == (200, 12)
    few = await house.ask(ANALYST, "GET", "Patient?_summary=count&_tag=urn:tests|counted&identifier=urn:people|c1")
    assert few.status_code == 403
    assert few.json()["issue"][0]["details"]["coding"][0]["code"] == "small-cell"
    assert (await house.ask(ANALYST, "GET", "Patient/counted1")).status_code == 404
    assert await found(house, ANALYST, "Group") == {"phase"}


async def test_the_log_is_the_servers(house: House) -> None:
    for method, path in (("POST", "AuditEvent"), ("PUT", "AuditEvent/x"), ("DELETE", "AuditEvent/x")):
        body = {"resourceType": "AuditEvent"} if method != "DELETE" else None
        assert (await house.ask(STEWARD, method, path, body)).status_code == 405


def without_id(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "id"}


def bare(id: str) -> dict[str, Any]:
    """Somebody no organization has registered."""
    return {"resourceType": "Patient", "identifier": [{"system": "urn:people", "value": id}]}


def counted(number: int) -> dict[str, Any]:
    tag = {"tag": [{"system": "urn:tests", "code": "counted"}]}
    gender = "male" if number % 2 else "female"
    return {**bare(f"c{number}"), "id": f"counted{number}", "meta": tag, "gender": gender}


@pytest.mark.parametrize(
    ("caller", "method", "path", "scope"),
    [
        (replace(ANN, scopes=("patient/Patient.rs",)), "GET", "Immunization", "patient/Immunization.s"),
        (replace(ANN, scopes=("patient/Patient.rs",)), "GET", "Immunization/x", "patient/Immunization.r"),
        (replace(ANN, scopes=("patient/Patient.rs", "user/Group.r")), "GET", "Group", "patient/Group.s"),
        (replace(ANN, patient="", scopes=("user/Patient.rs",)), "GET", "Immunization/x", "user/Immunization.r"),
        (replace(NORTH, scopes=("user/Patient.rs",)), "DELETE", "Patient/ann", "user/Patient.d"),
        (replace(NORTH, scopes=("user/Patient.rs",)), "GET", "Patient?_has:Goal:subject:_id=x", "user/Goal.s"),
        (replace(NORTH, scopes=("openid",)), "GET", "Patient/ann", "user/Patient.r"),
        (replace(STEWARD, scopes=("system/Patient.rs",)), "POST", "Immunization", "system/Immunization.c"),
        (replace(NORTH, scopes=("openid",)), "GET", "?_id=x", "user/*.s"),
        (replace(ANN, scopes=("patient/Group.r",)), "GET", "Patient/ann/$health-cards-issue?credentialType=x",
         "patient/Patient.r patient/Immunization.rs"),
        (replace(ANN, scopes=("patient/Patient.rs",)), "GET", "Patient/ann/$health-cards-issue?credentialType=x",
         "patient/Immunization.rs"),
    ],
    ids=lambda each: each.subject if isinstance(each, Caller) else each,
)  # fmt: skip
async def test_a_missing_scope_is_named(house: House, caller: Caller, method: str, path: str, scope: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc6750#section-3.1"""
    answer = await house.ask(caller, method, path, bare("x") if method == "POST" else None)
    assert refused(answer, 403)[:2] == ("forbidden", "insufficient-scope")
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'


async def test_a_refusal_that_no_scope_would_help_names_none(house: House) -> None:
    for caller, path in ((ANN, "Group/phase/$who-would-be"), (ANN, "Patient/ben")):
        answer = await house.ask(caller, "GET", path)
        assert answer.status_code in (403, 404)
        assert "www-authenticate" not in answer.headers
