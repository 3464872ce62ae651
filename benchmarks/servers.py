"""Servers: a server that is measured, on an empty database, and what it is filled with."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import Progress

from benchmarks.load import Serving, children, cpu
from benchmarks.population import dose, entry, patient

CALM, IDLE = 6, 0.05
"""Seconds in a row (a checkpoint comes every five), and how much of one such second the processors may be used."""


@asynccontextmanager
async def running(folder: Path, *options: str, **settings: str) -> AsyncIterator[Serving]:
    """A server with one worker and these options and settings, its data in the folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "fhir_server", "serve", *options, "--port", "0", "--data", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **{f"FHIR_SERVER_{name.upper()}": value for name, value in settings.items()}},
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 90)
        below = children(process.pid)
        workers = (pid for pid, words in below.items() if words.startswith("fhir-worker "))
        databases = (pid for pid, words in below.items() if "--storage-path" in words)
        yield Serving(line.decode().split()[1], tuple(workers), tuple(databases))
    finally:
        process.terminate()
        await process.wait()


async def fill(
    base: str, size: int, console: Console, headers: Mapping[str, str] | None = None, organization: str = ""
) -> None:
    """Store so many patients with a dose each; with an `organization` that has registered them."""
    async with httpx.AsyncClient(base_url=base + "/", timeout=120, headers=headers) as client:
        with Progress(console=console) as progress:
            task = progress.add_task(f"{size:,} patients", total=size)
            said = {"content-type": "application/fhir+json", "prefer": "return=minimal"}
            for first in range(0, size, 500):
                numbers = range(first, min(first + 500, size))
                people = [
                    entry(patient(number, organization=organization), "PUT", f"Patient/bench-{number}")
                    for number in numbers
                ]
                doses = [entry(dose(number), "PUT", f"Immunization/bench-{number}") for number in numbers]
                bundle = b'{"resourceType":"Bundle","type":"transaction","entry":[' + b",".join(people + doses) + b"]}"
                answer = await client.post("", content=bundle, headers=said)
                answer.raise_for_status()
                progress.advance(task, len(numbers))


async def settled(serving: Serving, seconds: float = 60) -> None:
    """Return when server and database have been idle for a while: what was stored just now is still being written in
    order, which is no cost of the requests that follow."""
    until = time.monotonic() + seconds
    calm = 0
    while calm < CALM and time.monotonic() < until:
        before = cpu((*serving.server, *serving.database))
        await asyncio.sleep(1)
        calm = calm + 1 if cpu((*serving.server, *serving.database)) - before < IDLE else 0
