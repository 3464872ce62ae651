"""Embedded: starts, guards and stops the embedded database when no MONGODB_URI is set.

https://www.mongodb.com/docs/manual/reference/connection-string/

A child process on 127.0.0.1 that speaks MongoDB's protocol. It is started with flags measured to lose no acknowledged
write, asked for a password that only this folder's owner can read, proven to be our own child and no stranger on the
same port, started again on the same port when it dies or stands still (pulse.py), and tied to this process: it ends
when we do, also when we are killed (Linux; elsewhere a killed server leaves it running, and the next start says so).
"""

import asyncio
import contextlib
import logging
import os
import secrets
import sys
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from pathlib import Path

from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.store.driver import Client, PyMongo
from fhir_server.store.engine import pulse, tether
from fhir_server.store.engine.daemon import EmbeddedError, Folder, Program, find, free_port

__all__ = ["EmbeddedDatabase", "EmbeddedError"]

_log = logging.getLogger(__name__)

START_SECONDS = 60.0
"""Recovery after a crash took up to 3.3 s; a long outage's worth of log may take longer."""
STOP_SECONDS = 10.0
ATTEMPTS = 5
"""Starts in a row that may fail before it is given up."""
QUICK = 2.0
LONGEST_PAUSE = 2.0
"""One that ends within QUICK seconds is started again after a pause that doubles each time, in seconds."""
USER = "fhir"
_PASSWORD, _INSTANCE, _PORT = "database-password", "instance", "database-port"
_ALREADY_EXISTS = 51003


