"""A Context on a database of its own, without a server around it."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.app import open_context
from fhir_server.context import Context
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase


@pytest.fixture(scope="session")
async def context(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Context]:
    """What a worker process has; tests keep to their own jobs, and end them."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("embedded"))
    await database.start()
    settings = Settings.model_validate({"dev": True, "data": tmp_path_factory.mktemp("data")})
    context = await open_context(settings, database.uri)
    yield context
    await context.store.close()
    await database.stop()
