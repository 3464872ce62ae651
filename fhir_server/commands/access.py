"""The commands `fhir-server clients ...` and `fhir-server users ...`: who may ask for access, and who may log in.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr

They work beside a running server, which sees what they change at the next request, or in seconds where it holds tokens.
No secret is taken on the command line: secrets are made, and shown once.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.table import Table

from fhir_server import administering
from fhir_server.access import clients, launches, recovery, users
from fhir_server.access.launches import Launch
from fhir_server.commands.terminal import DataFolder, command, out, tell
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.settings import Settings
from fhir_server.store.engine.embedded import EmbeddedError
from fhir_server.store.schema import SchemaError

clients_app = command("Apps and systems that may ask for access.")
users_app = command("People who may log in.")

BaseUrl = Annotated[str, typer.Option("--base-url", help="Public address of the FHIR base, where it is not local.")]
Result = TypeVar("Result")


@clients_app.command("add")
def add_client(
    id: Annotated[str, typer.Argument(help="What the client calls itself (client_id).")],
    scopes: Annotated[str, typer.Option(help="Scopes it may ask for, separated by spaces.")],
    name: Annotated[str, typer.Option(help="Its name, as users read it.")] = "",
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Where users are sent back to; repeatable.")] = None,
    launch_url: Annotated[str, typer.Option(help="Page that an EHR opens to start the app.")] = "",
    jwks: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="File with its public keys.")] = None,
    jwks_uri: Annotated[str, typer.Option(help="Address (https) of its public keys; see outbound_hosts.")] = "",
    secret: Annotated[bool, typer.Option("--secret", help="Make a secret for it, shown once.")] = False,
    role: Annotated[str, typer.Option(help="What it is where it acts by itself: registry, employer, analyst.")] = "",
    organization: Annotated[str, typer.Option(help="Id of the Organization it acts for.")] = "",
    origin: Annotated[list[str] | None, typer.Option(help="Web origin of its scripts; repeatable.")] = None,
    introspects: Annotated[bool, typer.Option("--introspects", help="It may ask about all tokens.")] = False,
    data: DataFolder = Path("data"),
    base_url: BaseUrl = "",
) -> None:
    """Register a client, or replace it. Without --jwks, --jwks-uri and --secret it is a public app."""
    made = secrets.token_urlsafe(32) if secret else ""
    with _told():
        client = clients.registered(
            {
                "id": id,
                "name": name,
                "scopes": scopes,
                "redirect_uris": redirect_uri or [],
                "launch_url": launch_url,
                "jwks_uri": jwks_uri,
                "secret_sha256": clients.secret_digest(made) if made else "",
                "role": role,
                "organization": organization,
                "origins": origin or [],
                "introspects": introspects,
                **({"jwks": json.parse(jwks.read_bytes())} if jwks is not None else {}),
            }
        )
        _run(data, base_url, lambda context: administering.register(context.authority, client))
    out.print(f"{id} is registered", highlight=False)
    if made:
        out.print(f"secret (shown once): {made}", highlight=False, soft_wrap=True)


@clients_app.command("list")
def list_clients(data: DataFolder = Path("data"), base_url: BaseUrl = "") -> None:
    """List the clients."""
    table = Table("Client", "Name", "Authenticates", "Role", "Organization", "Scopes", "State")
    with _told():
        for client in _run(data, base_url, lambda context: context.store.clients.all()):
            state = "enabled" if client.enabled else "disabled"
            scopes = " ".join(client.scopes)
            table.add_row(client.id, client.name, client.method, client.role, client.organization, scopes, state)
    out.print(table)


@clients_app.command("disable")
def disable_client(id: str, data: DataFolder = Path("data"), base_url: BaseUrl = "") -> None:
    """Take a client's access away: its tokens end in seconds, and it gets no others."""
    with _told():
        if not _run(data, base_url, lambda context: administering.disable_client(context.authority, id)):
            raise ValueError(f"no client is called {id}")
    out.print(f"{id} is disabled", highlight=False)


@clients_app.command("launch")
def launch_client(
    id: str,
    patient: Annotated[str, typer.Option(help="Id of the Patient in view.")] = "",
    encounter: Annotated[str, typer.Option(help="Id of the Encounter in view.")] = "",
    user: Annotated[str, typer.Option(help="Login name of the one who has to log in.")] = "",
    data: DataFolder = Path("data"),
    base_url: BaseUrl = "",
) -> None:
    """Start an app as an EHR does: prints the address to open, good for five minutes."""

    async def begin(context: Context) -> tuple[str, str]:
        client = await context.store.clients.find(id)
        if client is None:
            raise ValueError(f"no client is called {id}")
        return await launches.begin(context.authority, client, Launch(patient, encounter, user))

    with _told():
        word, address = _run(data, base_url, begin)
    out.print(address or f"launch={word}", highlight=False, soft_wrap=True)


