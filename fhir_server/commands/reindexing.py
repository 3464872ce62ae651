"""Reindexing: the work behind `fhir-server reindex`, with or without a running server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from fhir_server.commands.terminal import DataFolder, command, fail, out, progress, settings_of
from fhir_server.fhir.outcome import FhirError
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase, EmbeddedError
from fhir_server.store.rebuild.reindex import Step
from fhir_server.store.schema import SchemaError
from fhir_server.store.store import Store
from smart_health_cards import CardError


async def complete(settings: Settings, advance: Callable[[Step], None]) -> dict[str, list[str]] | None:
    """Index everything again that lacks something; what is lacking still, by type. None where nothing was to be done.

    Starts the embedded database when none is named. EmbeddedError where a server is running on it, SchemaError and
    FhirError 503 as of opening the store.
    """
    embedded = None if settings.mongodb_uri else EmbeddedDatabase(settings.data)
    try:
        uri = settings.mongodb_uri or (await embedded.start() if embedded else "")
        store = await Store.open(uri, database=settings.database, driver=settings.mongodb_driver, base=settings.base)
        try:
            if not store.incomplete():
                return None
            async for step in store.reindex(settings.base_url or None):
                advance(step)
            return store.incomplete()
        finally:
            await store.close()
    finally:
        if embedded is not None:
            await embedded.stop()


app = command()


@app.command()
def reindex(
    data: DataFolder = Path("data"),
    base_url: Annotated[
        str | None, typer.Option(help="Public address of the FHIR base. [default: the one last served under]")
    ] = None,
) -> None:
    """After an upgrade, index what was stored before by the new search parameters; goes on where it was stopped.

    Learns, too, which organizations registered, treated or have on a roster whom, where that was not known.

    A server that runs on the same folder does this by itself. With MONGODB_URI it works beside running servers.
    """
    settings = settings_of(data=data, base_url=base_url)

    async def index() -> dict[str, list[str]] | None:
        with progress() as bar:
            task = bar.add_task("Looking", total=None)
            return await complete(
                settings,
                lambda step: bar.update(task, description=step.type, completed=step.done, total=step.total),
            )

    try:
        left = asyncio.run(index())
    except (EmbeddedError, SchemaError, FhirError, CardError, OSError, ValueError) as error:
        fail(str(error))
    if left is None:
        out.print("Nothing to do: every resource is indexed by every search parameter.")
    elif not left:
        out.print("Done. Every resource can be found by every search parameter.")
    else:
        fail(f"Not complete: {', '.join(left)}. The log says which resources could not be indexed.")
