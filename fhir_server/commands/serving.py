"""The command `fhir-server serve`: the server itself, until it is stopped.

https://hl7.org/fhir/R4/http.html
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fhir_server import serve
from fhir_server.commands.terminal import command, fail, settings_of
from fhir_server.store.engine.embedded import EmbeddedError

app = command()


@app.command()
def serve_fhir(
    dev: Annotated[bool, typer.Option("--dev", help="No authorization, loopback only: for development.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one. [default: 8000]")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of keys and the embedded database. [default: data]")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. [default: 1]")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Public address of the FHIR base, ending in /fhir; decides every link.")
    ] = None,
) -> None:
    """Serve the FHIR API; prints `ready <base>` once it takes requests.

    Without MONGODB_URI in the environment the embedded database is started in the data folder.
    """
    settings = settings_of(host=host, port=port, data=data, workers=workers, base_url=base_url, dev=dev or None)
    try:
        asyncio.run(serve.serve(settings, lambda base: print(f"ready {base}", flush=True)))
    except* (serve.StartError, EmbeddedError, OSError, ValueError) as errors:
        fail(*[str(error) for error in _leaves(errors)])


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
