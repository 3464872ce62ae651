"""https://profiles.ihe.net/ITI/BALP/

The access log: what is in it, who reads it, that nobody changes it unseen, and that nothing answers without it.
"""

import asyncio
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from fhir_server.access import audit
from fhir_server.access.audit import Interaction
from fhir_server.caller import Caller
from fhir_server.fhir import index, json
from fhir_server.fhir.entries import Entries
from fhir_server.store.access_log import notes
from fhir_server.store.access_log.sheets import place
from fhir_server.store.documents import current
from fhir_server.store.records import Stored
from profiles import structure
from tests.access.conftest import House
from tests.access.test_policy import ANN, NORTH, PLANT, SOUTH, bare, without_id
from tests.access.world import STEWARD, about

DAY = 86_400_000_000
"""Microseconds."""

BEN = replace(ANN, subject="u-ben", patients=frozenset({"ben"}), patient="ben")


async def events(house: House, request: str, caller: Caller = STEWARD) -> list[dict[str, Any]]:
    """The events of a request, by its id."""
    answer = await house.ask(caller, "GET", "AuditEvent?_sort=-date&_count=200")
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.json().get("entry", ())]
    return [each for each in found if request in str(each["entity"])]


def patients(found: list[dict[str, Any]]) -> list[str]:
    references = [entity.get("what", {}).get("reference", "") for each in found for entity in each["entity"]]
    return sorted(each for each in references if each.startswith("Patient/"))


def query(event: dict[str, Any]) -> str:
    return "\n".join(b64decode(entity["query"]).decode() for entity in event["entity"] if "query" in entity)


@pytest.mark.parametrize(
    ("caller", "method", "path", "code", "action", "outcome", "whom"),
    [
        (ANN, "GET", "Patient/ann", "read", "R", "0", ["ann"]),
        (ANN, "GET", "Immunization/Immunization-ann", "read", "R", "0", ["ann"]),
        (ANN, "GET", "Immunization/Immunization-ann/_history/1", "vread", "R", "0", ["ann"]),
        (ANN, "GET", "Patient/ben", "read", "R", "4", ["ben"]),
        (ANN, "GET", "Immunization?patient=Patient/ben", "search-type", "E", "0", ["ben"]),
        (ANN, "GET", "Immunization?patient=ben", "search-type", "E", "0", ["ben"]),
        (ANN, "GET", "Observation?code=nothing", "search-type", "E", "0", []),
        (ANN, "GET", "Patient?nothing=1", "search-type", "E", "4", []),
        (ANN, "DELETE", "Patient/ann", "delete", "D", "4", ["ann"]),
        (ANN, "GET", "Patient/ann/$everything", "operation", "E", "0", ["ann"]),
        (ANN, "GET", "Patient/ann/_history", "history-instance", "R", "0", ["ann"]),
        (ANN, "GET", "Patient/ann/Condition", "search-type", "E", "0", ["ann"]),
        (replace(ANN, scopes=("patient/Patient.rs",)), "GET", "Condition", "search-type", "E", "4", []),
        (SOUTH, "GET", "Immunization?_id=Immunization-ben,Immunization-fay", "search-type", "E", "0", ["ben", "fay"]),
    ],
)
async def test_an_interaction_is_logged(
    house: House, caller: Caller, method: str, path: str, code: str, action: str, outcome: str, whom: list[str]
) -> None:
    request = f"request-{abs(hash((caller, method, path)))}"
    await house.ask(caller, method, path, headers={"X-Request-Id": request})
    found = await events(house, request)
    assert patients(found) == [f"Patient/{each}" for each in whom]
    assert len(found) == (len(whom) + 1 if len(whom) > 1 else 1)
    for each in found:
        assert not structure.check(each)
        assert (each["subtype"][0]["code"], each["action"], each["outcome"]) == (code, action, outcome)
        assert caller.client in str(each["agent"])
        assert len(patients([each])) <= 1
    asked = [query(each) for each in found if query(each)]
    assert len(asked) == 1 and path.partition("?")[2] in asked[0]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("Observation/Observation-ben", {"If-None-Match": 'W/"1"'}),
        ("Observation/Observation-ben/_history/1", {"If-None-Match": 'W/"1"'}),
        ("Observation/Observation-ben?_elements=status", {}),
        ("Observation/Observation-ben?_summary=text", {}),
        ("Observation/Observation-ben/_history/1?_elements=status", {}),
        ("Observation?code=code-ben&_elements=status", {}),
        ("Observation?code=code-ben&_summary=text", {}),
        ("Observation?code=code-ben&_revinclude=Provenance:target&_elements=status", {}),
        ("?_type=Observation,Communication&_id=Observation-ben&_elements=status", {}),
        ("Immunization?patient=ben,ben&lot-number=none", {}),
        ("Immunization?patient:Patient=ben&lot-number=none", {}),
        ("Observation?subject=ben&status=unknown", {}),
        ("Coverage?beneficiary=ben&status=draft", {}),
        ("Patient?_id=ben&birthdate=1700-01-01", {}),
    ],
)
@pytest.mark.parametrize("bundled", [False, True])
async def test_an_answer_that_names_nobody_is_logged_with_whom_it_is_about(
    house: House, path: str, headers: dict[str, str], bundled: bool
) -> None:
    request = {"X-Request-Id": f"request-{abs(hash((path, bundled)))}"}
    if bundled:
        entry = {"request": {"method": "GET", "url": path, **({"ifNoneMatch": 'W/"1"'} if headers else {})}}
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
        answer = await house.ask(STEWARD, "POST", "", bundle, request)
    else:
        answer = await house.ask(STEWARD, "GET", path, headers={**headers, **request})
    assert answer.status_code == (304 if headers and not bundled else 200), answer.text
    assert 'Patient/ben"' not in answer.text
    assert patients(await events(house, request["X-Request-Id"])) == ["Patient/ben"]
    assert len(await events(house, request["X-Request-Id"], BEN)) == 1


