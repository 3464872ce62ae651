"""Bodies beyond the limits are refused at the limit, whether or not their length was told.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.http.answers import JSON, refused
from tests.processes import below, memory

MEGABYTE = 1_000_000


async def endless(megabytes: int) -> AsyncIterator[bytes]:
    """A JSON string that goes on."""
    yield b'{"resourceType":"Patient","name":[{"family":"'
    chunk = b"x" * 100_000
    for _ in range(megabytes * 10):
        yield chunk


@pytest.mark.parametrize("address", ["Patient", "Bundle", "", "Patient/_search"])
async def test_300_megabytes_in_chunks(client: httpx.AsyncClient, server: Server, address: str) -> None:
    assert server.process is not None
    workers = [process for process, words in below(server.process.pid).items() if "fhir-worker" in words]
    before = sum(memory(process) for process in workers)
    form = {"content-type": "application/x-www-form-urlencoded"}
    started = time.monotonic()
    answer = await client.post(address, content=endless(300), headers=form if "_search" in address else JSON)
    assert refused(answer, 413)[:2] == ("too-long", "body-too-large")
    assert time.monotonic() - started < 10
    assert sum(memory(process) for process in workers) - before < 40 * MEGABYTE


async def test_a_length_that_is_too_much_is_refused_before_the_body(server: Server) -> None:
    for path, length in (
        ("Patient", 2 * MEGABYTE),
        ("Patient", 10**18),
        ("Bundle", 10 * MEGABYTE),
        ("", 10 * MEGABYTE),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        told = f"Content-Length: {length + 1}"
        head = (f"POST /fhir/{path} HTTP/1.1", "Host: x", "Content-Type: application/json", told)
        writer.write("\r\n".join((*head, "", "")).encode())
        status = await asyncio.wait_for(reader.readline(), 5)
        assert status.startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()


async def test_just_below_the_limit(client: httpx.AsyncClient) -> None:
    empty = b'{"resourceType":"Binary","contentType":"text/plain","data":""}'
    data = b"YWFh" * ((2_000_000 - len(empty)) // 4)
    body = empty.replace(b'""', b'"' + data + b'"')
    answer = await client.post("Binary", content=body, headers=JSON)
    assert answer.status_code == 201, answer.text[:300]
    assert (await client.get(answer.headers["location"])).json()["data"] == data.decode()
    more = empty.replace(b'""', b'"' + data + b'YWFhYWFh"')
    assert refused(await client.post("Binary", content=more, headers=JSON), 413).detail == "body-too-large"


async def test_a_bundle_may_be_larger_but_its_resources_not(client: httpx.AsyncClient) -> None:
    large = {"resourceType": "Binary", "contentType": "text/plain", "data": "YWFh" * 600_000}
    for kind in ("batch", "transaction"):
        body = {
            "resourceType": "Bundle",
            "type": kind,
            "entry": [{"resource": large, "request": {"method": "POST", "url": "Binary"}}],
        }
        answer = await client.post("", json=body, headers=JSON)
        status = answer.json()["entry"][0]["response"]["status"][:3] if kind == "batch" else str(answer.status_code)
        assert status == "413"


async def test_a_client_that_leaves_disturbs_nobody(server: Server, client: httpx.AsyncClient) -> None:
    for part in (
        b"POST /fhir/Patient HTTP/1.1\r\n",
        b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(part)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await client.get("metadata")).status_code == 200


def test_processes_are_read_from_proc() -> None:
    assert Path("/proc/self/status").exists() or pytest.skip("there is no /proc on this system")
