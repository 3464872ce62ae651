"""The command `fhir-server`: serve, demo, import, keys, verify, doctor."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from fhir_server.context import Settings

app = typer.Typer(
    name="fhir-server",
    help="HL7 FHIR R4 interoperability server for vaccination: rosters, eligibility, doses and signed proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="Signing keys of SMART Health Cards.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

out = Console()
err = Console(stderr=True)

DataFolder = Annotated[Path, typer.Option("--data", help="Folder of keys and the embedded database.")]


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def serve(
    dev: Annotated[
        bool, typer.Option("--dev", help="No authorization, loopback only. Required until access control has landed.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one. [default: 8000]")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of keys and the embedded database. [default: data]")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. [default: 1]")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Public address of the FHIR base, ending in /fhir; decides every link.")
    ] = None,
) -> None:
    """Serve the FHIR API; prints `ready <base>` once it takes requests.

    Without MONGODB_URI in the environment the embedded database is started in the data folder.
    """
    from fhir_server.serve import StartError
    from fhir_server.serve import serve as run

    settings = _settings(host=host, port=port, data=data, workers=workers, base_url=base_url, dev=dev or None)
    try:
        asyncio.run(run(settings, lambda base: print(f"ready {base}", flush=True)))
    except* (StartError, OSError, ValueError) as errors:
        for error in errors.exceptions:
            err.print(f"[red]fhir-server:[/red] {error}", highlight=False)
        raise SystemExit(1) from None


def _settings(**given: object) -> Settings:
    """Settings from the environment and these options. Exits with a sentence per wrong value."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in problem["loc"])
            err.print(f"[red]fhir-server:[/red] setting {place}: {problem['msg']}", highlight=False)
        raise SystemExit(2) from None
