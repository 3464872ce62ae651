"""https://hl7.org/fhir/R4/search.html#errors

An upgrade as its operator meets it: the command, killed and started again, and the server that does it by itself.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import httpx
import pytest

from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.store import Store
from tests.conftest import Server
from tests.http.answers import patient, put, refused
from tests.store.test_reindex import FAMILY, found, reduced, refusal, stored_by_an_earlier_version
from tests.store.world import TYPES


async def old_folder(data: Path, count: int) -> None:
    """A data folder that an earlier version filled."""
    embedded = EmbeddedDatabase(data)
    await embedded.start()
    try:
        store = await Store.open(embedded.uri, types=TYPES, rules=reduced)
        await stored_by_an_earlier_version(store, count)
        await store.close()
    finally:
        await embedded.stop()


@pytest.mark.slow
async def test_the_command_survives_kill_9_and_goes_on(tmp_path: Path) -> None:
    await old_folder(tmp_path, 3_000)
    command = [sys.executable, "-m", "fhir_server", "reindex", "--data", str(tmp_path)]
    # A progress bar is only drawn on a terminal.
    surrounding = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE, env=surrounding)
    assert process.stderr is not None
    told = b""
    while b"Patient" not in told:
        told += await process.stderr.read(200)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    embedded = EmbeddedDatabase(tmp_path)
    await embedded.start()
    try:
        store = await Store.open(embedded.uri, types=TYPES)
        record = await store.database.collection("meta").find_one({"_id": "index/Patient"})
        assert record is not None and record["at"] > 0, "it had got somewhere"
        assert (await refusal(store, FAMILY)).issues[0].expression == ("family",)
        await store.close()
    finally:
        await embedded.stop()
    again = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
    told, _ = await again.communicate()
    assert again.returncode == 0, told
    assert b"Every resource can be found" in told
    third = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
    told, _ = await third.communicate()
    assert third.returncode == 0
    assert b"Nothing to do" in told
    await embedded.start()
    try:
        store = await Store.open(embedded.uri, types=TYPES)
        assert len(await found(store, FAMILY)) == 3_000
        await store.close()
    finally:
        await embedded.stop()


@pytest.mark.slow
async def test_the_server_does_it_beside_its_requests(tmp_path: Path) -> None:
    count = 2_500
    await old_folder(tmp_path, count)
    server = Server(tmp_path)
    await server.start()
    waited = written = 0
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=30) as client:
        while (answer := await client.get("Patient?family=smith&_summary=count")).status_code != 200:
            told = refused(answer, 400)
            assert (told.detail, told.expression) == ("index-incomplete", ("family",))
            assert (await client.get("Patient?identifier=urn:test|599")).json()["total"] == 1
            await put(client, patient(f"p{written}", name=[{"family": "Written"}]))
            waited, written = waited + 1, written + 1
        assert waited > 0, "it was complete before anybody asked"
        assert answer.json()["total"] == count - written
        assert (await client.get("Patient?family=written&_summary=count")).json()["total"] == written
    assert await server.stop() == 0
