"""What users write is text: never an operator, a pattern, a path or a command.

https://hl7.org/fhir/R4/search.html#escaping
"""

import httpx
import pytest

from tests.http.answers import JSON, everything

PAYLOADS = [
    *(
        '{"$gt":""}',
        '{"$ne":null}',
        '{"$where":"sleep(1000)"}',
        "[$ne]=1",
        "$where",
        "$",
        "$$ROOT",
        "$family",
        "a.b.$c",
    ),
    *(
        ".*",
        "^M",
        "a|b",
        "(a+)+$",
        "[a-z]*",
        "\\d",
        "\\",
        "a\\,b",
        "%",
        "_",
        "*",
        "?",
        "'; DROP TABLE x; --",
        '" or ""="',
    ),
    *(
        "../../etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "$(id)",
        "`id`",
    ),
    *(
        "<script>alert(1)</script>",
        "javascript:alert(1)",
        "a␟b",
        "␟",
        "has␟family",
        "a\tb",
        "\u202eabc",
        "ﬁ",
        "ß",
        "İ",
        "e\u0301",
    ),
]


@pytest.mark.parametrize("text", PAYLOADS)
async def test_as_identifier_name_and_tag(client: httpx.AsyncClient, text: str) -> None:
    system = "https://literal.example"
    person = {
        "resourceType": "Patient",
        "meta": {"tag": [{"system": system, "code": "x"}]},
        "identifier": [{"system": system, "value": text}],
        "name": [{"family": text}],
    }
    created = await client.post("Patient", json=person, headers=JSON)
    assert created.status_code == 201, created.text
    id = created.json()["id"]
    assert (await client.get(f"Patient/{id}")).json()["identifier"][0]["value"] == text
    written = text.replace("\\", "\\\\").replace("|", "\\|").replace(",", "\\,").replace("$", "\\$")
    tag = f"{system}|x"
    for name, value in (("identifier", f"{system}|{written}"), ("family:exact", written)):
        address = str(httpx.URL("Patient", params={name: value, "_tag": tag}))
        assert await everything(client, address) == [id], name
    for name in ("family", "family:contains", "identifier", "_id", "birthdate", "organization", "_sort", "_elements"):
        answer = await client.get("Patient", params={name: text, "_tag": tag, "_count": "1"})
        assert answer.status_code in (200, 400), name
    unless = {**JSON, "if-none-exist": str(httpx.QueryParams({"identifier": f"{system}|{written}"}))}
    again = await client.post("Patient", json=person, headers=unless)
    assert (again.status_code, again.json()["id"]) == (200, id)
