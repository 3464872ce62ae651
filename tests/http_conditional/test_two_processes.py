"""https://hl7.org/fhir/R4/http.html#cond-update, over two processes, where conditional deletes may delete several."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, found, patient, put, refused

JSON_PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Every request on a connection of its own, so that both processes are asked."""
    server = Server(tmp_path_factory.mktemp("two"), "--workers", "2")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FHIR_SERVER_CONDITIONAL_DELETE_MULTIPLE", "true")
        await server.start()
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=30, limits=limits) as client:
        yield client
    assert await server.stop() == 0


def known(value: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:t", "value": value}], **members}


async def test_conditional_updates_make_one_resource(client: httpx.AsyncClient) -> None:
    address = "Patient?identifier=urn:t|a"
    sent = (client.put(address, json=known("a", multipleBirthInteger=number), headers=JSON) for number in range(40))
    assert Counter(answer.status_code for answer in await asyncio.gather(*sent)) == {201: 1, 200: 39}
    [row] = (await client.get(address)).json()["entry"]
    assert row["resource"]["meta"]["versionId"] == "40"


async def test_patches_all_take_effect(client: httpx.AsyncClient) -> None:
    await put(client, patient("two-1", identifier=[{"value": "start"}]))
    body = [{"op": "add", "path": "/identifier/-", "value": {"value": "x"}}]
    sent = (client.patch("Patient/two-1", json=body, headers=JSON_PATCH) for _ in range(30))
    assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}
    assert len((await client.get("Patient/two-1")).json()["identifier"]) == 31


async def test_a_conditional_delete_may_delete_several(client: httpx.AsyncClient) -> None:
    await put(client, *({**known("d"), "id": f"two-d-{number}"} for number in range(3)))
    statement = (await client.get("metadata")).json()
    assert {row["conditionalDelete"] for row in statement["rest"][0]["resource"]} == {"multiple"}
    assert (await client.delete("Patient?identifier=urn:t|d")).status_code == 204
    assert found(await client.get("Patient?identifier=urn:t|d")) == []
    assert refused(await client.get("Patient/two-d-2"), 410)
    assert refused(await client.delete("Patient"), 400).detail == "unselective-criteria"
