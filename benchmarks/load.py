"""Load: requests over a number of connections, and the processor time that other processes spent meanwhile."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

CONNECTIONS = 16
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Request:
    """One request and the status it must get."""

    method: str
    url: str
    content: bytes | None = None
    expected: int = 200


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU-milliseconds per request of server and database; wall-clock milliseconds at the client (median, p99)."""

    server: float
    database: float
    p50: float
    p99: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that is measured: its FHIR base, the pids of its workers and of its database, and the headers that every
    request to it brings."""

    base: str
    server: tuple[int, ...]
    database: tuple[int, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


async def measure(
    serving: Serving, make: Callable[[int], Request], count: int, connections: int = CONNECTIONS
) -> Measured:
    """Send `make(0..count-1)` over so many connections. RuntimeError at the first answer that is not the expected
    one."""
    latencies: list[float] = []
    numbers = iter(range(count))
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)

    async def connection() -> None:
        async with httpx.AsyncClient(base_url=serving.base + "/", limits=limits, timeout=60) as client:
            headers = {"content-type": "application/fhir+json", **serving.headers}
            for number in numbers:
                request = make(number)
                begun = time.perf_counter()
                answer = await client.request(request.method, request.url, content=request.content, headers=headers)
                latencies.append(1_000 * (time.perf_counter() - begun))
                if answer.status_code != request.expected:
                    raise RuntimeError(f"{request.method} {request.url}: {answer.status_code} {answer.text[:300]}")

    before = cpu(serving.server), cpu(serving.database)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(connection())
    wall = time.perf_counter() - begun
    after = cpu(serving.server), cpu(serving.database)
    return Measured(
        1_000 * (after[0] - before[0]) / count,
        1_000 * (after[1] - before[1]) / count,
        statistics.median(latencies),
        statistics.quantiles(latencies, n=100)[98],
        count / wall,
    )


def median(measured: Sequence[Measured]) -> Measured:
    """The run in the middle, by what it cost."""
    return sorted(measured, key=lambda found: found.server + found.database)[len(measured) // 2]


def cpu(processes: Iterable[int]) -> float:
    """Seconds of processor time these processes have spent, in user and system mode."""
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def children(process: int) -> dict[int, str]:
    """Every process below this one: pid -> what it is called, and its command's words."""
    found: dict[int, str] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(folder.name)] = f"{(folder / 'comm').read_text().strip()} {words}"
            except (FileNotFoundError, ProcessLookupError):
                continue

    def below(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == process:
                return True
        return False

    return {pid: words for pid, words in found.items() if below(pid)}
