"""Access: what a token, its policy and the access log add to a read, on servers that differ in nothing else.

https://profiles.ihe.net/ITI/BALP/

Three servers stand side by side and are asked in turn, so that whatever else the machine does meets all of them.
"""

import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from rich.console import Console

from benchmarks.load import Measured, Request, Serving, measure, median
from benchmarks.servers import fill, running
from fhir_server.access.clients import secret_digest

SIZE = 1_000
ORGANIZATION = "bench"
PLAIN, REGISTRY, CLINIC, LOGGED = "without a token (`--dev`)", "a registry's token", "a clinic's token", "and logged"
_CLIENTS = (("registry", "system/*.cruds", ""), ("clinic", "system/*.rs", ORGANIZATION))


async def table(requests: int, runs: int, console: Console) -> str:
    """The rows as Markdown."""
    with tempfile.TemporaryDirectory(prefix="fhir-server-bench-") as folder:
        async with _servers(Path(folder), console) as servers:
            together = {name: await _warm(serving, requests) for name, serving in servers.items()}
            alone = {name: list[Measured]() for name in servers}
            for run in range(runs):
                for name, serving in servers.items():
                    together[name].append(await measure(serving, _Reads(run * requests), requests))
                    alone[name].append(await measure(serving, _Reads(run * requests), requests // 4, 1))
    lines = [
        f"| read of one of {SIZE:,} patients | server | database | together | p50 ms | p50 ms, one client |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    found = {name: (median(together[name]), median(alone[name])) for name in together}
    for name, (many, one) in found.items():
        lines.append(_line(name, many.server, many.database, f"{many.p50:.1f}", f"{one.p50:.1f}"))
    for name, with_it, without in (
        ("token and policy, of a registry", REGISTRY, PLAIN),
        ("token and policy, of a clinic", CLINIC, PLAIN),
        ("the access log", LOGGED, CLINIC),
    ):
        (many, one), (many_less, one_less) = found[with_it], found[without]
        later = f"{one.p50 - one_less.p50:+.1f}"
        lines.append(_line(f"*{name}*", many.server - many_less.server, many.database - many_less.database, "", later))
    return "\n".join(lines)


def _line(name: str, server: float, database: float, together: str, alone: str) -> str:
    return f"| {name} | {server:.2f} | {database:.2f} | **{server + database:.2f}** | {together} | {alone} |"


class _Reads:
    """Reads of all patients in turn, from some number on."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __call__(self, number: int) -> Request:
        return Request("GET", f"Patient/bench-{(self._first + number) * 7_919 % SIZE}")


async def _warm(serving: Serving, requests: int) -> list[Measured]:
    await measure(serving, _Reads(0), max(requests // 10, 32))
    return []


@asynccontextmanager
async def _servers(folder: Path, console: Console) -> AsyncIterator[dict[str, Serving]]:
    """What is compared: by name a server with the headers of its client."""
    made = {id: secrets.token_urlsafe(32) for id, _, _ in _CLIENTS}
    clients = folder / "clients.toml"
    clients.write_text("".join(_client(*each, made[each[0]]) for each in _CLIENTS))
    told = {"clients_file": str(clients), "access_token_seconds": "3600"}
    async with AsyncExitStack() as stack:
        dev = await stack.enter_async_context(running(folder / "dev", "--dev"))
        quiet = await stack.enter_async_context(running(folder / "quiet", audit="false", **told))
        logged = await stack.enter_async_context(running(folder / "logged", **told))
        await fill(dev.base, SIZE, console, organization=ORGANIZATION)
        for each in (quiet, logged):
            await fill(each.base, SIZE, console, await _token(each, "registry", made), ORGANIZATION)
        yield {
            PLAIN: dev,
            REGISTRY: replace(quiet, headers=await _token(quiet, "registry", made)),
            CLINIC: replace(quiet, headers=await _token(quiet, "clinic", made)),
            LOGGED: replace(logged, headers=await _token(logged, "clinic", made)),
        }


def _client(id: str, scopes: str, organization: str, secret: str) -> str:
    bound = f'organization = "{organization}"\n' if organization else ""
    kept = f'secret_sha256 = "{secret_digest(secret)}"\n'
    return f'[[client]]\nid = "{id}"\nrole = "registry"\nscopes = "{scopes}"\n{bound}{kept}\n'


async def _token(serving: Serving, id: str, made: Mapping[str, str]) -> dict[str, str]:
    """The headers of a client's requests."""
    scopes = next(scopes for each, scopes, _ in _CLIENTS if each == id)
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{serving.base.removesuffix('/fhir')}/oauth/token",
            data={"grant_type": "client_credentials", "scope": scopes},
            auth=(id, made[id]),
        )
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
