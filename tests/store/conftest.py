"""The embedded database, started once; each test has a database of its own in it, with a few resource types."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from fhir_server.store.engine.embedded import EmbeddedDatabase
from fhir_server.store.store import Store
from tests.store.world import TYPES, Clock

Opener = Callable[..., Awaitable[Store]]


@pytest.fixture(scope="session")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDatabase]:
    """A running embedded database, watched as in production."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("embedded"))
    await database.start()
    watching = asyncio.create_task(database.watch())
    yield database
    await database.stop()
    await watching


@pytest.fixture
async def opened(embedded: EmbeddedDatabase) -> AsyncIterator[Opener]:
    """Opens stores on one fresh database (`name` for another); closes them and drops nothing but time."""
    name = f"test-{secrets.token_hex(6)}"

    async with AsyncExitStack() as stack:

        async def open_store(driver: str = "pymongo", **options: object) -> Store:
            settings: dict[str, object] = {"database": name, "types": TYPES, "clock": Clock(), **options}
            store = await Store.open(embedded.uri, driver=driver, **settings)  # type: ignore[arg-type] # test options
            stack.push_async_callback(store.close)
            return store

        yield open_store


@pytest.fixture(params=["pymongo", "motor"])
async def store(opened: Opener, request: pytest.FixtureRequest) -> Store:
    """An empty store, once on each driver."""
    return await opened(request.param)


@pytest.fixture
async def one(opened: Opener) -> Store:
    """An empty store on the default driver, where the driver makes no difference."""
    return await opened()
