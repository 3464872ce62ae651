"""Administering: clients and users of a data folder, beside a running server or without one.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date

from fhir_server.access import passwords, recovery, second_factor, users
from fhir_server.access.authority import Authority
from fhir_server.app import open_context
from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.settings import Settings
from fhir_server.store.accounts.clients import RegisteredClient
from fhir_server.store.accounts.users import User
from fhir_server.store.engine.embedded import EmbeddedDatabase

_DAY = len("YYYY-MM-DD")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Context]:
    """The server's parts on the database of these settings: that of a running server, else started for as long.

    EmbeddedError, SchemaError, FhirError 503 as of a start.
    """
    embedded = None if settings.mongodb_uri else EmbeddedDatabase(settings.data)
    running = settings.mongodb_uri if embedded is None else embedded.beside()
    try:
        context = await open_context(settings, running or (await embedded.start() if embedded is not None else ""))
        try:
            yield context
        finally:
            await context.store.close()
    finally:
        if embedded is not None and running is None:
            await embedded.stop()


async def register(authority: Authority, client: RegisteredClient) -> None:
    """Register a client, or replace it; what it was granted before ends. FhirError 503."""
    await authority.clients.put(client)
    await authority.grants.revoke_of_client(client.id)


async def disable_client(authority: Authority, id: str) -> bool:
    """Take a client's access away; False where there is none. A running server sees it in seconds. FhirError 503."""
    found = await authority.clients.disable(id)
    await authority.grants.revoke_of_client(id)
    return found


@dataclass(frozen=True, slots=True)
class Handed:
    """What a new user is handed: a one-time code to set a password with, and an address for an authenticator app."""

    code: str
    authenticator: str = ""


async def enrol(authority: Authority, user: User, *, second: bool) -> Handed:
    """Add a user, or replace one who has the same login name, and with `second` a second factor. FhirError 503."""
    known = await authority.users.find(user.login)
    if known is not None:
        user = replace(user, subject=known.subject)
        await recovery.end_all(authority, user)
    secret = second_factor.new_secret() if second else ""
    kept = second_factor.sealed(secret, authority.secret) if second else ""
    await authority.users.put(replace(user, totp=kept))
    address = second_factor.address(secret, user.login, authority.base) if second else ""
    return Handed(await recovery.give(authority, user), address)


async def admit(authority: Authority, user: User, password: str, secret: str = "") -> None:
    """Add a user who has a password and a second factor already: for demonstrations and tests. FhirError 503."""
    kept = second_factor.sealed(secret, authority.secret) if secret else ""
    await authority.users.put(replace(user, password=await passwords.hashed(password), totp=kept))


async def disable_user(authority: Authority, login: str) -> bool:
    """Take a user's access away; False where there is none. A running server sees it in seconds. FhirError 503."""
    user = await authority.users.find(login)
    if user is None:
        return False
    await authority.users.disable(login)
    await recovery.end_all(authority, user)
    return True


async def set_proxy(
    context: Context, login: str, patient: str, *, without_end: bool = False, ends: bool = False
) -> int:
    """Let a recipient act for a Patient: for a child until 18, by the birth date on record, else `without_end`; with
    `ends` no longer. The moment (microseconds) at which it ends, 0 for none. What the recipient had open ends.

    ValueError with a sentence where that cannot be; FhirError 404 for the Patient, 503.
    """
    user = await context.authority.users.find(login)
    if user is None or "recipient" not in user.roles:
        raise ValueError(f"no recipient is called {login}")
    stored = await context.store.read(SERVER, allow_all, "Patient", patient)
    born = str(json.parse(stored.raw or b"{}").get("birthDate", ""))
    until = 0
    if not without_end and not ends:
        if len(born) != _DAY:
            raise ValueError(f"Patient/{patient} has no whole birth date")
        until = users.adult_on(date.fromisoformat(born))
        if until <= context.clock():
            raise ValueError(f"Patient/{patient} is 18")
    others = tuple(each for each in user.proxy_for if each[0] != patient)
    if ends and not (others or user.patient):
        raise ValueError(f"{login} would be bound to nobody; disable the account instead")
    await context.authority.users.set_proxies(user.login, others if ends else (*others, (patient, until)))
    await recovery.end_all(context.authority, user)
    return until
