"""https://hl7.org/fhir/R4/operations.html

Which operations are for whom, and with which scopes.
"""

from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import httpx
import pytest

from fhir_server.access import accounts, policy, users
from fhir_server.caller import Caller
from fhir_server.operations import enrolment
from fhir_server.operations.catalogue import OPERATIONS
from tests.access.conftest import House
from tests.access.test_policy import ANALYST, ANN, NORTH, PLANT, SOUTH
from tests.access.world import STEWARD

CARD = "$health-cards-issue?credentialType=Immunization"


@pytest.mark.parametrize(
    ("caller", "method", "path", "status"),
    [
        (ANN, "GET", f"Patient/ann/{CARD}", 200),
        (ANN, "GET", f"Patient/ben/{CARD}", 404),
        (ANN, "GET", f"Patient/absent/{CARD}", 404),
        (NORTH, "GET", f"Patient/ann/{CARD}", 200),
        (NORTH, "GET", f"Patient/ben/{CARD}", 404),
        (PLANT, "GET", f"Patient/dan/{CARD}", 403),
        (ANALYST, "GET", f"Patient/ann/{CARD}", 403),
        (replace(ANN, scopes=("patient/Patient.rs",)), "GET", f"Patient/ann/{CARD}", 403),
        (replace(ANN, scopes=("patient/Patient.r", "patient/Immunization.rs")), "GET", f"Patient/ann/{CARD}", 200),
        (ANN, "GET", "Patient/ann/$everything", 200),
        (SOUTH, "GET", "Patient/dan/$everything", 404),
        (replace(ANN, scopes=("patient/Immunization.rs",)), "GET", "Patient/ann/$everything", 403),
        (ANN, "POST", "Patient/ann/$health-cards-revoke", 403),
        (ANN, "GET", "Patient/ann/$health-links", 200),
        (NORTH, "GET", "Patient/ann/$health-links", 403),
        (ANN, "POST", "Group/roster-plant/$roster-upload", 403),
        (ANALYST, "POST", "Group/roster-plant/$roster-upload", 403),
        (replace(PLANT, scopes=("user/Group.rs",)), "POST", "Group/roster-plant/$roster-upload", 403),
        (PLANT, "POST", "Group/roster-south/$roster-upload", 404),
        (ANN, "GET", "Group/phase/$who-would-be", 403),
        (ANN, "POST", "Patient/ann/$invite", 403),
        (NORTH, "POST", "Patient/ann/$invite", 200),
        (NORTH, "POST", "Patient/ben/$invite", 404),
        (NORTH, "POST", "Group/roster-plant/$invite", 404),
        (PLANT, "POST", "Group/roster-plant/$invite", 403),
        (PLANT, "POST", "Patient/ann/$invite", 403),
        (STEWARD, "POST", "Group/roster-plant/$invite", 200),
        (ANALYST, "POST", "Group/roster-plant/$invite", 403),
        (NORTH, "POST", "Immunization/Immunization-ann/$dispute", 403),
    ],
)
async def test_who_may_call(house: House, caller: Caller, method: str, path: str, status: int) -> None:
    headers = {"Content-Type": "text/csv"} if "roster-upload" in path else {}
    content = b"row_id,first_name,last_name,birth_date\n1,Ann,Other,1990-01-01\n" if headers else None
    answer = await house.http.request(method, path, content=content, headers={**house.token(caller), **headers})
    assert answer.status_code == status, answer.text[:500]


async def test_an_employer_uploads_its_roster(house: House) -> None:
    rows = b"row_id,first_name,last_name,birth_date\n1,Rosa,Roster,1990-01-01\n2,Rolf,Roster,1991-01-01\n"
    headers = {**house.token(PLANT), "Content-Type": "text/csv"}
    answer = await house.http.post("Group/roster-plant/$roster-upload", content=rows, headers=headers)
    assert answer.status_code == 200, answer.text
    people = await house.ask(PLANT, "GET", "Patient?family=Roster")
    assert people.json()["total"] == 2
    assert (await house.ask(NORTH, "GET", "Patient?family=Roster")).json()["total"] == 0
    again = await house.http.post("Group/roster-plant/$roster-upload", content=rows, headers=headers)
    assert again.status_code == 200
    assert (await house.ask(STEWARD, "GET", "Patient?family=Roster")).json()["total"] == 2


async def test_everything_tells_nothing_of_others(house: House) -> None:
    answer = await house.ask(ANN, "GET", "Patient/ann/$everything?_count=500")
    assert "Immunization-ann" in answer.text
    for other in ("ben", "cat", "dan", "fay"):
        assert f'-{other}"' not in answer.text and f'Patient/{other}"' not in answer.text


