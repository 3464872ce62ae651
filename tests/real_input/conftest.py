"""A server of its own that holds the synthetic population and nothing else of its types."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.conftest import Server
from tests.http.answers import JSON

FIRST = ("hospitalInformation.json", "practitionerInformation.json")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The population on a server: what was posted, and each resource as it was answered, by `Type/id`."""

    base: str
    client: httpx.AsyncClient
    posted: dict[str, bytes]
    names: dict[str, str]
    stored: dict[str, bytes]

    def of_type(self, resource_type: str) -> dict[str, Any]:
        """The resources of a type by id, parsed."""
        return {
            address.partition("/")[2]: json.loads(body)
            for address, body in self.stored.items()
            if address.startswith(resource_type + "/")
        }


@pytest.fixture(scope="package")
async def loaded(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Loaded]:
    """All bundles of the synthetic population, those on hospitals and practitioners first."""
    folder = shared / "synthea"
    paths = [*(folder / name for name in FIRST), *sorted(p for p in folder.glob("*.json") if p.name not in FIRST)]
    server = Server(tmp_path_factory.mktemp("population"))
    await server.start()
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=60) as client:
        found = Loaded(server.base, client, {}, {}, {})
        for path in paths:
            body = path.read_bytes()
            answer = await client.post("", content=body, headers=JSON)
            assert answer.status_code == 200, (path.name, answer.text[:1000])
            _remember(found, body, answer)
        yield found
    assert await server.stop() == 0


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry]


def _remember(found: Loaded, body: bytes, answer: httpx.Response) -> None:
    sent, done = json.loads(body)["entry"], answer.json()["entry"]
    assert len(sent) == len(done)
    raw = zip(_resources(body), _resources(answer.content), strict=True)
    for asked, told, (posted, stored) in zip(sent, done, raw, strict=True):
        assert told["response"]["status"] == "201 Created"
        address = "/".join(told["response"]["location"].split("/")[-4:-2])
        found.names[asked["fullUrl"]] = address
        found.posted[address] = posted
        found.stored[address] = stored


def _resources(bundle: bytes) -> list[bytes]:
    return [bytes(entry.resource) for entry in msgspec.json.decode(bundle, type=_Bundle).entry]
