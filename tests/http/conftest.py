"""A small world of resources every search is asked about; its tag keeps it apart from what other tests store."""

import json
from pathlib import Path

import httpx
import pytest

from tests.http.answers import JSON

CASES = Path(__file__).with_name("cases")
TAG = {"system": "https://example.org/tags", "code": "world"}


@pytest.fixture(scope="session")
async def world(client: httpx.AsyncClient) -> str:
    """The world is stored; its `_tag`."""
    resources = json.loads((CASES / "world.json").read_text())
    entries = [
        {
            "resource": {**resource, "meta": {"tag": [TAG]}},
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await client.post("", json=bundle, headers=JSON)
    assert answer.status_code == 200, answer.text
    return f"{TAG['system']}|{TAG['code']}"
