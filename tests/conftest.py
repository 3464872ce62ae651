"""A live server on the real embedded database, over real HTTP, for every test that asks for `client`."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fhir_server.store.engine import tether

pytest_plugins = ["tests.volumes"]

# Until everything is collected, which is never garbage; pytest_collection_finish turns it on again.
gc.disable()

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public test data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder of public test data (../shared/data) is not on this machine")
    return SHARED


TOGETHER = ("portal", "real_input", "access", "reminders", "oauth")
"""Folders whose files share one application and what was stored in it: each is run by one process, in order."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text is called by its length: what tests are called travels between processes."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > 200 else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what must be run by the same process: a file, a folder whose files share one application, or a single test
    that is slow. What takes long is begun first, so that no process is left with it at the end."""
    here = Path(__file__).parent
    order: dict[int, int] = {}
    for item in items:
        place = item.path.relative_to(here)
        folder, slow = place.parts[0], item.get_closest_marker("slow")
        group = item.nodeid if slow else folder if folder in TOGETHER else place.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
        order[id(item)] = 0 if slow else TOGETHER.index(folder) + 1 if folder in TOGETHER else len(TOGETHER) + 1
    items.sort(key=lambda item: order[id(item)])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Nothing that was collected is ever garbage: the collector need not look at it again."""
    grouped = session.config.getoption("loadgroup", False)
    assert not grouped or all("@" in item.nodeid for item in session.items), "pytest-xdist does not group these tests"
    gc.collect()
    gc.freeze()
    gc.enable()


class Server:
    """A running `fhir-server serve`, with `--dev` unless told otherwise: its base address, data folder and process."""

    def __init__(self, data: Path, *options: str, dev: bool = True) -> None:
        self.data = data
        self._options = ("--dev", *options) if dev else options
        self.base = ""
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, port: int = 0) -> None:
        """Start it and wait until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MONGODB")}
        # Tied to this process: a run that is killed leaves no servers behind.
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", tether.__file__, str(os.getpid())),
            *(sys.executable, "-m", "fhir_server", "serve"),
            *("--port", str(port), "--data", str(self.data), *self._options),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        assert line.startswith(b"ready "), f"the server did not start: {line!r}"
        self.base = line.decode().split()[1]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; returns the exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return httpx.URL(self.base).port or 0


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for the whole run; tests keep to their own resources."""
    running = Server(tmp_path_factory.mktemp("server"))
    await running.start()
    yield running
    assert await running.stop() == 0


@pytest.fixture(scope="session")
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client on the FHIR base."""
    async with httpx.AsyncClient(base_url=server.base + "/", timeout=30) as client:
        yield client
