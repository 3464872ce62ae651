"""Serve: the supervisor that starts and guards the database, the socket and the workers.

Order: database, first boot, socket, workers, `ready <base>`; at the end workers first, then the database.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from fhir_server import worker
from fhir_server.app import complete_index, prepare
from fhir_server.context import Settings
from fhir_server.store import tether
from fhir_server.store.embedded import EmbeddedDatabase

log = logging.getLogger("fhir_server.serve")

_START_SECONDS = 60.0
_STOP_SECONDS = 12.0


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; calls `announce` with the base once requests are taken. Raises StartError."""
    require_permitted(settings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    listening = bind(settings)
    settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    database = None if settings.mongodb_uri else EmbeddedDatabase(settings.data)
    try:
        uri = settings.mongodb_uri or (await database.start() if database else "")
        for note in database.notes if database is not None else ():
            log.warning(note)
        await prepare(settings, uri)
        async with asyncio.TaskGroup() as group:
            ready = [asyncio.Event() for _ in range(settings.workers)]
            guards = [group.create_task(_guard(settings, uri, listening, event, database)) for event in ready]
            guards.append(group.create_task(_announce(ready, lambda: announce(settings.base))))
            guards.append(group.create_task(complete_index(settings, uri)))
            if database is not None:
                guards.append(group.create_task(database.watch()))
            await stopping.wait()
            for guard in guards:
                guard.cancel()
    finally:
        listening.close()
        if database is not None:
            await database.stop()


def require_permitted(settings: Settings) -> None:
    """StartError unless these settings may be served: without authorization only on loopback."""
    if not settings.dev:
        if settings.origin.startswith("http://") and not _is_loopback(_host(settings.origin)):
            log.warning("%s is not https: passwords and tokens can be read on their way", settings.origin)
        return
    if not _is_loopback(settings.host):
        raise StartError(f"--dev serves without authorization and therefore only on loopback, not on {settings.host}.")
    if settings.base_url and not _is_loopback(_host(settings.base_url)):
        log.warning("--dev with the public address %s: links name it, but only this machine can connect", settings.base)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def bind(settings: Settings) -> socket.socket:
    """The listening socket. StartError when the address is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise StartError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). Choose another with --port."
        ) from None
    listening.listen(1_024)
    listening.set_inheritable(True)
    return listening


async def _announce(ready: list[asyncio.Event], announce: Callable[[], None]) -> None:
    for event in ready:
        await event.wait()
    announce()


async def _guard(
    settings: Settings, uri: str, listening: socket.socket, ready: asyncio.Event, database: EmbeddedDatabase | None
) -> None:
    """Keep one worker alive until cancelled, then stop it."""
    quick_ends = 0
    while True:
        started = time.monotonic()
        process = await _start(settings, uri, listening, ready)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        quick_ends = quick_ends + 1 if time.monotonic() - started < 5 else 0
        if quick_ends >= 5:
            raise StartError(f"A worker ended {quick_ends} times right after its start (status {status}); giving up.")
        log.warning("a worker ended with status %s; starting another", status)
        if database is not None:
            await database.abort_transactions()
        await asyncio.sleep(0.1 * quick_ends)


async def _start(settings: Settings, uri: str, listening: socket.socket, ready: asyncio.Event) -> Process:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    environment = {**os.environ, worker.SETTINGS: settings.model_dump_json(), worker.URI: uri}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", tether.__file__, str(os.getpid())),
        *(sys.executable, "-m", "fhir_server.worker", str(listening.fileno()), str(writing)),
        env=environment,
        pass_fds=(listening.fileno(), writing),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr,
        # A terminal's Ctrl-C reaches the supervisor alone, which stops its children in order.
        start_new_session=True,
    )
    os.close(writing)
    loop = asyncio.get_running_loop()

    def told() -> None:
        if os.read(reading, 16):
            ready.set()
        loop.remove_reader(reading)
        os.close(reading)

    loop.add_reader(reading, told)
    return process


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        log.warning("a worker did not stop in %.0f s; killing it", _STOP_SECONDS)
        process.kill()
        await process.wait()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
