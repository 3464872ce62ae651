"""Demo: a server of its own and the story played on it, for people (`make demo`) and for checks (`--check`)."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from fhir_server.access import second_factor, users
from fhir_server.commands.terminal import DataFolder, command, fail, out
from fhir_server.fhir.outcome import FhirError
from fhir_server.serve import StartError
from fhir_server.settings import Settings
from fhir_server.store.engine import tether
from fhir_server.store.engine.embedded import EmbeddedError
from fhir_server.story import sample
from fhir_server.story.sample import Sample
from fhir_server.story.scenes import STEPS
from fhir_server.story.signing_in import SignInError
from fhir_server.story.teller import StoryError, Teller

_START_SECONDS = 90


async def played_once(console: Console) -> bool:
    """Play the story once on a free port in a temporary folder; True if every step went as it must."""
    with tempfile.TemporaryDirectory(prefix="fhir-server-demo-") as folder:
        async with _server(0, Path(folder)) as (base, _):
            return await _play(console, base, await _settled(base, Path(folder))) is not None


async def run(console: Console, port: int, data: Path) -> bool:
    """Play the story and stay up until interrupted."""
    async with _server(port, data) as (base, process):
        teller = await _play(console, base, await _settled(base, data))
        if teller is None:
            return False
        origin = base.removesuffix("/fhir")
        console.print("\n[bold]Have a look:[/bold]")
        for name, address in (
            ("Pages for people", f"{origin}/"),
            ("Check a card", f"{origin}/verify"),
            ("What the server can do", f"{base}/metadata"),
            ("How to get in", f"{base}/.well-known/smart-configuration"),
            ("Her card's QR code", teller.learned["card"]),
            ("The issuer's keys", f"{origin}/shc/.well-known/jwks.json"),
        ):
            console.print(f"  {name:24}{address}", highlight=False, soft_wrap=True)
        _tell_who(console, teller)
        console.print("\nVerify the card yourself, offline:")
        console.print(f"  curl -so card.png {teller.learned['card']}", highlight=False, soft_wrap=True)
        console.print(
            f"  .venv/bin/fhir-server verify card.png --data {data} --issuer {origin}/shc",
            highlight=False,
            soft_wrap=True,
        )
        console.print("\nThe server stays up; Ctrl-C ends it.")
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.terminate)
        await process.wait()
    return True


def _tell_who(console: Console, teller: Teller) -> None:
    """Print who can log in, and how a system and a person read something right now."""
    step, _ = divmod(int(time.time()), second_factor.STEP)
    code = second_factor.code_of(sample.TOTP, step)
    console.print(f"\n[bold]Log in[/bold] (password of all: {sample.PASSWORD}):", highlight=False)
    for user in sample.PEOPLE.values():
        second = " and a code of an authenticator app" if user.roles & users.STAFF else ""
        console.print(f"  {user.login:10}{', '.join(sorted(user.roles))}{second}", highlight=False, soft_wrap=True)
    console.print(
        f"  The authenticator's secret is {sample.TOTP}, the code now {code}", highlight=False, soft_wrap=True
    )
    console.print("\n[bold]Systems[/bold] (backend services, private_key_jwt):", highlight=False)
    for name in sample.SYSTEMS:
        console.print(f"  {name:16}key {teller.sample.folder / name}.jwk", highlight=False, soft_wrap=True)
    console.print(
        f"\n[bold]Apps[/bold]: {sample.APP} (public, PKCE), sent back to {sample.REDIRECT}, may ask for\n"
        f"  {sample.APP_SCOPES}",
        highlight=False,
        soft_wrap=True,
    )
    console.print("\n[bold]Read something[/bold] with tokens good for 15 minutes:", highlight=False)
    for name, address in (
        ("ruth", "Patient/demo-ruth?_pretty=true"),
        ("ruth", "Patient/demo-ruth/$vaccine-eligibility?asOf=2021-01-14&_pretty=true"),
        ("mercy-ehr", "Immunization?patient=demo-ruth&_pretty=true"),
    ):
        header = teller.speaking(name).headers["authorization"]
        command = f"  curl -H 'Authorization: {header}' '{teller.base}/{address}'"
        console.print(command, highlight=False, soft_wrap=True, markup=False)


async def _settled(base: str, data: Path) -> Sample:
    """The people and systems of the story, known to the server. StartError where they cannot be."""
    try:
        return await sample.settle(Settings.model_validate({"data": data, "base_url": base}))
    except (EmbeddedError, FhirError, OSError) as error:
        raise StartError(f"The people of the story could not be made known: {error}") from None


async def _play(console: Console, base: str, taking_part: Sample) -> Teller | None:
    """Play every step, a line each with its outcome and time; None as soon as one fails."""
    begun = time.monotonic()
    async with httpx.AsyncClient(base_url=base + "/", timeout=60) as client:
        teller = Teller(client, time.time, taking_part)
        for number, step in enumerate(STEPS, start=1):
            started = time.monotonic()
            try:
                told = await step(teller)
            except (StoryError, SignInError, httpx.HTTPError, KeyError, IndexError) as error:
                reason = (
                    str(error) if isinstance(error, StoryError | SignInError) else f"{type(error).__name__}: {error}"
                )
                console.print(f"[red]✗ {number:2} {step.__name__.strip('_')}: {reason}[/red]", highlight=False)
                return None
            spent = 1_000 * (time.monotonic() - started)
            console.print(
                f"[green]✓[/green] {number:2} {told} [dim]({spent:.0f} ms)[/dim]", highlight=False, soft_wrap=True
            )
    console.print(f"[green]The whole story, over HTTP: {time.monotonic() - begun:.1f} s[/green]", highlight=False)
    return teller


@asynccontextmanager
async def _server(port: int, data: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A server of its own in this folder: its base and process. StartError if it does not get ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", tether.__file__, str(os.getpid())),
        *(sys.executable, "-m", "fhir_server", "serve", "--port", str(port), "--data", str(data)),
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        if not line.startswith(b"ready "):
            raise StartError("The demo's server did not start; its own message stands above.")
        yield line.decode().split()[1], process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


app = command()


@app.command()
def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Run the story once on a free port in a temporary folder; exit 0 or 1.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    data: DataFolder = Path("demo-data"),
) -> None:
    """Play the whole story over HTTP on a real database: roster, registration, eligibility, doses, card."""
    try:
        passed = asyncio.run(played_once(out) if check else run(out, port, data))
    except StartError as error:
        fail(str(error))
    raise SystemExit(0 if passed else 1)