class EmbeddedDatabase:
    """The embedded database of one data folder. `start`, then keep `watch` running, then `stop`.

    `notes` are sentences about what is not as usual, for whoever sets the server up. With `auth` (default) local users
    other than the folder's owner cannot connect; it costs 0.5 s at the very first start.
    """

    def __init__(self, data: Path, *, auth: bool = True) -> None:
        self.folder = Folder(data)
        self.notes: list[str] = []
        self.restarts = 0
        self._auth = auth
        self._program: Program | None = None
        self._process: Process | None = None
        self._port = 0
        self._started = 0.0
        self._stopping = False

    @property
    def uri(self) -> str:
        """Where it listens, with the password: for environments and files, never for a command line or a log."""
        return self._uri(self.folder.secret(_PASSWORD) if self._auth else None)

    def beside(self) -> str | None:
        """The URI of the database that a running server has started on this folder; None where no server runs.

        EmbeddedError where the folder cannot be used.
        """
        self.folder.prepare()
        try:
            self.folder.hold()
        except EmbeddedError:
            port, password = self.folder.secret(_PORT), self.folder.secret(_PASSWORD)
            if port is None or password is None:
                raise
            self._port = int(port)
            return self._uri(password)
        self.folder.release()
        return None

    @property
    def pid(self) -> int | None:
        """The daemon's process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> str:
        """Start it and return its URI. EmbeddedError says in a sentence why it cannot be."""
        self._program = find()
        if self._program.slow:
            self.notes.append(
                "The fast embedded database is not part of the installed SecantusDB; its much slower Python version "
                "is used. Install SecantusDB 0.6.0b17, or set MONGODB_URI."
            )
        if sys.platform != "linux":
            self.notes.append(
                "On this system the embedded database outlives a server that is killed; stop the server with Ctrl-C."
            )
        self.folder.prepare()
        self.folder.hold()
        try:
            if self._auth and self.folder.secret(_PASSWORD) is None:
                await self._set_password()
            await self._launch_patiently()
        except BaseException:
            await self.stop()
            raise
        return self.uri

    async def watch(self) -> None:
        """Start it again whenever it dies or stands still, until cancelled or stopped. EmbeddedError where it cannot
        start."""
        quick = 0
        while self._process is not None:
            status = await pulse.end_of(self._process, self.uri)
            if self._stopping:
                return
            quick = quick + 1 if time.monotonic() - self._started < QUICK else 0
            self.restarts += 1
            _log.warning("the embedded database ended with status %s; starting it again", status)
            await asyncio.sleep(min(0.05 * 2**quick, LONGEST_PAUSE) if quick else 0)
            await self._launch_patiently(port=self._port)

    async def abort_transactions(self) -> None:
        """Abort what is open, because a client died: left alone, its transactions keep others from what they wrote
        for minutes (measured: more than 90 s). Those of living clients are run again by themselves."""
        client = PyMongo().connect(self.uri)
        try:
            await client.admin.command("killAllSessions", [])
        except PyMongoError as error:
            # A database that is away has no open transactions either.
            _log.debug("no transactions were aborted: %s", type(error).__name__)
        finally:
            await client.close()

    async def stop(self) -> None:
        """Stop it in order (a checkpoint, so that the next start is quick), by force after STOP_SECONDS."""
        self._stopping = True
        await self._end()
        self.folder.release()

    async def _launch_patiently(self, port: int | None = None) -> None:
        """Launch, again where an earlier daemon still holds the folder or a stranger took the port just now."""
        for attempt in range(ATTEMPTS):
            try:
                await self._launch(port or free_port(), self._auth)
            except EmbeddedError:
                await self._end()
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.1 * 2**attempt)
            else:
                return

    async def _launch(self, port: int, auth: bool) -> None:
        """Start the daemon and wait until it answers and has shown to be ours."""
        if self._program is None:
            raise EmbeddedError("start() comes first.")
        self._port = port
        self._started = time.monotonic()
        command = self._program.command(self.folder, port, auth)
        with self.folder.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", tether.__file__, str(os.getpid()), *command),
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                # A terminal's Ctrl-C reaches the server alone, which stops its children in order.
                start_new_session=True,
            )
        await self._until_listening(self._process)
        client = PyMongo().connect(self._uri(self.folder.secret(_PASSWORD) if auth else None))
        try:
            await self._prove(client, self._process)
        except PyMongoError as error:
            raise EmbeddedError(
                f"The embedded database does not answer as expected ({type(error).__name__}); see {self.folder.log}."
            ) from None
        finally:
            await client.close()
        self.folder.keep_secret(_PORT, str(port))

    async def _until_listening(self, process: Process) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if process.returncode is not None:
                raise EmbeddedError(
                    f"The embedded database ended at once (status {process.returncode}); see {self.folder.log}."
                )
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        raise EmbeddedError(f"The embedded database did not get ready in {START_SECONDS:.0f} s; see {self.folder.log}.")

    async def _prove(self, client: Client, process: Process) -> None:
        """It must answer, hold this folder's instance id, and our child must live: else a stranger has the port."""
        await client.admin.command("ping")
        instances = client.get_database("embedded").get_collection("instance")
        held = await instances.find_one({"_id": "instance"})
        expected = self.folder.secret(_INSTANCE)
        if held is None and expected is None:
            expected = secrets.token_hex(16)
            held = {"_id": "instance", "value": expected}
            await instances.insert_one(held)
            self.folder.keep_secret(_INSTANCE, expected)
        if process.returncode is not None or held is None or held["value"] != expected:
            raise EmbeddedError(
                f"The database on port {self._port} is not that of {self.folder.path}: another one answers there, or "
                f"{_INSTANCE} and db in this folder do not belong together."
            )

    async def _set_password(self) -> None:
        """Without `--auth` once, to make the user; the password is kept only after the database has it."""
        await self._launch(free_port(), auth=False)
        password = secrets.token_urlsafe(24)
        client = PyMongo().connect(self._uri(None))
        try:
            roles = [{"role": "root", "db": "admin"}]
            try:
                await client.admin.command("createUser", USER, pwd=password, roles=roles)
            except OperationFailure as error:
                if error.code != _ALREADY_EXISTS:
                    raise
                await client.admin.command("updateUser", USER, pwd=password, roles=roles)
        except PyMongoError as error:
            raise EmbeddedError(f"No password could be set ({type(error).__name__}).") from None
        finally:
            await client.close()
        await self._end()
        self.folder.keep_secret(_PASSWORD, password)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            _log.warning("the embedded database did not stop in %.0f s; killing it", STOP_SECONDS)
            process.kill()
            await process.wait()

    def _uri(self, password: str | None) -> str:
        if password is None:
            return f"mongodb://127.0.0.1:{self._port}/?directConnection=true"
        return f"mongodb://{USER}:{password}@127.0.0.1:{self._port}/?directConnection=true&authSource=admin"