STRANGER = "999-99-9999"


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("GET", f"Patient?identifier=urn:people|ben,urn:ssn|{STRANGER}", None, False),
        ("GET", f"Patient?identifier=urn:people|ben%2Curn:ssn|{STRANGER}", None, False),
        ("GET", f"Observation?patient.identifier=urn:people|ben,{STRANGER}", None, False),
        ("GET", "Patient?_has:Observation:patient:code=code-ben,999-99-9999", None, False),
        ("POST", "Patient/_search", f"identifier=urn:people|ben,{STRANGER}", False),
        ("POST", "", ["Patient?identifier=urn:people|ben", f"Patient?identifier=urn:ssn|{STRANGER}"], False),
        ("POST", "", ["Patient/ben", f"Patient?identifier=urn:ssn|{STRANGER}"], False),
        ("POST", "", ["Patient?identifier=urn:people|ben"], True),
        ("POST", "", ["Patient/ben", "Observation/Observation-ben"], True),
        ("POST", "Patient/_search", "identifier=urn:people|ben", True),
        ("GET", "Patient?identifier=urn:people|ben&_sort=family,_id", None, True),
    ],
)
async def test_nobody_reads_in_their_log_who_else_was_looked_for(
    house: House, method: str, path: str, body: str | list[str] | None, told: bool
) -> None:
    request = {"X-Request-Id": f"request-{abs(hash((path, str(body))))}"}
    if isinstance(body, str):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = {**house.token(STEWARD), **form, **request}
        answer = await house.http.request(method, path, content=body, headers=headers)
    else:
        entries = [{"request": {"method": "GET", "url": url}} for url in body or ()]
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries} if body else None
        answer = await house.ask(STEWARD, method, path, bundle, request)
    assert answer.status_code == 200, answer.text
    [own] = await events(house, request["X-Request-Id"], BEN)
    assert bool(query(own)) == told
    assert STRANGER not in query(own)
    everything = "".join(query(each) for each in await events(house, request["X-Request-Id"]))
    assert everything.count("ben") and (told or STRANGER in everything)


@pytest.mark.parametrize("written", [r"Patient\/ben", r"\u0050atient/ben"])
async def test_however_a_reference_is_spelt_it_is_logged_whom_it_names(house: House, written: str) -> None:
    body = json.dump(without_id(about("Observation", "ben", "south"))).replace(b"Patient/ben", written.encode())
    kind = {"Content-Type": "application/fhir+json"}
    made = await house.http.request("POST", "Observation", content=body, headers={**house.token(STEWARD), **kind})
    assert made.status_code == 201, made.text
    assert written in made.text
    request = f"request-{abs(hash(written))}"
    for address in (f"Observation/{made.json()['id']}", "Observation?patient=Patient/ben&_count=1000"):
        await house.ask(STEWARD, "GET", address.partition("?")[0], headers={"X-Request-Id": request})
        assert "Patient/ben" in patients(await events(house, request, BEN))


