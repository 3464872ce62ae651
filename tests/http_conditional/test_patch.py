"""https://hl7.org/fhir/R4/http.html#patch"""

import asyncio
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from fhir_server.fhir.xml import to_xml
from tests.http.answers import JSON, patient, put, refused, shape

JSON_PATCH = {"content-type": "application/json-patch+json"}
XML_PATCH = {"content-type": "application/xml-patch+xml"}
Resource = dict[str, Any]


def operation(**parts: Any) -> Resource:
    """A FHIRPath Patch of one operation."""
    given = [{"name": name, **value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": given}]}


def replaced(path: str, value: Resource) -> Resource:
    return operation(type={"valueCode": "replace"}, path={"valueString": path}, value=value)


async def test_json_patch(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-1", name=[{"family": "Patchbefore"}]))
    body = [
        {"op": "test", "path": "/name/0/family", "value": "Patchbefore"},
        {"op": "replace", "path": "/name/0/family", "value": "Patchafter"},
        {"op": "add", "path": "/active", "value": True},
    ]
    answer = await client.patch("Patient/patch-1", json=body, headers=JSON_PATCH)
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'W/"{answer.json()["meta"]["versionId"]}"'
    assert answer.headers["location"].endswith(f"/Patient/patch-1/_history/{answer.json()['meta']['versionId']}")
    assert (answer.json()["name"], answer.json()["active"]) == ([{"family": "Patchafter"}], True)
    assert (await client.get("Patient/patch-1")).content == answer.content
    assert (await client.get("Patient?family=patchbefore")).json()["total"] == 0
    assert (await client.get("Patient?family=patchafter")).json()["total"] == 1
    history = (await client.get("Patient/patch-1/_history?_count=1")).json()
    assert history["entry"][0]["request"]["method"] == "PATCH"


async def test_fhirpath_patch(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-2", gender="male", birthDate="1980"))
    change = replaced("Patient.gender", {"valueCode": "female"})
    answer = await client.patch("Patient/patch-2", json=change, headers=JSON)
    assert answer.status_code == 200
    assert answer.json()["gender"] == "female"
    assert (await client.patch("Patient/patch-2", json=change, headers={"content-type": "application/json"})).is_success


async def test_fhirpath_patch_in_xml(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-14", gender="male"))
    body = to_xml(json.dumps(replaced("Patient.gender", {"valueCode": "female"}), separators=(",", ":")).encode())
    answer = await client.patch("Patient/patch-14", content=body, headers={"content-type": "application/fhir+xml"})
    assert answer.status_code == 200
    assert (await client.get("Patient/patch-14")).json()["gender"] == "female"


async def test_xml_patch(client: httpx.AsyncClient) -> None:
    """What it leaves alone keeps its bytes and its place."""
    body = (
        b'{"resourceType":"Patient","id":"patch-15","birthDate":"1980","gender":"male","name":[{"text":"caf\\u00e9"}]}'
    )
    assert (await client.put("Patient/patch-15", content=body, headers=JSON)).is_success
    change = b"""<diff xmlns:f="http://hl7.org/fhir">
      <replace sel="f:Patient/f:gender/@value">female</replace>
      <add sel="f:Patient/f:gender" pos="before"><f:active value="true"/></add>
    </diff>"""
    refusal = await client.patch("Patient/patch-15", content=change, headers=XML_PATCH)
    assert refused(refusal, 400).detail == "wrong-order"
    change = change.replace(b'f:gender" pos="before"', b'f:name" pos="before"')
    answer = await client.patch("Patient/patch-15", content=change, headers=XML_PATCH)
    assert answer.status_code == 200
    rest = answer.content[answer.content.index(b'"birthDate"') :]
    assert rest == b'"birthDate":"1980","gender":"female","name":[{"text":"caf\\u00e9"}],"active":true}'
    data = {"contentType": "application/xml-patch+xml", "data": b64encode(change.replace(b"female", b"other")).decode()}
    entry = ("PATCH", "Patient/patch-15", {"resourceType": "Binary", **data})
    again = await client.post("", json=bundled("transaction", entry), headers=JSON)
    assert refused(again, 400).expression == ("Bundle.entry[0].resource.data",)


async def test_what_the_patch_leaves_alone_keeps_its_bytes(client: httpx.AsyncClient) -> None:
    body = (
        b'{"resourceType":"Observation","id":"patch-3","status":"final","code":{"text":"caf\\u00e9"},'
        b'"valueQuantity":{"value":1.10,"unit":"mg"},"component":[{"code":{"text":"a"},"valueQuantity":{"value":1.0e2}},'
        b'{"code":{"text":"b"},"valueQuantity":{"value":2.00}}]}'
    )
    assert (await client.put("Observation/patch-3", content=body, headers=JSON)).is_success
    change = [
        {"op": "replace", "path": "/valueQuantity/unit", "value": "g"},
        {"op": "replace", "path": "/component/1/code/text", "value": "c"},
    ]
    answer = await client.patch("Observation/patch-3", json=change, headers=JSON_PATCH)
    tail = answer.content[answer.content.index(b'"status"') :]
    assert tail == body[body.index(b'"status"') :].replace(b'"mg"', b'"g"').replace(b'"b"', b'"c"')


async def test_prefer_minimal(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-4"))
    body = [{"op": "add", "path": "/active", "value": True}]
    answer = await client.patch("Patient/patch-4", json=body, headers={**JSON_PATCH, "prefer": "return=minimal"})
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ([{"op": "test", "path": "/gender", "value": "male"}], JSON_PATCH, (422, "test-failed")),
        ([{"op": "remove", "path": "/gender"}], JSON_PATCH, (400, "no-element")),
        ([{"op": "add", "path": "/colour", "value": "red"}], JSON_PATCH, (422, "unknown-element")),
        ([{"op": "replace", "path": "/id", "value": "other"}], JSON_PATCH, (400, "fixed-element")),
        ([{"op": "remove", "path": "/id"}], JSON_PATCH, (400, "fixed-element")),
        ([{"op": "replace", "path": "/resourceType", "value": "Group"}], JSON_PATCH, (400, "fixed-element")),
        ({"op": "remove"}, JSON_PATCH, (400, "not-a-patch")),
        ([], JSON, (400, "malformed-json")),
        (patient("patch-5"), JSON, (400, "not-a-patch")),
        ({"resourceType": "Parameters", "parameter": [{}]}, JSON, (422, "empty-element")),
        (replaced("Patient.gender", {"valueCode": "male"}), JSON, (400, "no-element")),
        (replaced("Patient.sex", {"valueCode": "male"}), JSON, (400, "invalid-path")),
        (replaced("Patient.active", {"valueBoolean": True}), {"content-type": "text/plain"}, (415, None)),
        ([], XML_PATCH, (400, "malformed-xml")),
        ([], {"content-type": "application/yaml-patch+yaml"}, (415, "unsupported-content-type")),
    ],
)
async def test_refused(
    client: httpx.AsyncClient, body: Any, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    await put(client, patient("patch-5", active=False))
    before = (await client.get("Patient/patch-5")).content
    told = refused(await client.patch("Patient/patch-5", json=body, headers=headers), expected[0])
    assert expected[1] in (None, told.detail)
    assert (await client.get("Patient/patch-5")).content == before


async def test_where_there_is_nothing_to_patch(client: httpx.AsyncClient) -> None:
    body = [{"op": "add", "path": "/active", "value": True}]
    assert refused(await client.patch("Patient/patch-6", json=body, headers=JSON_PATCH), 404)
    await put(client, patient("patch-7"))
    await client.delete("Patient/patch-7")
    assert refused(await client.patch("Patient/patch-7", json=body, headers=JSON_PATCH), 410).detail == "deleted"
    assert refused(await client.patch("Nothing/1", json=body, headers=JSON_PATCH), 404).detail == "unknown-type"
    assert refused(await client.patch("Patient/patch-7?x=1", json=body, headers=JSON_PATCH), 400)


async def test_if_match(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-8"))
    version = int((await client.get("Patient/patch-8")).json()["meta"]["versionId"])
    body = [{"op": "add", "path": "/active", "value": True}]
    stale = {**JSON_PATCH, "if-match": f'W/"{version + 1}"'}
    assert refused(await client.patch("Patient/patch-8", json=body, headers=stale), 412).detail == "stale-version"
    # The version is what counts first: a test that would fail is not even tried.
    failing = [{"op": "test", "path": "/active", "value": False}]
    assert refused(await client.patch("Patient/patch-8", json=failing, headers=stale), 412)
    right = {**JSON_PATCH, "if-match": f'W/"{version}"'}
    assert (await client.patch("Patient/patch-8", json=body, headers=right)).status_code == 200
    malformed = {**JSON_PATCH, "if-match": "1"}
    assert (
        refused(await client.patch("Patient/patch-8", json=body, headers=malformed), 400).detail == "malformed-if-match"
    )


async def test_patches_at_the_same_time_all_take_effect(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-9", identifier=[{"value": "start"}]))

    async def append(number: int) -> int:
        body = [{"op": "add", "path": "/identifier/-", "value": {"value": str(number)}}]
        return (await client.patch("Patient/patch-9", json=body, headers=JSON_PATCH)).status_code

    assert set(await asyncio.gather(*(append(number) for number in range(20)))) == {200}
    values = [each["value"] for each in (await client.get("Patient/patch-9")).json()["identifier"]]
    assert sorted(values) == sorted(["start", *map(str, range(20))])


def binary(*operations: Resource) -> Resource:
    data = b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def bundled(kind: str, *entries: tuple[str, str, Resource | None]) -> Resource:
    listed = [
        {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}
        for method, url, resource in entries
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": listed}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_in_a_bundle(client: httpx.AsyncClient, kind: str) -> None:
    ids = [f"patch-{kind}-{number}" for number in range(3)]
    await put(client, *(patient(id, gender="male", identifier=[{"system": "urn:p", "value": id}]) for id in ids))
    female = replaced("Patient.gender", {"valueCode": "female"})
    answer = await client.post(
        "",
        json=bundled(
            kind,
            ("PATCH", f"Patient/{ids[0]}", female),
            ("PATCH", f"Patient/{ids[1]}", binary({"op": "replace", "path": "/gender", "value": "female"})),
            ("PATCH", f"Patient?identifier=urn:p|{ids[2]}", female),
        ),
        headers=JSON,
    )
    assert answer.status_code == 200, answer.text
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["200 OK"] * 3
    for id in ids:
        assert (await client.get(f"Patient/{id}")).json()["gender"] == "female"


async def test_a_failing_patch_in_a_batch_fails_alone_and_a_transaction_with_it(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-10", gender="male"), patient("patch-11", gender="male"))
    entries = (
        ("PATCH", "Patient/patch-10", replaced("Patient.gender", {"valueCode": "female"})),
        ("PATCH", "Patient/patch-11", binary({"op": "test", "path": "/gender", "value": "other"})),
        ("PATCH", "Patient/patch-12", replaced("Patient.gender", {"valueCode": "female"})),
        ("PATCH", "Patient/patch-11", patient("patch-11")),
    )
    answer = await client.post("", json=bundled("batch", *entries), headers=JSON)
    responses = [entry["response"] for entry in answer.json()["entry"]]
    assert [each["status"][:3] for each in responses] == ["200", "422", "404", "400"]
    assert shape(responses[1]["outcome"]).expression == ("Bundle.entry[1].resource.data",)
    for number, status in ((1, 422), (2, 404)):
        await put(client, patient("patch-10", gender="male"))
        answer = await client.post("", json=bundled("transaction", entries[0], entries[number]), headers=JSON)
        assert answer.status_code == status
        assert (await client.get("Patient/patch-10")).json()["gender"] == "male"


async def test_a_patch_in_a_transaction_refers_to_what_it_creates(client: httpx.AsyncClient) -> None:
    await put(client, patient("patch-13"))
    name = "urn:uuid:0b0f2f7e-0000-4000-8000-000000000001"
    reference = {"valueReference": {"reference": name}}
    add = operation(
        type={"valueCode": "add"},
        path={"valueString": "Patient"},
        name={"valueString": "managingOrganization"},
        value=reference,
    )
    bundle = bundled(
        "transaction",
        ("POST", "Organization", {"resourceType": "Organization", "name": "New"}),
        ("PATCH", "Patient/patch-13", add),
    )
    bundle["entry"][0]["fullUrl"] = name
    answer = await client.post("", json=bundle, headers=JSON)
    assert answer.status_code == 200, answer.text
    made = answer.json()["entry"][0]["resource"]["id"]
    stored = (await client.get("Patient/patch-13")).json()
    assert stored["managingOrganization"] == {"reference": f"Organization/{made}"}
    assert (await client.get(f"Patient?organization=Organization/{made}")).json()["total"] == 1
