"""The processes a server under test is made of, as /proc tells them (Linux)."""

import os
from collections.abc import Iterable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def below(process: int) -> dict[int, list[str]]:
    """What all descendants of a process are called, and the words of their command lines, by their ids."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it ended meanwhile
    found: dict[int, list[str]] = {}
    pending = [process]
    while pending:
        parent = pending.pop()
        for child in (each for each, of in parents.items() if of == parent):
            try:
                called = Path(f"/proc/{child}/comm").read_text().strip()
                found[child] = [called, *Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")]
            except OSError:
                continue
            pending.append(child)
    return found


def state(process: int) -> str:
    """`R` running, `S` sleeping, `T` stopped, `Z` ended and not yet waited for."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def memory(process: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE


def spent(process: int) -> float:
    """Seconds of processor time a process has spent."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def living(processes: Iterable[int]) -> list[int]:
    """Those of the processes that have not ended."""
    return [process for process in processes if Path(f"/proc/{process}").exists() and state(process) != "Z"]
