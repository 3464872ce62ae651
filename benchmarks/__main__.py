"""`make bench`: CPU-milliseconds per request of server and database, into docs/benchmarks.md.

CPU time, not wall time: it hardly depends on what else the machine does, and it is what a deployment pays for.
"""

import argparse
import asyncio
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console

from benchmarks import access, cards, pages, validation
from benchmarks.load import Measured, Request, Serving, measure, median
from benchmarks.rows import ROWS
from benchmarks.servers import fill, running, settled

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
MARKS = ("<!-- table -->", "<!-- end of table -->")
console = Console(stderr=True)


async def main() -> None:
    """Measure every row at every size and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="1000,20000,100000", help="numbers of patients, with commas")
    parser.add_argument("--requests", type=int, default=2_000, help="requests of a run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each row; the median counts")
    parser.add_argument("--dry", action="store_true", help="print the table, leave docs/benchmarks.md alone")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    lines = ["| request | patients | server | database | together | p50 ms | p99 ms |", "|---|--:|--:|--:|--:|--:|--:|"]
    bare = await _bare(options.requests, options.runs)
    cost = f"{bare.server:.2f}"
    lines.append(f"| a bare ASGI answer of 700 bytes | - | {cost} | - | {cost} | {bare.p50:.1f} | {bare.p99:.1f} |")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder:
            async with running(Path(folder), "--dev") as serving:
                await fill(serving.base, size, console)
                await settled(serving)
                for row in ROWS:
                    make = partial(_sized, row.make, size)
                    median = await _median(serving, make, options.requests, options.runs)
                    lines.append(_line(row.name, size, median))
                    console.print(lines[-1], markup=False)
    logged = await access.table(options.requests, options.runs, console)
    console.print(logged, markup=False)
    table = "\n".join([*lines, "", logged, "", cards.table(), "", validation.table(), "", await pages.table()])
    print(table)
    if not options.dry:
        _write(table, options.requests, options.runs)


def _line(name: str, size: int, m: Measured) -> str:
    together = m.server + m.database
    return f"| {name} | {size:,} | {m.server:.2f} | {m.database:.2f} | **{together:.2f}** | {m.p50:.1f} | {m.p99:.1f} |"


async def _median(serving: Serving, make: Callable[[int], Request], requests: int, runs: int) -> Measured:
    await measure(serving, partial(_from, make, 1_000_000), max(requests // 10, 32))
    measured = []
    for run in range(runs):
        measured.append(await measure(serving, partial(_from, make, run * requests), requests))
    return median(measured)


def _sized(make: Callable[[int, int], Request], size: int, number: int) -> Request:
    return make(number, size)


def _from(make: Callable[[int], Request], first: int, number: int) -> Request:
    return make(first + number)


async def _bare(requests: int, runs: int) -> Measured:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "uvicorn", "benchmarks.bare:app", "--port", "8997", "--log-level", "error", "--no-access-log"),
        *("--loop", "uvloop", "--http", "httptools"),
    )
    try:
        base = "http://127.0.0.1:8997"
        async with httpx.AsyncClient() as client:
            for _ in range(100):
                try:
                    await client.get(base)
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.1)
        serving = Serving(base, (process.pid,), ())
        return await _median(serving, lambda number: Request("GET", "x"), requests, runs)
    finally:
        process.terminate()
        await process.wait()


def _write(table: str, requests: int, runs: int) -> None:
    git = shutil.which("git") or "git"
    asked = [git, "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    measured = (
        f"Measured {time.strftime('%Y-%m-%d')} at commit {commit.stdout.strip() or 'unknown'}: median of {runs} runs "
        f"of {requests:,} requests over 16 connections, one worker, Python {platform.python_version()}, "
        f"{os.cpu_count()} processors, embedded database."
    )
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    DOCUMENT.write_text(f"{before}{MARKS[0]}\n\n{measured}\n\n{table}\n\n{MARKS[1]}{after}")


if __name__ == "__main__":
    asyncio.run(main())