async def test_a_write_is_logged_with_whom_it_was_and_is_about_also_where_nothing_comes_of_it(house: House) -> None:
    of_ben = without_id(about("Observation", "ben", "south"))
    made = await house.ask(STEWARD, "POST", "Observation", of_ben)
    path = f"Observation/{made.json()['id']}"
    of_ann = {**about("Observation", "ann", "north"), "id": made.json()["id"]}
    minimal = {"Prefer": "return=minimal"}
    found = {"If-None-Exist": f"_id={made.json()['id']}"}
    once = {"Idempotency-Key": "one-of-ben"}
    for name, caller, method, address, body, more, status, whom in (
        ("found", STEWARD, "POST", "Observation", of_ben, found, 200, ["ben"]),
        ("once", STEWARD, "POST", "Observation", of_ben, once, 201, ["ben"]),
        ("again", STEWARD, "POST", "Observation", of_ben, once, 201, ["ben"]),
        ("stale", STEWARD, "PUT", path, of_ann, {"If-Match": 'W/"7"'}, 412, ["ann", "ben"]),
        ("foreign", NORTH, "POST", "Observation", of_ben, {}, 403, ["ben"]),
        ("moved", STEWARD, "PUT", path, of_ann, {}, 200, ["ann", "ben"]),
        ("kept", NORTH, "DELETE", path, None, {}, 403, ["ann"]),
    ):
        request = {"X-Request-Id": f"request-write-{name}"}
        answer = await house.ask(caller, method, address, body, {**minimal, **more, **request})
        assert answer.status_code == status, (name, answer.text)
        told = patients(await events(house, request["X-Request-Id"]))
        assert told == [f"Patient/{each}" for each in whom], name


@pytest.mark.parametrize("patients", [[], ["ann"], ["ann", "ben"]])
@pytest.mark.parametrize("caller", [NORTH, ANN, replace(NORTH, purpose="found unconscious", emergency="ben")])
def test_entries_are_those_of_the_whole_event(caller: Caller, patients: list[str]) -> None:
    moment = 1_795_410_000_000_001
    happened = Interaction(caller, "read", "R", moment, 200, "Immunization/1", "GET Immunization/1", "request")
    for note in audit.notes(happened, patients, "http://own/fhir"):
        event = json.parse(notes.raw(note, "1"))
        assert told(notes.entries(note)) == told(index.entries(event, "http://own/fhir"))
        named = {*notes.keys(note), "Patient/none"}
        assert {sought for key in notes.entries(note).tk if (sought := notes.sought(key)) is not None} <= named
        assert {*notes.entries(note).pt} <= named


def told(found: Entries) -> dict[str, object]:
    """Entries, the order of keys left aside."""
    return {name: sorted(map(str, each)) if isinstance(each, list) else each for name, each in found.document().items()}


async def test_content_in_its_own_format_is_read_by_who_may_and_logged_with_whose_it_is(house: House) -> None:
    picture, whose = {"Content-Type": "image/png"}, {"X-Security-Context": "Patient/ben"}
    stored = await house.http.request(
        "PUT", "Binary/scan", content=b"\x89PNG", headers={**house.token(STEWARD), **picture, **whose}
    )
    assert stored.status_code == 201, stored.text
    for caller, status in ((STEWARD, 200), (ANN, 404)):
        request = {"X-Request-Id": f"binary-{status}"}
        answer = await house.ask(caller, "GET", "Binary/scan", headers={"Accept": "image/png", **request})
        assert (answer.status_code, answer.content == b"\x89PNG") == (status, status == 200)
        assert answer.headers.get("x-security-context") == (whose["X-Security-Context"] if status == 200 else None)
    assert patients(await events(house, "binary-200")) == ["Patient/ben"]
    assert patients(await events(house, "binary-404")) == []


async def test_directories_and_strangers_are_not_logged(house: House) -> None:
    await house.ask(ANN, "GET", "Location/hall", headers={"X-Request-Id": "request-hall"})
    await house.http.get("Patient/ann", headers={"X-Request-Id": "request-nobody"})
    assert await events(house, "request-hall") == await events(house, "request-nobody") == []


