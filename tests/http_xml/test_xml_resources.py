"""Resources are written and read in XML as in JSON.

https://hl7.org/fhir/R4/http.html#mime-type
"""

import json
import re
from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON
from tests.http_xml.xml_answers import ASK, NAMESPACE, SEND, XML, refused, resource

OBSERVATION = (
    f'<Observation {NAMESPACE}><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a &lt; '
    '<b>b</b>&#160;c</div></text><status value="final"/><code><text value="two&#10;lines &amp;  spaces"/></code>'
    '<valueQuantity><value value="1.50"/></valueQuantity></Observation>'
)


async def create(client: httpx.AsyncClient, document: str) -> str:
    """The address of what was created from this document."""
    kind = re.match(r"<(\w+)", document)
    assert kind is not None
    answer = await client.post(kind[1], content=document, headers=XML)
    return f"{kind[1]}/{resource(answer, 201)['id']}"


async def test_create_in_xml(client: httpx.AsyncClient, server: Server) -> None:
    answer = await client.post("Observation", content=OBSERVATION, headers=XML)
    created = resource(answer, 201)
    assert answer.headers["location"] == f"{server.base}/Observation/{created['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    stored = await client.get(f"Observation/{created['id']}")
    assert stored.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert stored.json() == created
    assert '"value":1.50' in stored.text
    assert stored.json()["code"]["text"] == "two\nlines &  spaces"
    assert stored.json()["text"]["div"].endswith("a &lt; <b>b</b>&#160;c</div>")


async def test_read_in_xml(client: httpx.AsyncClient) -> None:
    address = await create(client, OBSERVATION)
    answer = await client.get(address, headers=ASK)
    read = resource(answer)
    assert re.sub(r"<id value=.*?</meta>", "", answer.text, flags=re.S).endswith(OBSERVATION)
    assert answer.headers["etag"] == 'W/"1"'
    assert "Accept" in answer.headers["vary"].split(", ")
    assert resource(await client.get(f"{address}/_history/1", headers=ASK)) == read
    head = await client.head(address, headers=ASK)
    assert (head.headers["content-type"], head.content) == (answer.headers["content-type"], b"")
    assert head.headers["content-length"] == str(len(answer.content))
    same = await client.get(address, headers=ASK | {"if-none-match": 'W/"1"'})
    assert (same.status_code, same.content) == (304, b"")


async def test_what_one_format_writes_the_other_reads(client: httpx.AsyncClient) -> None:
    address = await create(client, OBSERVATION)
    in_xml = await client.get(address, headers=ASK)
    changed = in_xml.text.replace('value="final"', 'value="amended"')
    answer = await client.put(address, content=changed, headers=XML | {"if-match": 'W/"1"'})
    assert resource(answer)["status"] == "amended"
    in_json = await client.get(address)
    back = await client.put(address, content=in_json.content.replace(b"amended", b"final"), headers=JSON | ASK)
    assert resource(back)["meta"]["versionId"] == "3"
    versions = resource(await client.get(f"{address}/_history", headers=ASK))
    assert [entry["resource"]["status"] for entry in versions["entry"]] == ["final", "amended", "final"]


async def test_patch_in_xml(client: httpx.AsyncClient) -> None:
    address = await create(client, OBSERVATION)
    parts = "".join(
        f'<part><name value="{name}"/><value{kind} value="{value}"/></part>'
        for name, kind, value in (
            ("type", "Code", "replace"),
            ("path", "String", "Observation.status"),
            ("value", "Code", "amended"),
        )
    )
    patch = f'<Parameters {NAMESPACE}><parameter><name value="operation"/>{parts}</parameter></Parameters>'
    assert resource(await client.patch(address, content=patch, headers=XML))["status"] == "amended"
    told = refused(await client.patch(address, content=patch.replace("operation", "op&amp;"), headers=XML), 400)
    assert told.code == "invalid"


