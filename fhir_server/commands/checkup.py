"""Checkup: what the server would run on, and whether that is sound; behind `fhir-server doctor`."""

import asyncio
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.table import Table

from fhir_server import __version__
from fhir_server.app import open_context
from fhir_server.commands import verifying
from fhir_server.commands.terminal import DataFolder, command, out, settings_of
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.guides import FOLDER, Guides, PackageError
from fhir_server.settings import Settings
from fhir_server.store.access_log.seals import Seals
from fhir_server.store.engine.embedded import EmbeddedDatabase, EmbeddedError
from fhir_server.store.schema import SchemaError
from profiles.guides import shipped
from smart_health_cards import CardError

_SEALS = 7
"""Days of the access log that are read again."""

_LIBRARIES = ("fastapi", "pydantic", "fhir.resources", "pymongo", "motor", "qrcode", "cryptography", "secantusdb")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    text: str
    ok: bool = True


async def examine(settings: Settings) -> list[Finding]:
    """Everything worth knowing before a start. Starts the embedded database for a moment when none is named."""
    findings = [
        Finding("fhir-server", __version__),
        Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *(Finding(name, _installed(name)) for name in _LIBRARIES),
        Finding("access", _access(settings)),
        Finding("data folder", str(settings.data.absolute())),
        *_guides(settings),
    ]
    return findings + await _database(settings)


def _guides(settings: Settings) -> list[Finding]:
    """The guides that resources are checked against, and those of the data folder that cannot be read."""
    known = Guides(settings.data / FOLDER, settings.us_core, settings.profiles_own, settings.profiles_others)
    shown = ", ".join(f"{each.name} {each.version}" for each in shipped())
    try:
        loaded = ", ".join(f"{each.name} {each.version}" for each in known.loaded())
    except PackageError as error:
        return [Finding("guides", shown), Finding("loaded guides", str(error), ok=False)]
    return [Finding("guides", shown), Finding("loaded guides", loaded or "none; fhir-server load-ig adds some")]


async def _database(settings: Settings) -> list[Finding]:
    embedded = None if settings.mongodb_uri else EmbeddedDatabase(settings.data)
    try:
        uri = settings.mongodb_uri or (await embedded.start() if embedded else "")
        context = await open_context(settings, uri)
        try:
            facts = await context.store.describe()
            log = await _access_log(context.store.seals)
        finally:
            await context.store.close()
        return [
            *(Finding(name, str(fact)) for name, fact in facts.items()),
            log,
            _card_keys(context),
        ]
    except (EmbeddedError, FhirError, SchemaError, PermissionError, ValueError) as error:
        return [Finding("database", str(error), ok=False)]
    finally:
        if embedded is not None:
            await embedded.stop()


def _card_keys(context: Context) -> Finding:
    """The keys, whether the one that signs can be opened, and how they lie on disk."""
    kids = [record.kid for record in context.card_keys.records()]
    if not kids:
        return Finding("card keys", "none yet; the first start makes one")
    try:
        context.card_keys.signing_key(context.clock() // 1_000_000)
    except CardError as error:
        return Finding("card keys", error.text, ok=False)
    lie = "encrypted" if context.settings.card_passphrase else "not encrypted; see the setting card_passphrase"
    return Finding("card keys", f"{', '.join(kids)}, {lie}")


async def _access_log(seals: Seals) -> Finding:
    """Whether the newest days of the access log are what they were when they were sealed."""
    last, changed = await seals.last(), await seals.broken(_SEALS)
    if last is None:
        return Finding("access log", "no day sealed yet")
    if changed is not None:
        return Finding("access log", f"{changed} is not what it was when it was sealed", ok=False)
    return Finding("access log", f"sealed up to {last.day}, {last.digest}")


def _access(settings: Settings) -> str:
    if settings.openid_issuer:
        return f"tokens of {settings.openid_issuer}"
    return "SMART on FHIR, by this server; --dev serves without authorization, only on loopback"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


app = command()


@app.command()
def doctor(data: DataFolder = Path("data")) -> None:
    """Say what the server would run on: versions, database, keys, settings; exit status 1 if something is wrong."""
    settings = settings_of(data=data)
    findings = asyncio.run(examine(settings))
    table = Table(show_header=False, box=None)
    for finding in findings:
        table.add_row(verifying.MARKS["pass" if finding.ok else "fail"], finding.subject, finding.text)
    out.print(table)
    raise SystemExit(0 if all(finding.ok for finding in findings) else 1)
