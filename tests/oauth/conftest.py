"""The application in this process on a real database, with apps, systems and people registered as an operator would."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher
from joserfc.jwk import ECKey, RSAKey

from fhir_server import administering
from fhir_server.access import clients, passwords, users
from fhir_server.app import create_app
from fhir_server.context import Context
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedDatabase
from tests.oauth import systems
from tests.oauth.browser import Browser

BASE = "https://fhir.example/fhir"
ORIGIN = "https://fhir.example"
BORN = date(2019, 5, 5)
PASSWORD = "correct horse battery"
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SECRET = "s" * 43
APP = "https://app.example/callback"
SCOPES = (
    "openid fhirUser launch launch/patient offline_access online_access "
    "patient/*.cruds patient/*.read user/*.cruds system/*.rs"
)
RSA = RSAKey.generate_key(2_048, {"kid": "rsa-1"}, private=True)
EC = ECKey.generate_key("P-384", {"kid": "ec-1"}, private=True)
KEYS = {"keys": [{**key.as_dict(private=False), "kid": key.kid} for key in (RSA, EC)]}

CLIENTS: list[dict[str, Any]] = [
    {
        "id": "growth-chart",
        "name": "Growth Chart",
        "redirect_uris": [APP, "http://127.0.0.1:4567/callback"],
        "scopes": SCOPES,
        "launch_url": "https://app.example/launch",
    },
    {"id": "other-app", "name": "Other", "redirect_uris": ["https://other.example/cb"], "scopes": SCOPES},
    {
        "id": "portal",
        "name": "Portal",
        "redirect_uris": ["https://portal.example/cb"],
        "scopes": SCOPES,
        "secret_sha256": clients.secret_digest(SECRET),
    },
    {"id": "signing-app", "redirect_uris": ["https://signing.example/cb"], "scopes": SCOPES, "jwks": KEYS},
    {"id": "steward", "jwks": KEYS, "scopes": "system/*.cruds", "role": "registry"},
    {
        "id": "mercy",
        "name": "Mercy Hospital",
        "jwks": KEYS,
        "scopes": "system/*.rs system/Immunization.cruds",
        "role": "registry",
        "organization": "mercy",
        "introspects": True,
    },
]


def person(id: str, family: str, given: str, born: str) -> dict[str, Any]:
    """A patient."""
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"family": family, "given": [given]}],
        "birthDate": born,
        "managingOrganization": {"reference": "Organization/mercy"},
    }


RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "mercy", "name": "Mercy Hospital"},
    {"resourceType": "Practitioner", "id": "nora", "name": [{"family": "Ortiz"}]},
    person("ruth", "Whitfield", "Ruth", "1950-06-02"),
    person("kim", "Whitfield", "Kim", "2019-05-05"),
    person("amy", "Larsen", "Amy", "1999-04-25"),
]


@dataclass
class House:
    """The running application: its context, settings, and how to call it."""

    context: Context
    app: Any
    settings: Settings
    uri: str

    def http(self) -> httpx.AsyncClient:
        """A client without cookies, on the origin."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    def browser(self) -> Browser:
        """A browser nobody has logged in with."""
        return Browser(self.http(), PASSWORD)


@pytest.fixture(scope="session", autouse=True)
def costly() -> Iterator[PasswordHasher]:
    """How passwords are hashed elsewhere; here, where dozens are looked at, they cost next to nothing."""
    costly = passwords._hasher
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    passwords._nobody.cache_clear()
    yield costly
    passwords._hasher = costly
    passwords._nobody.cache_clear()


@pytest.fixture(scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One application for all tests of the authorization server."""
    database = EmbeddedDatabase(tmp_path_factory.mktemp("oauth-database"))
    await database.start()
    try:
        async with running(database.uri, private(tmp_path_factory)) as house:
            await settle(house.context)
            await store(house, "steward", RESOURCES)
            yield house
    finally:
        await database.stop()


def private(factory: pytest.TempPathFactory) -> Path:
    """A folder for keys."""
    folder = factory.mktemp("oauth-data")
    folder.chmod(0o700)
    return folder


@asynccontextmanager
async def running(uri: str, folder: Path) -> AsyncIterator[House]:
    """An application of its own on this database, as another process would be."""
    settings = Settings.model_validate({"data": folder, "base_url": BASE, "token_requests": 1_000})
    app = create_app(settings, uri)
    async with app.router.lifespan_context(app):
        yield House(app.state.context, app, settings, uri)


async def settle(context: Context) -> None:
    """Clients and users."""
    for entry in CLIENTS:
        await administering.register(context.authority, clients.registered(entry))
    ruth = users.new("ruth", ["recipient"], "ruth", [("kim", users.adult_on(BORN))])
    nora = users.new("nora", ["provider"], practitioner="nora", organization="mercy")
    amy = users.new("amy", ["recipient"], "amy")
    for user, secret in ((ruth, ""), (nora, TOTP), (amy, "")):
        await administering.admit(context.authority, replace(user, subject=f"user-{user.login}"), PASSWORD, secret)


async def store(house: House, client: str, resources: list[dict[str, Any]]) -> None:
    """Store resources as this system does."""
    async with house.http() as http:
        token = (await systems.ask(http, systems.signed(EC, systems.claims(client)), "system/*.cruds")).json()
        for each in resources:
            answer = await http.put(
                f"/fhir/{each['resourceType']}/{each['id']}",
                json=each,
                headers={
                    "authorization": f"Bearer {token['access_token']}",
                    "content-type": "application/fhir+json",
                },
            )
            assert answer.status_code == 201, answer.text


async def code_of_nora(house: House) -> str:
    """The code her authenticator app shows, not used up by another test in the same half minute."""
    user = await house.context.store.users.find("nora")
    assert user is not None
    await house.context.store.users.put(replace(user, totp_step=0))
    return pyotp.TOTP(TOTP).now()
