"""https://hl7.org/fhir/R4/security.html

Two worlds that differ only in what a caller may not see answer that caller alike, to the byte.
"""

import logging
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.caller import Caller
from tests.access.conftest import House
from tests.access.test_policy import ANN, NORTH, SOUTH
from tests.access.world import STEWARD, about, patient, reference

Resource = dict[str, Any]

TAG = "_tag=urn:tests|worlds"
SEEN, HIDDEN = "seenperson", "hiddenperson"

QUERIES = (
    "Patient",
    "Patient?family=Familyhiddenperson",
    "Patient?_sort=family&_count=1",
    "Patient?_sort=-_lastUpdated&_elements=id",
    "Patient?_total=accurate",
    "Patient?_summary=count",
    f"Patient?_id={HIDDEN}",
    "Patient?_has:Immunization:patient:status=completed",
    "Patient?_has:Observation:patient:code=code-hiddenperson",
    "Patient?_revinclude=Immunization:patient&_revinclude=Observation:patient",
    "Patient?gender:missing=true",
    "Immunization",
    "Immunization?patient.family=Familyhiddenperson",
    "Immunization?patient:Patient.identifier=urn:people|hiddenperson",
    "Immunization?status:not=completed",
    "Immunization?_include=Immunization:patient&_include=Immunization:reaction",
    "Immunization?_sort=-date&_total=accurate",
    "Observation?subject:Patient._has:Immunization:patient:status=completed",
    "Observation?_include=Observation:has-member&_include:iterate=*",
)

PATHS = (
    f"Patient/{HIDDEN}",
    f"Patient/{HIDDEN}/_history",
    f"Patient/{HIDDEN}/_history/1",
    f"Patient/{HIDDEN}/$everything",
    f"Patient/{HIDDEN}/Immunization",
    "Immunization/worlds-dose-1",
    f"Patient/{SEEN}/$everything?_type=Patient,Immunization,Observation",
)

CALLERS = {
    "recipient": Caller("w", frozenset({"recipient"}), "app", ("patient/*.rs",), frozenset({SEEN}), SEEN),
    "user": Caller("w", frozenset({"recipient"}), "app", ("user/*.rs",), frozenset({SEEN})),
    "granular": Caller("w", frozenset({"recipient"}), "app", ("user/*.rs?_tag=urn:tests|worlds",), frozenset({SEEN})),
    "provider": replace(NORTH, subject="w-north"),
}


def tagged(resource: Resource) -> Resource:
    return {**resource, "meta": {"tag": [{"system": "urn:tests", "code": "worlds"}]}}


async def store(house: House, *entries: Resource) -> None:
    requests = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in map(tagged, entries)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": requests}
    answer = await house.ask(STEWARD, "POST", "", bundle)
    assert answer.status_code == 200, answer.text


async def view(house: House, caller: Caller) -> dict[str, tuple[int, bytes]]:
    answers = {}
    for query in QUERIES:
        path, _, rest = query.partition("?")
        answers[query] = await house.ask(caller, "GET", f"{path}?{TAG}&{rest}".rstrip("&"))
    for path in PATHS:
        answers[path] = await house.ask(caller, "GET", path)
    # A page's link holds the moment it ends.
    return {name: (told.status_code, told.content.partition(b'"relation":"next"')[0]) for name, told in answers.items()}


async def test_what_is_hidden_changes_nothing(house: House) -> None:
    finding = about("Observation", SEEN, "north", id="worlds-finding", hasMember=[reference("Observation", "worlds-x")])
    dose = about(
        "Immunization", SEEN, "north", id="worlds-dose", reaction=[{"detail": reference("Observation", "worlds-x")}]
    )
    await store(house, patient(SEEN, "north"), dose, finding)
    before = {name: await view(house, caller) for name, caller in CALLERS.items()}
    assert before["recipient"]["Immunization"][1].count(b"worlds-dose") > 0
    others = [about("Immunization", HIDDEN, "south", id=f"worlds-dose-{number}") for number in range(3)]
    await store(house, patient(HIDDEN, "south"), *others, about("Observation", HIDDEN, "south", id="worlds-x"))
    await store(house, patient(HIDDEN, "south", gender="male"))
    after = {name: await view(house, caller) for name, caller in CALLERS.items()}
    for name in CALLERS:
        for query, told in before[name].items():
            assert after[name][query] == told, (name, query)
    for path in ("Immunization/worlds-dose-1", f"Patient/{HIDDEN}"):
        await house.ask(STEWARD, "DELETE", path)
    gone = {name: await view(house, caller) for name, caller in CALLERS.items()}
    assert gone == after


async def test_a_hidden_match_is_queued_for_a_steward(house: House) -> None:
    await store(house, patient("twin", "south"))
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:people", "value": "twin"}]}
    condition = {"If-None-Exist": "identifier=urn:people|twin"}
    made = await house.ask(NORTH, "POST", "Patient", body, condition)
    assert made.status_code == 201
    again = await house.ask(NORTH, "POST", "Patient", body, condition)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert (await house.ask(SOUTH, "POST", "Patient", body, condition)).json()["id"] == "twin"
    tasks = await house.ask(STEWARD, "GET", f"Task?code=possible-duplicate&focus=Patient/{made.json()['id']}")
    [task] = [entry["resource"] for entry in tasks.json()["entry"]]
    assert task["input"][0]["valueReference"] == {"reference": "Patient/twin"}
    assert (await house.ask(NORTH, "GET", "Task?code=possible-duplicate")).json()["total"] == 0


async def test_every_page_is_authorized_anew(house: House) -> None:
    await store(house, patient("page1", "north"), patient("page2", "south"))
    everybody = replace(ANN, patients=frozenset({"page1", "page2"}), scopes=("user/*.rs",))
    first = (await house.ask(everybody, "GET", f"Patient?{TAG}&_id=page1,page2&_count=1")).json()
    [following] = [link["url"] for link in first["link"] if link["relation"] == "next"]
    [shown] = [entry["resource"]["id"] for entry in first["entry"]]
    left = replace(everybody, patients=frozenset({shown}))
    assert "entry" not in (await house.ask(left, "GET", following)).json()
    assert (await house.ask(replace(left, scopes=("user/Immunization.rs",)), "GET", following)).status_code == 403
    assert len((await house.ask(everybody, "GET", following)).json()["entry"]) == 1


async def test_logs_name_nobody(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = patient("canary", "north", birthDate="1961-02-03", telecom=[{"system": "phone", "value": "555-0173"}])
    canary["name"] = [{"family": "Kanarienvogel"}]
    await store(house, canary)
    caller = replace(ANN, patients=frozenset({"canary"}), patient="canary")
    for path in (
        *("Patient/canary", "Patient?family=Kanarienvogel", "Patient?birthdate=1961-02-03", "Patient?phone=555-0173"),
        *("Patient?nothing=Kanarienvogel", "Patient/canary/$everything", "Patient/Kanarienvogel"),
    ):
        for who in (caller, NORTH, SOUTH):
            await house.ask(who, "GET", path, headers={"Break-Glass": "Patient/canary Kanarienvogel fell"})
            await house.ask(who, "GET", path)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("fhir_server")]
    tokens = [*house.callers]
    for secret in ("Kanarienvogel", "1961-02-03", "555-0173", "canary", *tokens):
        assert not [message for message in ours if secret in message], secret
