"""Bundles are spliced from bytes.

https://hl7.org/fhir/R4/bundle.html
"""

from fhir_server.fhir.bundle import Entry, Request, Response, bundle, outcome, searchset
from fhir_server.fhir.json import parse
from profiles.structure import check

RAW = b'{"resourceType":"Patient","id":"1","multipleBirthInteger":1,"name":[{"family":"\\u00e9"}]}'


def test_a_searchset_keeps_its_resources_bytes() -> None:
    issues = b'{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"invalid"}]}'
    found = searchset(
        [Entry(RAW, "http://our/fhir/Patient/1", "match"), outcome(issues)],
        {"self": 'http://our/fhir/Patient?name="x"', "next": "http://our/fhir?page=2"},
        total=1,
        updated=0,
    )
    assert found == (
        b'{"resourceType":"Bundle","meta":{"lastUpdated":"1970-01-01T00:00:00.000000Z"},"type":"searchset","total":1,'
        b'"link":[{"relation":"self","url":"http://our/fhir/Patient?name=\\"x\\""},'
        b'{"relation":"next","url":"http://our/fhir?page=2"}],'
        b'"entry":[{"fullUrl":"http://our/fhir/Patient/1","resource":' + RAW + b',"search":{"mode":"match"}},'
        b'{"resource":' + issues + b',"search":{"mode":"outcome"}}]}'
    )
    assert check(parse(found)) == []


def test_an_empty_searchset_has_no_entry_member() -> None:
    assert searchset([], {"self": "http://x"}, total=0) == (
        b'{"resourceType":"Bundle","type":"searchset","total":0,"link":[{"relation":"self","url":"http://x"}]}'
    )


def test_a_history_says_what_was_asked_and_what_came_of_it() -> None:
    found = bundle(
        "history",
        [
            Entry(
                None,
                "http://our/fhir/Patient/1",
                None,
                Request("DELETE", "Patient/1"),
                Response("204 No Content", version=2),
            ),
            Entry(
                RAW,
                "http://our/fhir/Patient/1",
                None,
                Request("POST", "Patient"),
                Response("201 Created", version=1, updated=0),
            ),
        ],
    )
    deleted, created = parse(found)["entry"]
    assert deleted["response"] == {"status": "204 No Content", "etag": 'W/"2"'}
    assert "resource" not in deleted
    assert created["response"] == {
        "status": "201 Created",
        "etag": 'W/"1"',
        "lastModified": "1970-01-01T00:00:00.000000Z",
    }
    assert check(parse(found)) == []


def test_a_batch_response_holds_outcomes() -> None:
    issues = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}'
    location = "http://our/fhir/Patient/1/_history/1"
    found = parse(
        bundle(
            "batch-response",
            [
                Entry(response=Response("400 Bad Request", outcome=issues)),
                Entry(RAW, response=Response("201 Created", location, 1)),
            ],
        )
    )
    assert [entry["response"]["status"] for entry in found["entry"]] == ["400 Bad Request", "201 Created"]
    assert found["entry"][0]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert found["entry"][1]["response"]["location"] == location
    assert check(found) == []
