"""The commands `fhir-server keys ...`: the life of the keys that sign cards, from publication to destruction.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#key-management

A running server reads the folder at every use: it signs with a new key when its time has come, and stops with an ended
one at once, without a restart.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fhir_server.access import card_keys
from fhir_server.commands.terminal import DataFolder, command, out, tell
from fhir_server.settings import Settings
from smart_health_cards import CardError, KeyFolder

app = command("Signing keys of SMART Health Cards.")

Tenant = Annotated[
    str | None, typer.Option(help="Id of an Organization that issues in its own name. [default: the server itself]")
]
Hours = Annotated[
    float, typer.Option(min=1, help="Hours a key is published before it signs; verifiers keep the key set for one.")
]
Kid = Annotated[str, typer.Argument(help="The key, as `keys list` names it.")]
_NAMED = {"ignore_unknown_options": True}
"""One key in 64 has a name that begins with a hyphen, as an option does."""


@app.command("list")
def list_keys(data: DataFolder = Path("data"), tenant: Tenant = None) -> None:
    """List the keys with their state."""
    table = Table("Key", "State", "Made", "Signs from", "Ended")
    with _told():
        records = _folder(data, tenant).records()
    for record in records:
        ended = record.compromised or record.retired
        times = (_day(record.created), _day(record.active_from), _day(ended) if ended else "")
        table.add_row(record.kid, record.state(_now()), *times)
    out.print(table)


@app.command("generate")
def generate(data: DataFolder = Path("data"), tenant: Tenant = None, publish_ahead: Hours = 24) -> None:
    """Make a key; the first signs at once, a later one after it has been published for a while."""
    with _told():
        keys = _folder(data, tenant)
        record = keys.generate(_now(), int(publish_ahead * 3_600) if keys.records() else 0)
    out.print(f"{record.kid} signs from {_day(record.active_from)}", soft_wrap=True)


@app.command("rotate")
def rotate(data: DataFolder = Path("data"), tenant: Tenant = None, publish_ahead: Hours = 24) -> None:
    """Make the next key, and retire those that another has already taken over from. At least once a year."""
    with _told():
        made, retired = _folder(data, tenant).rotate(_now(), int(publish_ahead * 3_600))
    for record in retired:
        out.print(f"{record.kid} retired: its private part is destroyed, its cards stay valid", soft_wrap=True)
    out.print(f"{made.kid} signs from {_day(made.active_from)}", soft_wrap=True)


@app.command("retire", context_settings=_NAMED)
def retire(kid: Kid, data: DataFolder = Path("data"), tenant: Tenant = None) -> None:
    """Destroy a private key. Its public part stays, and with it every card it has signed."""
    with _told():
        keys = _folder(data, tenant)
        keys.retire(kid, _now())
        out.print(f"{kid} retired: its private part is destroyed, its cards stay valid", soft_wrap=True)
        _tell_who_signs(keys)


@app.command("compromise", context_settings=_NAMED)
def compromise(kid: Kid, data: DataFolder = Path("data"), tenant: Tenant = None) -> None:
    """Withdraw a key that somebody else may have: no card it has signed verifies any more, from now on."""
    with _told():
        keys = _folder(data, tenant)
        keys.compromise(kid, _now())
        out.print(f"{kid} withdrawn: cards signed with it no longer verify; issue them again", soft_wrap=True)
        _tell_who_signs(keys)


@app.command("encrypt")
def encrypt(
    data: DataFolder = Path("data"),
    tenant: Tenant = None,
    old: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File with the passphrase used so far, if any.")
    ] = None,
) -> None:
    """Encrypt the private keys on disk under the passphrase of the setting card_passphrase."""
    with _told():
        before = None if old is None else card_keys.passphrase(old)
        count = _folder(data, tenant).encrypt(before)
    out.print(f"{count} private keys are encrypted now")


def _folder(data: Path, tenant: str | None) -> KeyFolder:
    return card_keys.folder(data, tenant, Settings.model_validate({"data": data}).card_passphrase)


def _tell_who_signs(keys: KeyFolder) -> None:
    try:
        out.print(f"{keys.signing_key(_now()).kid} signs now", soft_wrap=True)
    except CardError as error:
        out.print(f"{error.text} Make one: fhir-server keys generate", soft_wrap=True)


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong is told in a sentence, with exit status 1."""
    try:
        yield
    except (CardError, OSError, ValueError) as error:
        sentence = error.text if isinstance(error, CardError) else str(error)
        tell(sentence)
        raise SystemExit(1) from None


def _now() -> int:
    return int(time.time())


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
