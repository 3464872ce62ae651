"""Clients: the apps and systems that may ask for access, as they were registered.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr

No FHIR resources: nothing of them can be searched or read over the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.store.database import Database
from fhir_server.store.driver import Document

CLIENTS = "clients"
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client. `method` is how it authenticates: `none`, `client_secret` or `private_key_jwt`."""

    id: str
    name: str
    method: str
    redirect_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    """What it may ask for."""
    secret: str = field(default="", repr=False)
    """SHA-256 of its secret, which has 256 random bits."""
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    organization: str = ""
    """Id of the Organization a system acts for."""
    role: str = ""
    """What it is where it acts by itself: registry, employer, analyst or administrator; empty: it never does."""
    launch_url: str = ""
    origins: tuple[str, ...] = ()
    """Web origins whose scripts may call the API."""
    introspects: bool = False
    """Whether it may ask about tokens of other clients."""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Clients:
    """The registered clients of one database. All of it may raise FhirError 503."""

    database: Database

    async def find(self, id: str) -> RegisteredClient | None:
        """The client with this id, also where it is disabled."""
        async with self.database.reading():
            found: Document | None = await self.database.collection(CLIENTS).find_one({"_id": id})
        return None if found is None else _client(found)

    async def all(self) -> list[RegisteredClient]:
        """Every client, by id."""
        async with self.database.reading():
            rows = await self.database.rows(CLIENTS, [{"$sort": {"_id": 1}}, {"$limit": _MOST}])
        return [_client(row) for row in rows]

    async def put(self, client: RegisteredClient) -> None:
        """Register, or replace what was registered under this id."""
        async with self.database.writing():
            await self.database.collection(CLIENTS).replace_one({"_id": client.id}, _document(client), upsert=True)

    async def disable(self, id: str) -> bool:
        """Take a client's access away; False where there is none with this id. Its grants are ended apart."""
        async with self.database.writing():
            done = await self.database.collection(CLIENTS).update_one({"_id": id}, {"$set": {"enabled": False}})
        return bool(done.matched_count == 1)


def _document(client: RegisteredClient) -> Document:
    return {
        "_id": client.id,
        "name": client.name,
        "method": client.method,
        "redirect_uris": list(client.redirect_uris),
        "scopes": list(client.scopes),
        "secret": client.secret,
        "jwks": None if client.jwks is None else dict(client.jwks),
        "jwks_uri": client.jwks_uri,
        "organization": client.organization,
        "role": client.role,
        "launch_url": client.launch_url,
        "origins": list(client.origins),
        "introspects": client.introspects,
        "enabled": client.enabled,
    }


def _client(row: Document) -> RegisteredClient:
    return RegisteredClient(
        row["_id"],
        row["name"],
        row["method"],
        tuple(row["redirect_uris"]),
        tuple(row["scopes"]),
        row["secret"],
        row["jwks"],
        row["jwks_uri"],
        row["organization"],
        row["role"],
        row["launch_url"],
        tuple(row["origins"]),
        row["introspects"],
        row["enabled"],
    )
