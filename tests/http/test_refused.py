"""What is wrong with a request is told with its status and an OperationOutcome; nothing is ever a 5xx.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.answers import JSON, refused

CASES = json.loads(Path(__file__).with_name("cases").joinpath("refused.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_refused(client: httpx.AsyncClient, case: dict[str, Any]) -> None:
    answer = await client.send(request(client, case))
    told = refused(answer, case["status"])
    if "code" in case:
        assert told.code == case["code"]
    if "detail" in case:
        assert told.detail == case["detail"]
    if "expression" in case:
        assert told.expression == tuple(case["expression"])
    for name, value in case.get("headers", {}).items():
        assert answer.headers[name] == value


def request(client: httpx.AsyncClient, case: dict[str, Any]) -> httpx.Request:
    """The request of a case, its address sent as it is written."""
    path = case.get("path", "")
    if "pathRepeat" in case:
        start, part, times = case["pathRepeat"]
        path = start + part * times
    headers = dict(case.get("send", {}))
    if "headerRepeat" in case:
        name, part, times = case["headerRepeat"]
        headers[name] = part * times
    content = None
    if "body" in case:
        content = json.dumps(case["body"]).encode()
    elif "raw" in case:
        content = case["raw"].encode()
    elif "repeat" in case:
        part, times = case["repeat"]
        content = (part * times).encode()
    if content is not None and "content-type" not in headers:
        headers |= JSON
    # httpx tidies paths up; the server must cope with what others send.
    target = {"target": b"/fhir/" + path.encode()}
    return client.build_request(case["method"], "", headers=headers, content=content, extensions=target)