async def test_a_bundle_is_logged_with_what_it_asked(house: House) -> None:
    entries = [
        {"request": {"method": "GET", "url": url}} for url in ("Patient/ann", "Immunization?patient=Patient/ben")
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    await house.ask(ANN, "POST", "", bundle, {"X-Request-Id": "request-bundle"})
    found = await events(house, "request-bundle")
    assert patients(found) == ["Patient/ann", "Patient/ben"]
    [asked] = [query(each) for each in found if query(each)]
    assert "GET Immunization?patient=Patient/ben" in asked


async def test_recipients_read_who_read_their_record(house: House) -> None:
    await house.ask(NORTH, "GET", "Patient/ann", headers={"X-Request-Id": "request-mine"})
    await house.ask(SOUTH, "GET", "Patient?_id=ben,fay", headers={"X-Request-Id": "request-both"})
    [event] = await events(house, "request-mine", ANN)
    assert {"who": {"reference": "Organization/north"}, "requestor": False} in event["agent"]
    [own] = await events(house, "request-both", BEN)
    assert "fay" not in json.dump(own).decode()
    assert await events(house, "request-mine", BEN) == []
    assert await events(house, "request-mine", NORTH) == []
    mine = await house.ask(ANN, "GET", "AuditEvent?_count=200")
    assert "Patient/ben" not in mine.text and "Patient/fay" not in mine.text


@pytest.mark.parametrize(
    ("path", "whether"),
    [
        ("AuditEvent?_count=200", True),
        ("AuditEvent?_count=1&_total=accurate", True),
        ("AuditEvent?_sort=action&_count=200", True),
        ("AuditEvent?patient=Patient/ann&_count=200&_include=AuditEvent:entity", True),
        ("AuditEvent?patient=Patient/ben", False),
        ("AuditEvent?entity=ben", False),
        ("AuditEvent?patient:missing=true", False),
        ("AuditEvent?action:not=C&_count=200", True),
        ("AuditEvent?patient.family=Familyben", False),
        ("Patient/ann/AuditEvent?_count=200", True),
        ("Patient?_id=ann&_revinclude=AuditEvent:patient", True),
        ("Patient?_has:AuditEvent:patient:subtype=vread&_revinclude=AuditEvent:patient", True),
        ("?_type=AuditEvent&_count=200", True),
        ("Patient/ann/$everything?_count=1000", True),
    ],
)
async def test_no_way_of_asking_shows_what_stands_beside_it(house: House, path: str, whether: bool) -> None:
    told = Interaction(NORTH, "vread", "R", house.context.clock(), 200, "Immunization/1/_history/1", "GET it")
    of_both = replace(told, code="search-type", action="E", target="")
    beside = [note for whom in ("ann", "ben", "fay") for note in audit.notes(told, [whom], house.context.settings.base)]
    await house.context.store.trail.append([*audit.notes(of_both, ["ann", "ben"], ""), *beside])
    answer = await house.ask(ANN, "GET", path)
    assert answer.status_code == 200, answer.text
    shown = [entry["resource"] for entry in answer.json().get("entry", ())]
    shown = [each for each in shown if each["resourceType"] == "AuditEvent"]
    assert bool(shown) == whether
    assert {each for event in shown for each in patients([event])} <= {"Patient/ann"}
    if "_total" in path:
        own = await house.ask(ANN, "GET", "AuditEvent?_summary=count")
        # One more for what was asked before.
        assert answer.json()["total"] + 1 == own.json()["total"]


async def test_whom_a_job_meets_finds_it_in_the_access_log(house: House) -> None:
    """A long upload outlives its request, and nobody need ever ask what has come of it."""
    rows = "row_id,first_name,last_name,birth_date\n" + "".join(f"j{n},Jo,Jobs{n},1990-01-0{n}\n" for n in (1, 2, 3))
    headers = {**house.token(PLANT), "Content-Type": "text/csv", "Prefer": "respond-async"}
    asked = await house.http.request("POST", "Group/roster-plant/$roster-upload", content=rows, headers=headers)
    assert asked.status_code == 202, asked.text
    address = asked.headers["content-location"]
    found: list[dict[str, Any]] = []
    for _ in range(200):
        await asyncio.sleep(0.1)
        people = (await house.ask(STEWARD, "GET", "Patient?family=Jobs1")).json().get("entry", ())
        ids = frozenset(each["resource"]["id"] for each in people)
        mine = replace(ANN, patients=ids, patient="".join(ids))
        found = await events(house, "Group/roster-plant", mine) if ids else []
        if found:
            break
    [event] = found
    assert (event["subtype"][0]["code"], event["action"]) == ("operation", "E")
    assert patients([event]) == [f"Patient/{mine.patient}"]
    assert {"who": {"reference": "Organization/plant"}, "requestor": False} in event["agent"]
    await house.ask(PLANT, "DELETE", address)


async def test_a_broken_glass_is_logged_and_reviewed(house: House) -> None:
    headers = {"Break-Glass": "Patient/cat found unconscious", "X-Request-Id": "request-glass"}
    assert (await house.ask(SOUTH, "GET", "Patient/cat", headers=headers)).status_code == 200
    [event] = await events(house, "request-glass")
    [purpose] = event["purposeOfEvent"]
    assert (purpose["coding"][0]["code"], purpose["text"]) == ("BTG", "found unconscious")
    tasks = await house.ask(STEWARD, "GET", "Task?code=break-glass-review&patient=Patient/cat")
    assert tasks.json()["total"] == 1
    assert (await house.ask(SOUTH, "GET", "Task?code=break-glass-review")).json()["total"] == 0


async def test_what_cannot_be_logged_is_not_answered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(documents: object) -> None:
        raise AutoReconnect("away")

    monkeypatch.setattr(house.context.store.trail, "_insert", away)
    answer = await house.ask(ANN, "GET", "Patient/ann")
    assert answer.status_code == 503
    assert "Familyann" not in answer.text


async def test_what_is_written_has_its_provenance(house: House) -> None:
    made = await house.ask(NORTH, "POST", "Immunization", without_id(about("Immunization", "ann", "north")))
    dose = made.json()
    found = await house.ask(NORTH, "GET", f"Immunization?_id={dose['id']}&_revinclude=Provenance:target")
    [told] = [each["resource"] for each in found.json()["entry"] if each["search"]["mode"] == "include"]
    assert not structure.check(told)
    assert told["target"] == [{"reference": f"Immunization/{dose['id']}/_history/1"}]
    assert told["activity"]["coding"][0]["code"] == "CREATE"
    author, client = told["agent"]
    assert author["who"] == {"reference": "Practitioner/doctor-north"}
    assert client["who"] == {"identifier": {"value": "ehr"}}
    own = await house.ask(ANN, "GET", f"Immunization?_id={dose['id']}&_revinclude=Provenance:target")
    assert told["id"] in own.text
    assert (await house.ask(BEN, "GET", f"Provenance/{told['id']}")).status_code == 404


async def test_provenance_of_several_patients_tells_none_of_another(house: House) -> None:
    entries = [{"resource": bare(each), "request": {"method": "POST", "url": "Patient"}} for each in ("pia", "pit")]
    answer = await house.ask(NORTH, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    ids = [entry["response"]["location"].split("/")[-3] for entry in answer.json()["entry"]]
    for id, other in (ids, ids[::-1]):
        own = replace(ANN, patients=frozenset({id}), patient=id)
        log = await house.ask(own, "GET", "Provenance")
        assert log.json()["total"] == 1 and other not in log.text


async def test_the_log_is_sealed_and_a_change_is_found(house: House) -> None:
    store = house.context.store
    today = house.context.clock() // DAY
    days = [json.instant((today - ago) * DAY)[:10] for ago in (5, 4, 3, 2)]
    log, sheets = store.database.collection("AuditEvent"), store.database.collection("sheets")
    for number in range(4):
        # As earlier versions stored them: each a document of its own.
        moment = (today - 5 + number // 2) * DAY
        document = current(Stored("AuditEvent", f"old{number}", 1, moment, b"{}", "POST"), Entries())
        await log.insert_one(document)
    happened = Interaction(NORTH, "read", "R", 0, 200)
    for moments in ([(today - 4) * DAY, (today - 3) * DAY - 1, (today - 3) * DAY], [(today - 3) * DAY + 1]):
        told = [note for each in moments for note in audit.notes(replace(happened, moment=each), ["ann"], "")]
        await store.trail.append(told)
    sealed = await store.seal_log()
    assert [(seal.day, seal.events) for seal in sealed[:4]] == list(zip(days, (2, 4, 2, 0), strict=True))
    assert sealed[1].before == sealed[0].digest
    assert await store.seal_log() == []
    assert await store.seals.broken() is None
    third = {"_id": {"$gte": place((today - 3) * DAY), "$lt": place((today - 2) * DAY)}}
    sheet = await sheets.find_one(third)
    assert (sheet["n"], sheet["k"]) == (1, ["*", "Patient/ann", "Practitioner/doctor-north"])
    await sheets.update_one({"_id": sheet["_id"]}, {"$set": {"raw": sheet["raw"].replace(b"ann", b"ben")}})
    assert await store.seals.broken() == days[2]
    await log.update_one({"_id": "old2"}, {"$set": {"raw": b"[]"}})
    assert await store.seals.broken() == days[1]
    await log.delete_one({"_id": "old0"})
    assert await store.seals.broken() == days[0]
