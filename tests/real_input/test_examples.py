"""HL7's own examples are stored and come back as they were.

https://hl7.org/fhir/R4/examples.html
"""

import json
from pathlib import Path

import httpx

from fhir_server.caller import SERVER_OWNED
from tests.http.answers import JSON, found, refused
from tests.real_input.lossless import parsed, without_stamps

INVALID = "Questionnaire-qs1.json"
"""Its display items lack the linkId that R4 requires."""


async def test_every_example(client: httpx.AsyncClient, shared: Path) -> None:
    paths = sorted(path for path in (shared / "fhir-r4-examples").glob("*.json") if path.name != INVALID)
    assert len(paths) > 200
    for path in paths:
        sent = path.read_bytes()
        resource = json.loads(sent)
        resource_type, id = resource["resourceType"], resource["id"]
        if resource_type in SERVER_OWNED:
            refused(await client.put(f"{resource_type}/{id}", content=sent, headers=JSON), 405)
            continue
        written = await client.put(f"{resource_type}/{id}", content=sent, headers=JSON)
        assert written.status_code in (200, 201), (path.name, written.text[:500])
        read = await client.get(f"{resource_type}/{id}")
        assert read.content == written.content, path.name
        assert without_stamps(parsed(read.content)) == without_stamps(parsed(sent)), path.name
        assert read.json()["id"] == id
        search = await client.get(f"{resource_type}?_id={id}")
        assert found(search) == [f"{resource_type}/{id}"], path.name
        assert read.content in search.content, path.name


async def test_the_invalid_one_is_refused_with_its_reason(client: httpx.AsyncClient, shared: Path) -> None:
    sent = (shared / "fhir-r4-examples" / INVALID).read_bytes()
    answer = await client.put("Questionnaire/qs1", content=sent, headers=JSON)
    refused(answer, 422)
    issues = answer.json()["issue"]
    errors = [issue for issue in issues if issue["severity"] == "error"]
    assert len(errors) == 32
    for issue in errors:
        assert (issue["code"], issue["details"]["coding"][0]["code"]) == ("required", "missing-element")
        [place] = issue["expression"]
        assert place.startswith("Questionnaire.item")
        assert place.endswith(".linkId")
    assert (await client.get("Questionnaire/qs1")).status_code == 404
