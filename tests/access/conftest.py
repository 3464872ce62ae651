"""The application in this process on a real database, with authorization on, and a small world of several parties."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from fhir_server.app import create_app
from fhir_server.caller import Caller
from fhir_server.context import Context
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase
from tests.access.world import BASE, resources

FAR = 1 << 40
"""A token's end, in Unix seconds."""


@dataclass
class House:
    """The running application: its context, a client, and tokens for whoever a test makes up."""

    app: FastAPI
    context: Context
    http: httpx.AsyncClient
    callers: dict[str, Caller] = field(default_factory=dict)

    async def find(self, token: str) -> tuple[Caller, int] | None:
        """As the authorization server would: whose token this is."""
        caller = self.callers.get(token)
        return None if caller is None else (caller, FAR)

    def token(self, caller: Caller) -> dict[str, str]:
        """Headers that say it is this caller."""
        name = f"token-{hash(caller)}"
        self.callers[name] = caller
        return {"Authorization": f"Bearer {name}"}

    async def ask(
        self, caller: Caller, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """What this caller is answered."""
        more = {"Content-Type": "application/fhir+json"} if body is not None else {}
        return await self.http.request(
            method, path, json=body, headers={**self.token(caller), **more, **(headers or {})}
        )


@pytest.fixture(scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One application for all tests of access, with the world in it."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("access-database"))
    await database.start()
    settings = Settings.model_validate({"data": _folder(tmp_path_factory), "base_url": BASE})
    app = create_app(settings, database.uri)
    try:
        async with app.router.lifespan_context(app):
            context: Context = app.state.context
            context.card_keys.generate(context.clock() // 1_000_000)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE + "/") as http:
                house = House(app, context, http)
                context.tokens.external = house.find
                await _settle(house)
                yield house
    finally:
        await database.stop()


def _folder(factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp("access-data")
    folder.chmod(0o700)
    return folder


async def _settle(house: House) -> None:
    """The world, written by those it comes from: first the directory, then what people bring."""
    for caller, entries in resources():
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                for each in entries
            ],
        }
        answer = await house.ask(caller, "POST", "", bundle)
        assert answer.status_code == 200, answer.text
