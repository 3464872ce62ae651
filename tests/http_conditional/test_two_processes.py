"""https://hl7.org/fhir/R4/http.html#cond-update, over two processes, where conditional deletes may delete several."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, found, patient, put, refused
from tests.processes import below

JSON_PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    server = Server(tmp_path_factory.mktemp("two"), "--workers", "2")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FHIR_SERVER_CONDITIONAL_DELETE_MULTIPLE", "true")
        await server.start()
    yield server
    assert await server.stop() == 0


@pytest.fixture(scope="module")
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Every request on a connection of its own, so that both processes are asked."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=30, limits=limits) as client:
        yield client


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
    [rest] = statement["rest"]
    # AuditEvents are written by the server alone.
    assert {row["conditionalDelete"] for row in rest["resource"] if row["type"] != "AuditEvent"} == {"multiple"}
    assert (await client.delete("Patient?identifier=urn:t|d")).status_code == 204
    assert found(await client.get("Patient?identifier=urn:t|d")) == []
    assert refused(await client.get("Patient/two-d-2"), 410)
    assert refused(await client.delete("Patient"), 400).detail == "unselective-criteria"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
async def test_a_key_is_done_once_over_processes_and_kills(client: httpx.AsyncClient, server: Server) -> None:
    """Bundles are sent twice at a time and again until they are answered, while a worker is killed."""
    await _retried(client, server, 24, 1)


@pytest.mark.long
async def test_many_keys_over_processes_and_kills(client: httpx.AsyncClient, server: Server) -> None:
    await _retried(client, server, 500, 10)


async def _retried(client: httpx.AsyncClient, server: Server, bundles: int, kills: int) -> None:
    waiting = asyncio.Semaphore(8)
    system = f"urn:retried:{bundles}"

    async def answered(number: int) -> str:
        once = {"resourceType": "Patient", "id": f"retried-{bundles}-{number}"}
        fresh = {"resourceType": "Patient", "identifier": [{"system": system, "value": str(number)}]}
        body = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": once, "request": {"method": "PUT", "url": f"Patient/{once['id']}"}},
                {"resource": fresh, "request": {"method": "POST", "url": "Patient"}},
            ],
        }
        async with waiting:
            while True:
                try:
                    answer = await client.post("", json=body, headers={**JSON, "idempotency-key": f"{system}|{number}"})
                except httpx.TransportError:
                    continue
                if answer.status_code == 200:
                    return answer.text
                assert answer.status_code in (409, 503), answer.text

    async def kill() -> None:
        assert server.process is not None
        for number in range(kills):
            # A supervisor whose worker dies again and again right after its start gives up, and rightly so.
            await asyncio.sleep(6 if number else 0.3)
            workers = [id for id, words in below(server.process.pid).items() if "fhir-worker" in words]
            os.kill(workers[0], signal.SIGKILL)

    killing = asyncio.create_task(kill())
    answers = await asyncio.gather(*(answered(number // 2) for number in range(bundles * 2)))
    await killing
    assert len(set(answers)) == bundles, "both were told the same"
    once_more = await asyncio.gather(*map(answered, range(bundles)))
    assert set(once_more) == set(answers)
    counted = (await client.get("Patient", params={"identifier": f"{system}|", "_count": 1_000})).json()
    assert (counted["total"], len(counted["entry"])) == (bundles, bundles)
    history = (await client.get("_history", params={"_count": 1_000})).json()
    stored = Counter(entry["fullUrl"] for entry in history["entry"])
    assert {stored[f"{server.base}/Patient/retried-{bundles}-{number}"] for number in range(min(bundles, 40))} == {1}
