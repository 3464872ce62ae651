"""Bundles, operations and the CapabilityStatement in XML.

https://hl7.org/fhir/R4/http.html#transaction
"""

import httpx

from tests.http_xml.xml_answers import ASK, NAMESPACE, SEND, XML, refused, resource

TAG = "http://example.org/xml|tagged"


def batch(kind: str, *entries: str) -> str:
    rows = "".join(f"<entry>{entry}</entry>" for entry in entries)
    return f'<Bundle {NAMESPACE}><type value="{kind}"/>{rows}</Bundle>'


def put(number: int, family: str = "Xylander") -> str:
    return (
        f'<resource><Patient><id value="xml-{number}"/><meta><tag><system value="http://example.org/xml"/>'
        f'<code value="tagged"/></tag></meta><name><family value="{family}"/></name></Patient></resource>'
        f'<request><method value="PUT"/><url value="Patient/xml-{number}"/></request>'
    )


def get(address: str) -> str:
    return f'<request><method value="GET"/><url value="{address}"/></request>'


async def test_batch(client: httpx.AsyncClient) -> None:
    document = batch("batch", put(1), get("Patient/xml-nobody"), get("Patient/xml-1"))
    answer = resource(await client.post("", content=document, headers=XML))
    assert answer["type"] == "batch-response"
    assert [entry["response"]["status"][:3] for entry in answer["entry"]][1:] == ["404", "200"]
    assert answer["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert answer["entry"][2]["resource"]["name"] == [{"family": "Xylander"}]


async def test_transaction(client: httpx.AsyncClient) -> None:
    address = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    document = batch(
        "transaction",
        f'<fullUrl value="{address}"/><resource><Patient><active value="true"/></Patient></resource>'
        '<request><method value="POST"/><url value="Patient"/></request>',
        f'<resource><Basic><code><text value="a"/></code><subject><reference value="{address}"/></subject></Basic>'
        '</resource><request><method value="POST"/><url value="Basic"/></request>',
    )
    answer = resource(await client.post("", content=document, headers=XML))
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201", "201"]
    patient, basic = [entry["response"]["location"].rpartition("/_history")[0] for entry in answer["entry"]]
    subject = resource(await client.get(basic, headers=ASK))["subject"]["reference"]
    assert patient.endswith(subject)


async def test_search_and_its_pages(client: httpx.AsyncClient) -> None:
    stored = await client.post("", content=batch("transaction", *[put(n) for n in range(5)]), headers=SEND)
    assert stored.status_code == 200, stored.text
    page = resource(await client.get("Patient", params={"_tag": TAG, "_count": 2, "_sort": "_id"}, headers=ASK))
    assert (page["type"], len(page["entry"])) == ("searchset", 2)
    following = [link["url"] for link in page["link"] if link["relation"] == "next"]
    second = resource(await client.get(following[0], headers=ASK))
    assert [entry["resource"]["id"] for entry in second["entry"]] == ["xml-2", "xml-3"]
    form = {"content-type": "application/x-www-form-urlencoded"} | ASK
    posted = await client.post("Patient/_search", data={"_tag": TAG, "_count": "2", "_sort": "_id"}, headers=form)
    assert resource(posted)["entry"] == page["entry"]


async def test_a_bundle_with_a_fault_says_where(client: httpx.AsyncClient) -> None:
    document = batch("batch", put(1), put(2, family='A"><given/><family value="B'))
    told = refused(await client.post("", content=document, headers=XML), 400)
    assert (told.detail, told.expression) == ("unknown-element", ("Bundle.entry[1].resource.name[0].family",))


async def test_an_operation(client: httpx.AsyncClient) -> None:
    await client.post("", content=batch("transaction", put(7)), headers=SEND)
    parameter = '<parameter><name value="asOf"/><valueDate value="2021-01-14"/></parameter>'
    parameters = f"<Parameters {NAMESPACE}>{parameter}</Parameters>"
    posted = resource(await client.post("Patient/xml-7/$vaccine-eligibility", content=parameters, headers=XML))
    assert posted["resourceType"] == "Parameters"
    got = await client.get("Patient/xml-7/$vaccine-eligibility?asOf=2021-01-14&_format=xml")
    assert resource(got) == posted


async def test_capabilities(client: httpx.AsyncClient) -> None:
    statement = resource(await client.get("metadata", headers=ASK))
    assert {"json", "xml", "application/fhir+json", "application/fhir+xml"} <= set(statement["format"])
    assert statement == (await client.get("metadata")).json()
