"""Reindexing: the work behind `fhir-server reindex`, with or without a running server."""

from collections.abc import Callable

from fhir_server.context import Settings
from fhir_server.store.embedded import EmbeddedDatabase
from fhir_server.store.reindex import Step
from fhir_server.store.store import Store


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