async def test_preferences(client: httpx.AsyncClient) -> None:
    minimal = await client.post("Observation", content=OBSERVATION, headers=XML | {"prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    told = await client.post("Observation", content=OBSERVATION, headers=XML | {"prefer": "return=OperationOutcome"})
    assert resource(told, 201)["resourceType"] == "OperationOutcome"


async def test_pretty(client: httpx.AsyncClient) -> None:
    address = await create(client, OBSERVATION)
    compact, pretty = [await client.get(f"{address}?_pretty={wish}", headers=ASK) for wish in ("false", "true")]
    assert resource(pretty) == resource(compact)
    assert b"\n" not in compact.content
    assert '\n  <status value="final"/>\n' in pretty.text


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("application/fhir+xml", "xml"),
        ("application/xml", "xml"),
        ("text/xml", "xml"),
        ("APPLICATION/FHIR+XML; charset=UTF-8; fhirVersion=4.0", "xml"),
        ("application/fhir+xml, */*", "xml"),
        ("application/fhir+xml, application/fhir+json", "xml"),
        ("application/fhir+json, application/fhir+xml", "json"),
        ("application/fhir+json;q=0.5, application/fhir+xml", "xml"),
        ("application/fhir+xml;q=0.9, application/fhir+json;q=0.1", "xml"),
        ("application/fhir+xml; q=0.1, application/fhir+json; q=0.9", "json"),
        ("application/fhir+xml;q=0.5, */*;q=0.6", "json"),
        ("application/fhir+xml;q=0.5, */*;q=0.4", "xml"),
        ("application/fhir+json;q=0, */*", "xml"),
        ("application/fhir+json;fhirVersion=5.0, application/fhir+xml;fhirVersion=4.0;q=0.1", "xml"),
        ("image/png, application/xml;q=0.001", "xml"),
        ("application/*", "json"),
        ("text/*;q=0.5, text/xml;q=0.1", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
    ],
)
async def test_accept(client: httpx.AsyncClient, accept: str, format: str) -> None:
    address = await create(client, f'<Basic {NAMESPACE}><code><text value="a"/></code></Basic>')
    answer = await client.get(address, headers={"accept": accept})
    assert answer.headers["content-type"] == f"application/fhir+{format}; charset=utf-8"


@pytest.mark.parametrize(
    "value", ["xml", "text/xml", "application/xml", "application/fhir+xml", "application/fhir%2Bxml"]
)
async def test_format_wins_over_accept(client: httpx.AsyncClient, value: str) -> None:
    address = await create(client, f'<Basic {NAMESPACE}><code><text value="a"/></code></Basic>')
    resource(await client.get(f"{address}?_format={value}", headers={"accept": "application/fhir+json"}))


@pytest.mark.parametrize("accept", ["application/fhir+xml;q=0", "application/fhir+xml;fhirVersion=3.0", "text/turtle"])
async def test_not_acceptable(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("Basic", headers={"accept": accept})
    assert (answer.status_code, answer.json()["resourceType"]) == (406, "OperationOutcome")


@pytest.mark.parametrize("sent", ["application/fhir+xml", "application/xml", "text/xml; charset=utf-8"])
async def test_content_type(client: httpx.AsyncClient, sent: str) -> None:
    document = f'<?xml version="1.0"?>\n<Basic {NAMESPACE}>\n <code><text value="a"/></code>\n</Basic>\n'
    answer = await client.post("Basic", content=document, headers={"content-type": sent})
    assert (answer.status_code, answer.json()["code"]) == (201, {"text": "a"})


WRONG: list[tuple[str, int, str, tuple[str, ...]]] = [
    (f"<Basic {NAMESPACE}><code>", 400, "malformed-xml", ()),
    (f"<!DOCTYPE Basic><Basic {NAMESPACE}/>", 400, "document-type", ()),
    (f"<Basic {NAMESPACE}><cdoe/></Basic>", 400, "unknown-element", ("Basic",)),
    ('<Basic><code><text value="a"/></code></Basic>', 400, "wrong-namespace", ()),
    ('{"resourceType":"Basic"}', 400, "malformed-xml", ()),
    ("", 400, "malformed-json", ()),
    (f'<Patient {NAMESPACE}><active value="true"/></Patient>', 400, "wrong-type", ("Basic",)),
    (f'<Basic {NAMESPACE}><id value="a"/></Basic>', 422, "missing-element", ("Basic.code",)),
    (f'<Basic {NAMESPACE}><code/><created value="2020"/></Basic>', 400, "empty-element", ("Basic",)),
    (f'<Basic {NAMESPACE}><code><text value="a"/></code><created value="2020-02-30"/></Basic>', 422, "invalid-date",
     ("Basic.created",)),
    (f'<Basic {NAMESPACE}><text><status value="empty"/><div xmlns="http://www.w3.org/1999/xhtml"><script/></div></text>'
     '<code><text value="a"/></code></Basic>', 422, "unsafe-narrative", ("Basic.text.div",)),
]  # fmt: skip


@pytest.mark.parametrize(("document", "status", "detail", "expression"), WRONG, ids=range(len(WRONG)))
async def test_refused(
    client: httpx.AsyncClient, document: str, status: int, detail: str, expression: tuple[str, ...]
) -> None:
    told = refused(await client.post("Basic", content=document, headers=XML), status)
    assert (told.detail, told.expression) == (detail, expression)
    in_json = await client.post("Basic", content=document, headers=SEND)
    assert in_json.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert shape_of(in_json) == detail


async def test_failures_in_the_format_asked_for(client: httpx.AsyncClient) -> None:
    assert refused(await client.get("Basic/nobody-at-all", headers=ASK), 404).detail == "unknown-resource"
    assert refused(await client.get("Basic?colour=red", headers=ASK), 400).expression == ("colour",)
    assert refused(await client.request("TRACE", "Basic", headers=ASK), 405).detail == "wrong-method"
    assert refused(await client.get("Nothing", headers=ASK), 404).detail == "unknown-type"
    pretty = await client.get("Basic/nobody-at-all?_format=xml&_pretty=true")
    assert "\n  <issue>\n" in pretty.text


async def test_what_xml_cannot_hold(client: httpx.AsyncClient) -> None:
    body = json.dumps({"resourceType": "Basic", "code": {"text": "a\ufffeb"}}).encode()
    created = await client.post("Basic", content=body, headers=JSON | ASK)
    assert created.status_code == 201
    assert created.headers["content-type"] == "application/fhir+json; charset=utf-8"
    address = f"Basic/{created.json()['id']}"
    assert refused(await client.get(address, headers=ASK), 406).detail == "not-in-xml"
    assert (await client.get(address)).json() == created.json()
    quoted = await client.get("Basic?a%EF%BF%BEb=1", headers=ASK)
    assert (quoted.status_code, quoted.headers["content-type"][:21]) == (400, "application/fhir+json")


def shape_of(answer: httpx.Response) -> str:
    """Our detail code of a refusal's first issue."""
    outcome: dict[str, Any] = answer.json()
    detail: str = outcome["issue"][0]["details"]["coding"][0]["code"]
    return detail
