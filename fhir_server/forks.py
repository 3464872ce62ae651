"""Forks: processes of the server, each a copy of one that has imported the application and done nothing else.

https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods

Importing takes longer than everything else at a start. It is done once, beside the start of the database, in a process
without threads or connections; whatever is forked from it is there in a moment, also in place of one that was killed.
"""

import asyncio
import gc
import logging
import multiprocessing
import os
import socket
from multiprocessing import forkserver
from multiprocessing.connection import Connection

from fhir_server.settings import Settings
from fhir_server.store.engine import tether

_log = logging.getLogger("fhir_server.serve")
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fhir_server.nursery"])

WORKER, PREPARING, INDEXING = "fhir-worker", "fhir-preparing", "fhir-indexing"
"""What the processes are called."""

_STOP_SECONDS = 12.0


class RefusedError(Exception):
    """A fork could not do what it was for; the text says why, in the reader's words."""


class Fork:
    """One process that does what the function of that name in worker.py does, and ends when the supervisor does."""

    def __init__(self, called: str, work: str, *arguments: object) -> None:
        # Neither in argv nor in the environment: settings may hold a password.
        self._process = _context.Process(target=_begin, args=(called, work, arguments), name=called, daemon=True)
        self._handed = [argument for argument in arguments if isinstance(argument, Connection)]

    async def start(self) -> None:
        """Start it; the very first waits until everything is imported. Connections among its arguments are then its."""
        await asyncio.to_thread(self._process.start)
        for connection in self._handed:
            connection.close()

    async def wait(self) -> int:
        """The exit status, once it has ended; negative: the signal that killed it."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        return self._process.exitcode or 0

    async def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if not self._process.is_alive():
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self.wait(), _STOP_SECONDS)
        except TimeoutError:
            _log.warning("%s did not stop in %.0f s; killing it", self._process.name, _STOP_SECONDS)
            self._process.kill()
            await self.wait()


def warm() -> None:
    """Begin to import, so that the first fork need not wait as long.

    For the thread that lives as long as the supervisor does: the kernel ends the nursery with the thread it comes from.
    """
    forkserver.ensure_running()


async def prepare(settings: Settings, uri: str) -> bool:
    """First boot, before any worker. Whether stored resources are to be indexed again; RefusedError says what fails."""
    hearing, telling = _context.Pipe(duplex=False)
    fork = Fork(PREPARING, "prepare", settings, uri, telling)
    await fork.start()
    try:
        status = await fork.wait()
        if not hearing.poll():
            raise RefusedError(f"The first boot failed (status {status}); the lines above say where.")
        lacking, refused = hearing.recv()
    except EOFError:
        raise RefusedError(f"The first boot failed (status {status}); the lines above say where.") from None
    finally:
        await fork.stop()
        hearing.close()
    if refused:
        raise RefusedError(refused)
    return bool(lacking)


def worker(settings: Settings, uri: str, listening: socket.socket) -> tuple[Fork, Connection]:
    """A worker, and what can be read once it takes requests, or has ended."""
    hearing, telling = _context.Pipe(duplex=False)
    return Fork(WORKER, "serve", settings, uri, listening, telling), hearing


def indexing(settings: Settings, uri: str) -> Fork:
    """Indexes again what was stored before an upgrade, and ends."""
    return Fork(INDEXING, "index", settings, uri)


def _begin(called: str, work: str, arguments: tuple[object, ...]) -> None:
    """In the fork."""
    # Here and not above: the supervisor does without all that a worker imports.
    from fhir_server import worker

    tether.tie(os.getppid())
    tether.name(called)
    # A terminal's Ctrl-C reaches the supervisor alone, which stops its children in order.
    os.setsid()
    # Standard output is the supervisor's, which says `ready` there.
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # What was imported stays: no collection need look at it again.
    gc.freeze()
    gc.enable()
    getattr(worker, work)(*arguments)
