"""The database is away or stands still: 503 with an OperationOutcome and Retry-After in time, never a hang; then it
works again without help.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, patient, put, refused
from tests.processes import below, state

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

DEADLINE = 20.0
"""Seconds: the store's own deadline is 10; the driver may spend 5 more looking for a server."""
BACK = 20.0
"""Seconds; 1 to 3 on an idle machine."""

ASKED = [
    ("GET", "Patient/away-1", None),
    ("GET", "Patient?_id=away-1", None),
    ("GET", "Patient/away-1/_history", None),
    ("GET", "_history", None),
    ("POST", "Patient", patient("x")),
    ("PUT", "Patient/away-2", patient("away-2")),
    ("DELETE", "Patient/away-4", None),
    (
        "POST",
        "",
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": patient("away-3"), "request": {"method": "PUT", "url": "Patient/away-3"}}],
        },
    ),
]


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server whose database is nobody else's."""
    server = Server(tmp_path_factory.mktemp("away"))
    await server.start()
    yield server
    assert await server.stop() == 0


def database(server: Server) -> int:
    """The process of the embedded database."""
    assert server.process is not None
    [found] = [process for process, words in below(server.process.pid).items() if "--storage-path" in words]
    return found


async def ask_all(client: httpx.AsyncClient) -> list[httpx.Response]:
    """Everything that is asked, at once."""
    return list(await asyncio.gather(*(client.request(m, a, json=body, headers=JSON) for m, a, body in ASKED)))


async def back(client: httpx.AsyncClient) -> float:
    """Seconds until a read and a write are answered again."""
    started = time.monotonic()
    for _ in range(60):
        if (await client.put("Patient/away-1", json=patient("away-1"), headers=JSON)).is_success:
            break
        await asyncio.sleep(0.1)
    assert (await client.get("Patient/away-1")).status_code == 200
    return time.monotonic() - started


async def _stop(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    for _ in range(200):
        if state(process) == "T":
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the database does not stop")


async def test_a_database_that_stands_still(own: Server) -> None:
    async with httpx.AsyncClient(base_url=own.base + "/", timeout=60) as client:
        await put(client, patient("away-1"))
        standing = database(own)
        await _stop(standing)
        try:
            started = time.monotonic()
            answers = await ask_all(client)
            assert time.monotonic() - started < DEADLINE
            for answer in answers:
                assert refused(answer, 503).code in ("timeout", "transient")
                assert int(answer.headers["retry-after"]) > 0
            assert (await client.get("metadata")).status_code == 200
            assert (await client.get(own.base.removesuffix("/fhir") + "/livez")).status_code == 200
            assert (await client.get(own.base.removesuffix("/fhir") + "/readyz")).status_code == 503
        finally:
            os.kill(standing, signal.SIGCONT)
        assert await back(client) < BACK
        assert (await client.get(own.base.removesuffix("/fhir") + "/readyz")).status_code == 200


async def test_a_database_that_dies(own: Server) -> None:
    async with httpx.AsyncClient(base_url=own.base + "/", timeout=60) as client:
        await put(client, patient("away-1"))
        os.kill(database(own), signal.SIGKILL)
        started = time.monotonic()
        answers = await ask_all(client)
        assert time.monotonic() - started < DEADLINE
        for answer in answers:
            assert answer.is_success or refused(answer, 503), answer.text
            assert answer.is_success or int(answer.headers["retry-after"]) > 0
        assert await back(client) < BACK
