"""A Context with a store and a clock, and nothing that reminders do not need: for tests, and for their workers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

from fhir_server.context import Context
from fhir_server.operations import people
from fhir_server.settings import Settings
from fhir_server.store.store import Store

TYPES = ("Communication", "Group", "Patient", *(kind for kind, _ in people.ABOUT))


@asynccontextmanager
async def opened(uri: str, database: str, clock: Callable[[], int], settings: Settings) -> AsyncIterator[Context]:
    """The Context on this database, which is made where it is missing."""
    store = await Store.open(uri, database=database, types=TYPES, base=settings.base, clock=clock)
    absent: dict[str, Any] = {field.name: None for field in fields(Context)}
    try:
        yield Context(**absent | {"settings": settings, "store": store, "clock": clock, "secret": bytes(32)})
    finally:
        await store.close()
