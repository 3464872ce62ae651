"""kill -9 of worker, server and database during writes: no acknowledged write is lost, no transaction half done.

https://hl7.org/fhir/R4/http.html#transaction
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.durability.checker import faults
from tests.durability.load import Load
from tests.durability.log import Log
from tests.processes import below

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

BACK = 20.0
"""Seconds after which it must work again, without help or, where the whole server was killed, from its start. On an
idle machine it takes 1 to 4; other tests may be running beside this one."""


@pytest.mark.slow
async def test_kills(tmp_path: Path) -> None:
    log = await _survives(tmp_path, ["worker", "database", "server", "database"], 6, 0.7)
    assert log.uncertain > 0


@pytest.mark.long
async def test_many_kills(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """50 of the server, half of them of its worker alone, and 20 of the database, in mixed order."""
    kills = ["worker", "server", "database"] * 20 + ["worker", "server"] * 5
    log = await _survives(tmp_path, kills, 8, 2.0)
    measured(f"{len(kills)} kills, {_told(log)}")


@pytest.mark.long
async def test_two_workers(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """One goes on serving while the other is away."""
    log = await _survives(tmp_path, ["worker", "database", "worker", "server"] * 3, 6, 1.0, "--workers", "2")
    measured(f"12 kills, {_told(log)}")


def _told(log: Log) -> str:
    return f"{log.acknowledged:,} writes acknowledged, {log.uncertain:,} uncertain, none lost or half done"


async def _survives(folder: Path, kills: Sequence[str], clients: int, seconds: float, *options: str) -> Log:
    server = Server(folder, *options)
    await server.start()
    load = Load(server.base, clients, seed=len(kills))
    writing = asyncio.create_task(load.run())
    slow = []
    try:
        for kill in kills:
            await asyncio.sleep(seconds)
            acknowledged = load.log.acknowledged
            await _kill(server, kill)
            took = await _until_writes_go_on(load, acknowledged)
            if took > BACK:
                slow.append(f"{took:.1f} s after the {kill} was killed")
        await asyncio.sleep(seconds)
    finally:
        load.stop.set()
        await writing
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=30) as client:
        assert await faults(client, load.log) == []
    assert slow == []
    assert load.log.acknowledged > 20 * len(kills)
    # A clean stop and start changes nothing either.
    assert await server.stop() == 0
    await server.start(server.port)
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=30) as client:
        assert await faults(client, load.log) == []
    assert await server.stop() == 0
    return load.log


async def _kill(server: Server, which: str) -> None:
    assert server.process is not None
    if which == "server":
        await server.stop(signal.SIGKILL)
        await server.start(server.port)
        return
    name = {"worker": "fhir-worker", "database": "--storage-path"}[which]
    processes = [process for process, words in below(server.process.pid).items() if name in words]
    os.kill(processes[0], signal.SIGKILL)


async def _until_writes_go_on(load: Load, acknowledged: int) -> float:
    """Seconds until ten more writes have been acknowledged."""
    started = time.monotonic()
    async with asyncio.timeout(60):
        await load.log.reached(acknowledged + 10)
    return time.monotonic() - started
