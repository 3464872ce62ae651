"""Serve: the supervisor that starts and guards the database, the socket and the workers.

Order: database, first boot, socket, workers, `ready <base>`; at the end workers first, then the database.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from fhir_server import forks
from fhir_server.forks import Fork
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase

log = logging.getLogger("fhir_server.serve")


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
        forks.warm()
        uri = settings.mongodb_uri or (await database.start() if database else "")
        for note in database.notes if database is not None else ():
            log.warning(note)
        try:
            lacking = await forks.prepare(settings, uri)
        except forks.RefusedError as error:
            raise StartError(str(error)) from None
        async with asyncio.TaskGroup() as group:
            ready = [asyncio.Event() for _ in range(settings.workers)]
            guards = [group.create_task(_guard(settings, uri, listening, event, database)) for event in ready]
            guards.append(group.create_task(_announce(ready, lambda: announce(settings.base))))
            if lacking:
                guards.append(group.create_task(_index(settings, uri)))
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
    """StartError unless these settings may be served: without authorization only on loopback, and under its address."""
    if not settings.dev:
        if not settings.audited:
            log.warning("access to personal data is not logged (audit=false): that is for measurements only")
        if settings.origin.startswith("http://") and not _is_loopback(_host(settings.origin)):
            log.warning("%s is not https: passwords and tokens can be read on their way", settings.origin)
        return
    if not _is_loopback(settings.host):
        raise StartError(f"--dev serves without authorization and therefore only on loopback, not on {settings.host}.")
    if settings.base_url and not _is_loopback(_host(settings.base_url)):
        raise StartError(
            f"--dev serves without authorization and therefore not under {settings.base}, another machine's address. "
            "Leave out --dev, or leave out --base-url (FHIR_SERVER_BASE_URL), or name this machine in it: localhost."
        )


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
            await process.stop()
            raise
        quick_ends = quick_ends + 1 if time.monotonic() - started < 5 else 0
        if quick_ends >= 5:
            raise StartError(f"A worker ended {quick_ends} times right after its start (status {status}); giving up.")
        log.warning("a worker ended with status %s; starting another", status)
        if database is not None:
            await database.abort_transactions()
        await asyncio.sleep(0.1 * quick_ends)


async def _start(settings: Settings, uri: str, listening: socket.socket, ready: asyncio.Event) -> Fork:
    process, hearing = forks.worker(settings, uri, listening)
    await process.start()
    loop = asyncio.get_running_loop()

    def told() -> None:
        loop.remove_reader(hearing.fileno())
        with contextlib.suppress(EOFError):
            hearing.recv_bytes()
            ready.set()
        hearing.close()

    loop.add_reader(hearing.fileno(), told)
    return process


async def _index(settings: Settings, uri: str) -> None:
    """Until it is done, or cancelled; killed, it begins again where it was."""
    while True:
        process = forks.indexing(settings, uri)
        await process.start()
        try:
            if await process.wait() == 0:
                return
        finally:
            await process.stop()
        await asyncio.sleep(1)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
