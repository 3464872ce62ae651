"""Daemon: the embedded database's program, its command line, and the folder it keeps its data in.

https://pypi.org/project/SecantusDB/

The program is GPL-2.0 and stays a separate process: it is found among the installed files and started, never imported
(docs/decisions/0003).
"""

import contextlib
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DISTRIBUTION = "SecantusDB"
FAST, SLOW = "secantusd-rs", "secantusd-py"

_COMMON = ("--sync-on-commit", "--oplog-max-entries", "500000", "--log-level", "WARNING")
_FAST_ONLY = ("--data-nonlogged", "--checkpoint-seconds", "5", "--log-file-max", "64MB")
"""Measured: no acknowledged write lost by kill -9, back in 0.6 to 3.3 s. Without these the recovery time grows with
everything written since the last clean stop."""


_MEGABYTE = 1 << 20
_LEAST_CACHE = 1024
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class EmbeddedError(Exception):
    """The embedded database cannot run; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """The daemon's executable. `slow` is the fallback in Python, which lacks some of the flags."""

    path: Path
    slow: bool

    def command(self, folder: "Folder", port: int, auth: bool) -> list[str]:
        """The command line. No password is ever part of it."""
        return [
            str(self.path),
            *("--config", str(folder.config), "--host", "127.0.0.1", "--port", str(port)),
            *("--storage-path", str(folder.storage), "--cache-size", f"{cache_megabytes()}M", *_COMMON),
            *(() if self.slow else _FAST_ONLY),
            *(("--auth",) if auth else ()),
        ]


def cache_megabytes(limit: Path = _GROUP_LIMIT) -> int:
    """What the database may keep in memory, at most: half of what is beyond the first gigabyte, as MongoDB does, and
    no less than a gigabyte. Measured: once the index entries, which come in no order, no longer fit (with one gigabyte
    at 95,000 patients with a dose each), writes take seconds and then stand still for good (docs/operate.md).
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEGABYTE
    except (AttributeError, OSError, ValueError):
        return _LEAST_CACHE
    with contextlib.suppress(OSError, ValueError):
        # A container's own limit; "max" where there is none.
        memory = min(memory, int(limit.read_text()) // _MEGABYTE)
    return max(_LEAST_CACHE, (memory - 1024) // 2)


def find() -> Program:
    """The installed daemon. EmbeddedError where there is none."""
    for name, slow in ((FAST, False), (SLOW, True)):
        for path in _installed(name):
            if path.is_file():
                return Program(path, slow)
    raise EmbeddedError(
        "The embedded database is not installed. Install it with `pip install 'fhir-server[embedded]'`, "
        "or set MONGODB_URI to a MongoDB of yours."
    )


def _installed(name: str) -> list[Path]:
    """Where the program may be: the binary itself before a script that only starts it."""
    if sys.platform == "win32":
        name += ".exe"
    beside = Path(sys.executable).parent / name
    try:
        files = distribution(DISTRIBUTION).files or []
    except PackageNotFoundError:
        return [beside]
    listed = [Path(str(file.locate())) for file in files if file.name == name]
    return [*(path for path in listed if path.parent.name.endswith(".scripts")), beside, *listed]


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@dataclass
class Folder:
    """The data folder, readable by its owner alone. One process at a time holds it."""

    path: Path
    _lock: IO[str] | None = None

    @property
    def config(self) -> Path:
        """An empty file: without one, stray configuration elsewhere is picked up silently."""
        return self.path / "empty.toml"

    @property
    def storage(self) -> Path:
        return self.path / "db"

    @property
    def log(self) -> Path:
        return self.path / "database.log"

    def prepare(self) -> None:
        """Make the folder. EmbeddedError where it cannot be made or kept private."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            self.config.write_text("")
        except OSError as error:
            raise EmbeddedError(f"The data folder {self.path} cannot be used: {error.strerror}.") from None

    def hold(self) -> None:
        """Lock the folder for this process. EmbeddedError names the process that holds it."""
        file = (self.path / "lock").open("a+")
        try:
            if sys.platform == "win32":
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise EmbeddedError(
                f"The data folder {self.path} is in use by {holder}. Stop that server first, or choose another folder "
                "with --data."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        self._lock = file

    def release(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def secret(self, name: str) -> str | None:
        """The content of one of the folder's private files; None where it is not there."""
        try:
            return (self.path / name).read_text().strip() or None
        except FileNotFoundError:
            return None

    def keep_secret(self, name: str, content: str) -> None:
        """Write a private file (0600), whole or not at all."""
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / name)