async def test_a_jobs_caller_is_kept_whole(house: House) -> None:
    caller = replace(ANN, proxies=(("cat", 5),), purpose="why", organization="north")
    jobs = house.context.store.jobs
    job = await jobs.enqueue(caller, "test", {})
    assert (await jobs.find(caller, job.id)).caller == caller
    await jobs.remove(caller, job.id)


def test_rows_that_change_data_name_roles_or_scopes() -> None:
    for row in OPERATIONS:
        assert row.needs is not None or row.types or not row.affects_state, row.code


def given(**named: str) -> dict[str, object]:
    """Parameters with these values; a name may say its type: `remove_code`."""
    parts = []
    for name, value in named.items():
        member, _, kind = name.partition("_")
        parts.append({"name": member, f"value{(kind or 'string').capitalize()}": value})
    return {"resourceType": "Parameters", "parameter": parts}


@pytest.mark.parametrize(
    ("caller", "person", "status"),
    [
        (ANN, "ann", 200),
        (ANN, "ben", 404),
        (ANN, "absent", 404),
        (replace(ANN, scopes=("patient/*.rs",)), "ann", 403),
        (NORTH, "ann", 200),
        (SOUTH, "ann", 404),
        (PLANT, "dan", 403),
        (ANALYST, "ann", 403),
    ],
)
async def test_who_may_change_where_somebody_is_reached(house: House, caller: Caller, person: str, status: int) -> None:
    before = (await house.ask(STEWARD, "GET", "Patient/ann")).json()
    body = given(email="ann@example.org", language_code="es")
    answer = await house.ask(caller, "POST", f"Patient/{person}/$update-contact", body)
    assert answer.status_code == status, answer.text
    after = (await house.ask(STEWARD, "GET", "Patient/ann")).json()
    server_owned = ("meta", "telecom", "communication")
    assert {name: after[name] for name in after if name not in server_owned} == {
        name: before[name] for name in before if name not in server_owned
    }


async def test_the_change_of_a_contact_leaves_the_rest(house: House) -> None:
    fax = {"system": "fax", "value": "1"}
    old = {"system": "email", "value": "old@example.org", "use": "old"}
    patient = (await house.ask(STEWARD, "GET", "Patient/cat")).json()
    telecom = [fax, old, {"system": "email", "value": "a@example.org"}, {"system": "phone", "value": "+19195550101"}]
    spoken = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fr"}]}, "preferred": True}
    await house.ask(STEWARD, "PUT", "Patient/cat", {**patient, "telecom": telecom, "communication": [spoken]})
    body = given(phone="(919) 555-0102", remove_code="email", language_code="es")
    answer = (await house.ask(NORTH, "POST", "Patient/cat/$update-contact", body)).json()
    assert answer["telecom"] == [{"system": "phone", "value": "+19195550102", "rank": 1}, fax, old]
    assert [each.get("preferred") for each in answer["communication"]] == [True, None]
    nothing = await house.ask(NORTH, "POST", "Patient/cat/$update-contact", {"resourceType": "Parameters"})
    assert nothing.status_code == 400
    for wrong in ({"email": "no"}, {"phone": "1"}, {"language_code": "xx"}, {"remove_code": "fax"}):
        refused = await house.ask(NORTH, "POST", "Patient/cat/$update-contact", given(**wrong))
        assert refused.status_code == 400, wrong


async def test_a_person_disputes_a_dose_and_writes_no_other_task(house: House) -> None:
    body = given(reason="That was my sister.")
    for id, status in (("Immunization-ann", 200), ("Immunization-ben", 404), ("absent", 404)):
        answer = await house.ask(ANN, "POST", f"Immunization/{id}/$dispute", body)
        assert answer.status_code == status, answer.text
    tasks = (await house.ask(NORTH, "GET", "Task?code=disputed-dose")).json()["entry"]
    assert [task["resource"]["focus"]["reference"] for task in tasks] == ["Immunization/Immunization-ann"]
    assert (await house.ask(SOUTH, "GET", "Task?code=disputed-dose")).json()["total"] == 0
    reading = replace(ANN, scopes=("patient/Immunization.rs",))
    assert (await house.ask(reading, "POST", "Immunization/Immunization-ann/$dispute", body)).status_code == 403
    assert (await house.ask(ANN, "POST", "Immunization/Immunization-ann/$dispute", given(reason=" "))).is_error