@users_app.command("add")
def add_user(
    login: Annotated[str, typer.Argument(help="Login name.")],
    role: Annotated[list[str], typer.Option(help=f"One of {', '.join(sorted(users.ROLES))}; repeatable.")],
    patient: Annotated[str, typer.Option(help="Id of the Patient a recipient is.")] = "",
    child: Annotated[
        list[str] | None, typer.Option(help="Patient a recipient acts for until 18, as ID=BIRTHDATE; repeatable.")
    ] = None,
    dependant: Annotated[
        list[str] | None, typer.Option(help="Id of a Patient a recipient acts for without end; repeatable.")
    ] = None,
    practitioner: Annotated[str, typer.Option(help="Id of the Practitioner a provider is.")] = "",
    organization: Annotated[str, typer.Option(help="Id of the Organization a provider or employer belongs to.")] = "",
    external: Annotated[str, typer.Option(help="Subject at the OpenID provider of openid_issuer.")] = "",
    data: DataFolder = Path("data"),
    base_url: BaseUrl = "",
) -> None:
    """Add a user, or replace one. Prints a one-time code to set a password with, and for staff a second factor."""
    with _told():
        children = [_child(text) for text in child or ()] + [(id, 0) for id in dependant or ()]
        user = users.new(login, role, patient, children, practitioner, organization, external)
        second = bool(user.roles & users.STAFF)
        handed = _run(data, base_url, lambda context: administering.enrol(context.authority, user, second=second))
    out.print(f"{user.login} is known as {user.subject}", highlight=False)
    out.print(f"one-time code for /account/password, good for an hour: {handed.code}", highlight=False)
    if handed.authenticator:
        out.print(f"for an authenticator app: {handed.authenticator}", highlight=False, soft_wrap=True)


@users_app.command("code")
def give_code(login: str, data: DataFolder = Path("data"), base_url: BaseUrl = "") -> None:
    """Make a one-time code with which a user sets a new password, good for an hour."""

    async def give(context: Context) -> str:
        user = await context.store.users.find(users.login_name(login))
        if user is None:
            raise ValueError(f"nobody is called {login}")
        return await recovery.give(context.authority, user)

    with _told():
        code = _run(data, base_url, give)
    out.print(f"one-time code for /account/password, good for an hour: {code}", highlight=False)


@users_app.command("proxy")
def set_proxy(
    login: Annotated[str, typer.Argument(help="Login name of the recipient who is to act for somebody.")],
    patient: Annotated[str, typer.Argument(help="Id of the Patient they act for.")],
    without_end: Annotated[bool, typer.Option("--without-end", help="For an adult, not for a child until 18.")] = False,
    ends: Annotated[bool, typer.Option("--end", help="They act for this Patient no longer.")] = False,
    data: DataFolder = Path("data"),
    base_url: BaseUrl = "",
) -> None:
    """Let a recipient act for a child until it is 18 (by the birth date on record), or for an adult."""
    name = users.login_name(login)
    with _told():
        until = _run(
            *(data, base_url),
            lambda context: administering.set_proxy(context, name, patient, without_end=without_end, ends=ends),
        )
    day = f" until {datetime.fromtimestamp(until // 1_000_000, UTC).date()}" if until else ""
    out.print(f"{name} acts for Patient/{patient} {'no longer' if ends else 'now'}{day}", highlight=False)


@users_app.command("list")
def list_users(data: DataFolder = Path("data"), base_url: BaseUrl = "") -> None:
    """List the users."""
    table = Table("Login", "Subject", "Roles", "Patient", "Acts for", "Practitioner", "Organization", "State")
    with _told():
        for user in _run(data, base_url, lambda context: context.store.users.all()):
            acts_for = " ".join(id for id, _ in user.proxy_for)
            state = "enabled" if user.enabled else "disabled"
            bound = (user.patient, acts_for, user.practitioner, user.organization)
            table.add_row(user.login, user.subject, " ".join(sorted(user.roles)), *bound, state)
    out.print(table)


@users_app.command("disable")
def disable_user(login: str, data: DataFolder = Path("data"), base_url: BaseUrl = "") -> None:
    """Take a user's access away: sessions and tokens end in seconds."""
    name = users.login_name(login)
    with _told():
        if not _run(data, base_url, lambda context: administering.disable_user(context.authority, name)):
            raise ValueError(f"nobody is called {login}")
    out.print(f"{name} is disabled", highlight=False)


def _child(text: str) -> tuple[str, int]:
    id, _, born = text.partition("=")
    return id, users.adult_on(date.fromisoformat(born))


def _run(data: Path, base_url: str, work: Callable[[Context], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with administering.opened(Settings.model_validate({"data": data, "base_url": base_url})) as context:
            return await work(context)

    return asyncio.run(run())


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong is told in a sentence, with exit status 1."""
    try:
        yield
    except ValidationError as error:
        tell(str(error.errors()[0]["msg"]))
        raise SystemExit(1) from None
    except (EmbeddedError, SchemaError, FhirError, OSError, ValueError) as error:
        tell(str(error))
        raise SystemExit(1) from None
