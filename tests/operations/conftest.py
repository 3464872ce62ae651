"""A Context on a database of its own whose clock the test sets, for what depends on when something was stored."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import pytest

from fhir_server.context import Context
from fhir_server.operations import people
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.store import Store


@dataclass
class Clock:
    """Stands still until it is set."""

    time: int

    def __call__(self) -> int:
        return self.time

    def set(self, text: str) -> None:
        """To an instant with its offset: `2021-01-14T09:00:00-05:00`."""
        self.time = int(datetime.fromisoformat(text).timestamp()) * 1_000_000


@pytest.fixture(scope="session")
async def timed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Context, Clock]]:
    """The Context and its clock; tests keep to their own resources."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("embedded"))
    await database.start()
    settings = Settings.model_validate({"dev": True, "data": tmp_path_factory.mktemp("data")})
    clock = Clock(0)
    types = ["Group", "Patient", *(kind for kind, _ in people.ABOUT)]
    store = await Store.open(database.uri, database="timed", types=types, base=settings.base, clock=clock)
    # Keys, tokens and profiles are nothing to what is tested with this.
    absent: dict[str, Any] = {field.name: None for field in fields(Context)}
    yield Context(**absent | {"settings": settings, "store": store, "clock": clock, "secret": bytes(32)}), clock
    await store.close()
    await database.stop()
