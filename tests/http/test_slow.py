"""Requests that never end, or never come, do not hold a connection or memory.

https://cheatsheetseries.owasp.org/cheatsheets/Denial_of_Service_Cheat_Sheet.html
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from fhir_server.http import protocol
from tests.conftest import Server
from tests.processes import below, memory

MEGABYTE = 1_000_000
PATIENCE = 0.4
BEGUN = b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-Slow: "


async def connected(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


@pytest.mark.parametrize("begun", [BEGUN, b"GET /fhir/Patient?x="], ids=["headers", "address"])
async def test_a_head_without_end_is_cut_off(server: Server, begun: bytes) -> None:
    assert server.process is not None
    workers = [process for process, words in below(server.process.pid).items() if "fhir-worker" in words]
    before = sum(memory(process) for process in workers)
    _, writer = await connected(server)
    writer.write(begun)
    sent = 0
    try:
        for _ in range(100):
            writer.write(b"x" * MEGABYTE)
            await writer.drain()
            sent += MEGABYTE
    except ConnectionError:
        pass
    assert sent < 50 * MEGABYTE
    assert sum(memory(process) for process in workers) - before < 20 * MEGABYTE
    writer.close()


async def test_a_head_that_is_too_long_is_told_so(server: Server) -> None:
    reader, writer = await connected(server)
    writer.write(BEGUN + b"x" * protocol.MOST_HEAD)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"headers-too-long" in answer
    assert b"OperationOutcome" in answer
    writer.close()


async def test_a_body_in_one_piece_with_its_head_is_none(server: Server) -> None:
    reader, writer = await connected(server)
    body = b'{"resourceType":"Patient","gender":"male"' + b" " * 200_000 + b"}"
    head = "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
    for _ in range(2):
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert answer.startswith(b"HTTP/1.1 201 ")
        await reader.readexactly(int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    writer.close()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server in this process that waits for a head only a moment."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", PATIENCE)

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"live")(scope, receive, send)

    config = uvicorn.Config(live, port=0, http=protocol.Guarded, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: protocol.Guarded(config, state, {}), "127.0.0.1", 0) as running:
        yield running.sockets[0].getsockname()[1]


async def _all_that_came(reader: asyncio.StreamReader) -> bytes:
    """Until the end, or until a byte of ours meets a connection that was closed meanwhile."""
    found = b""
    try:
        while chunk := await reader.read(MEGABYTE):
            found += chunk
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize("what", ["nothing", "a byte at a time", "after a request"])
async def test_heads_that_do_not_come(port: int, what: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if what == "after a request":
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(4)
    started = time.monotonic()
    answered = asyncio.create_task(_all_that_came(reader))
    for byte in BEGUN * 3 if what != "nothing" else b"":
        if answered.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
    answer = await asyncio.wait_for(answered, PATIENCE + 2)
    assert PATIENCE - 0.1 < time.monotonic() - started < PATIENCE + 2
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"slow-head" in answer
    writer.close()


async def test_many_requests_on_one_connection(server: Server) -> None:
    """Their heads are counted one by one, also where several come at once."""
    reader, writer = await connected(server)
    padding = b"X-Padding: " + b"x" * 20_000
    for _ in range(5):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + padding + b"\r\n\r\n")
        assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await reader.readexactly(17)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    for _ in range(20):
        assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await reader.readexactly(17)
    writer.close()