def codes_of(answer: httpx.Response) -> dict[str, str]:
    """Codes by the references of whom they are for."""
    found = {}
    for each in answer.json()["parameter"]:
        who, code = each["part"][:2]
        found[who["valueReference"]["reference"]] = code["valueString"]
    return found


async def test_a_rosters_invitations_come_from_the_registry(house: House) -> None:
    """An employer knows its people's birth dates: with a code it could open a record in their place."""
    refused = await house.ask(PLANT, "POST", "Group/roster-plant/$invite")
    assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "beyond-role"
    codes = codes_of(await house.ask(STEWARD, "POST", "Group/roster-plant/$invite"))
    redeem = partial(enrolment.redeem, house.context, "dan", "a long password")
    # Whoever treats a person gives a newer code, which ends the older one.
    newer = codes_of(await house.ask(NORTH, "POST", "Patient/dan/$invite"))["Patient/dan"]
    assert await redeem(codes["Patient/dan"], "1980-05-05") is None
    user = await redeem(newer, "1980-05-05")
    assert user is not None
    assert (user.patient, user.roles) == ("dan", frozenset({"recipient"}))
    assert (await house.ask(NORTH, "POST", "Patient/dan/$invite")).status_code == 409
    again = codes_of(await house.ask(STEWARD, "POST", "Group/roster-plant/$invite"))
    assert set(again) == set(codes) - {"Patient/dan"}


@pytest.mark.parametrize(
    ("path", "value", "status", "code"),
    [
        ("Patient/dan", "proxy", 422, "not-a-child"),
        ("Patient/dan", "guardian", 400, "invalid-value"),
        ("Group/roster-plant", "proxy", 400, "not-supported"),
    ],
)
async def test_whom_a_proxy_acts_for(house: House, path: str, value: str, status: int, code: str) -> None:
    answer = await house.ask(STEWARD, "POST", f"{path}/$invite", as_proxy(value))
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (status, code)


async def test_a_guardian_acts_for_a_child_until_its_birthday(house: House) -> None:
    """Also with a token that was given before; and nobody by the code alone."""
    context, today = house.context, house.context.today
    born = today.replace(day=1, year=today.year - 17).isoformat()
    kid = {"resourceType": "Patient", "name": [{"family": "Kid", "given": ["Kim"]}], "birthDate": born}
    kim = (await house.ask(STEWARD, "POST", "Patient", kid)).json()["id"]
    first, second, spare = [
        codes_of(await house.ask(STEWARD, "POST", f"Patient/{kim}/$invite", as_proxy("proxy")))[f"Patient/{kim}"]
        for _ in range(3)
    ]
    mother = await accounts.open_account(context.authority, accounts.proposed("mother", "ann"), "")
    assert await enrolment.act_for(context, mother, first, "2020-01-01") is None
    assert await enrolment.act_for(context, mother, "ABCD-EFGH-JKLM", born) is None
    assert await enrolment.act_for(context, mother, first, born) == kim
    assert await enrolment.act_for(context, mother, first, born) is None
    father = await enrolment.redeem(context, "father", "a long password", second, born)
    found = await context.authority.users.find(mother.login)
    assert found is not None and father is not None
    birthday = users.adult_on(date.fromisoformat(born))
    assert (found.patient, found.proxy_for) == ("ann", ((kim, birthday),))
    assert (father.patient, father.proxy_for) == ("", ((kim, birthday),))
    # A proxy's code makes nobody the child, and the child's own code nobody a proxy.
    own = codes_of(await house.ask(STEWARD, "POST", f"Patient/{kim}/$invite"))[f"Patient/{kim}"]
    assert await enrolment.act_for(context, found, own, born) is None
    caller = users.caller(found, "app", ("user/*.rs",), context.clock())
    for moment, seen in ((context.clock(), {"ann", kim}), (birthday - 1, {"ann", kim}), (birthday, {"ann"})):
        predicate = policy.access(caller, moment)
        rows = await context.store.read_many(caller, predicate, [("Patient", "ann"), ("Patient", kim)])
        assert {row.id for row in rows} == seen
        assert set(users.patients(found, moment)) == seen
    # The third code opens nothing to somebody who is 18 by now.
    grown = {**kid, "id": kim, "birthDate": today.replace(day=1, year=today.year - 18).isoformat()}
    assert (await house.ask(STEWARD, "PUT", f"Patient/{kim}", grown)).status_code == 200
    assert await enrolment.act_for(context, father, spare, grown["birthDate"]) is None


def as_proxy(value: str) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "as", "valueCode": value}]}
