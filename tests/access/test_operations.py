"""https://hl7.org/fhir/R4/operations.html

Which operations are for whom, and with which scopes.
"""

from dataclasses import replace

import pytest

from fhir_server.caller import Caller
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
    ],
)
async def test_who_may_call(house: House, caller: Caller, method: str, path: str, status: int) -> None:
    headers = {"Content-Type": "text/csv"} if "roster" in path else {}
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
