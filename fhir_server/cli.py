"""The command `fhir-server`: serve, demo, import, reindex, remind, keys, clients, users, verify, load-ig, doctor."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import typer
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fhir_server import serve
from fhir_server.commands import access, checkup, demo, keys, loading, loading_ig, reindexing, reminding, verifying
from fhir_server.context import Settings
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.guides import PackageError
from fhir_server.jobs.reminders.post import UnavailableError
from fhir_server.store.embedded import EmbeddedError
from fhir_server.store.schema import SchemaError
from fhir_server.story.signing_in import SignInError, SystemAuth
from smart_health_cards import CardError

app = typer.Typer(
    name="fhir-server",
    help="HL7 FHIR R4 interoperability server for vaccination: rosters, eligibility, doses and signed proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys.app, name="keys")
app.add_typer(access.clients_app, name="clients")
app.add_typer(access.users_app, name="users")

out = Console()
err = Console(stderr=True)

DataFolder = Annotated[Path, typer.Option("--data", help="Folder of keys and the embedded database.")]

_REASONS = 5
"""Reasons shown for one refused resource."""


def main() -> None:
    """Run the command line."""
    app()


@app.command("serve")
def serve_command(
    dev: Annotated[bool, typer.Option("--dev", help="No authorization, loopback only: for development.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one. [default: 8000]")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of keys and the embedded database. [default: data]")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes. [default: 1]")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Public address of the FHIR base, ending in /fhir; decides every link.")
    ] = None,
) -> None:
    """Serve the FHIR API; prints `ready <base>` once it takes requests.

    Without MONGODB_URI in the environment the embedded database is started in the data folder.
    """
    settings = _settings(host=host, port=port, data=data, workers=workers, base_url=base_url, dev=dev or None)
    try:
        asyncio.run(serve.serve(settings, lambda base: print(f"ready {base}", flush=True)))
    except* (serve.StartError, EmbeddedError, SchemaError, FhirError, CardError, OSError, ValueError) as errors:
        _fail(*[str(error) for error in _leaves(errors)])


@app.command("demo")
def demo_command(
    check: Annotated[
        bool, typer.Option("--check", help="Run the story once on a free port in a temporary folder; exit 0 or 1.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    data: DataFolder = Path("demo-data"),
) -> None:
    """Play the whole story over HTTP on a real database: roster, registration, eligibility, doses, card."""
    try:
        passed = asyncio.run(demo.check(out) if check else demo.run(out, port, data))
    except serve.StartError as error:
        _fail(str(error))
    raise SystemExit(0 if passed else 1)


@app.command("import")
def import_command(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, help=".json or .ndjson files.")
    ],
    server: Annotated[str, typer.Option(help="Base of a running server.")] = "http://127.0.0.1:8000/fhir",
    client_id: Annotated[
        str, typer.Option("--client", help="Registered system to send as. [default: nobody, for a server with --dev]")
    ] = "",
    key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File with that system's private key (JWK, ES384).")
    ] = None,
) -> None:
    """Send FHIR resources to a running server, with a summary of what was refused and why.

    Transactions and batches are executed; every other resource is stored under its id.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

    base = server.rstrip("/")
    try:
        auth = SystemAuth(base, client_id, ECKey.import_key(json.parse(key.read_bytes()))) if key is not None else None
    except (FhirError, JoseError, ValueError) as error:
        _fail(f"{key} holds no private key: {error}")

    async def send() -> loading.Summary:
        async with httpx.AsyncClient(base_url=base + "/", timeout=120, auth=auth) as client:
            with Progress(*columns, console=err) as progress:
                task = progress.add_task("Importing", total=len(files))

                def advance(path: Path) -> None:
                    progress.update(task, advance=1, description=path.name)

                return await loading.load(client, files, advance)

    try:
        summary = asyncio.run(send())
    except SignInError as error:
        _fail(str(error))
    except httpx.HTTPError as error:
        _fail(
            f"No answer from {server} ({type(error).__name__}). Is it running? Start it with: fhir-server serve --dev"
        )
    stored = Table("Type", "Stored", title="Stored", title_justify="left")
    stored.columns[1].justify = "right"
    for resource_type, count in sorted(summary.stored.items()):
        stored.add_row(resource_type, f"{count:,}")
    stored.add_row("[bold]all[/bold]", f"[bold]{sum(summary.stored.values()):,}[/bold]")
    out.print(stored)
    for refusal in summary.refused:
        status = refusal.status or "not sent"
        out.print(f"[red]refused[/red] {refusal.path.name} {refusal.place}({status})", highlight=False, soft_wrap=True)
        for reason in refusal.reasons[:_REASONS]:
            out.print(f"  {escape(reason)}", highlight=False, soft_wrap=True)
        if len(refusal.reasons) > _REASONS:
            out.print(f"  and {len(refusal.reasons) - _REASONS} more", highlight=False)
    if summary.refused:
        raise SystemExit(1)


@app.command("reindex")
def reindex_command(
    data: DataFolder = Path("data"),
    base_url: Annotated[
        str | None, typer.Option(help="Public address of the FHIR base. [default: the one last served under]")
    ] = None,
) -> None:
    """After an upgrade, index what was stored before by the new search parameters; goes on where it was stopped.

    A server that runs on the same folder does this by itself. With MONGODB_URI it works beside running servers.
    """
    settings = _settings(data=data, base_url=base_url)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

    async def index() -> dict[str, list[str]] | None:
        with Progress(*columns, console=err) as progress:
            task = progress.add_task("Looking", total=None)
            return await reindexing.complete(
                settings,
                lambda step: progress.update(task, description=step.type, completed=step.done, total=step.total),
            )

    try:
        left = asyncio.run(index())
    except (EmbeddedError, SchemaError, FhirError, CardError, OSError, ValueError) as error:
        _fail(str(error))
    if left is None:
        out.print("Nothing to do: every resource is indexed by every search parameter.")
    elif not left:
        out.print("Done. Every resource can be found by every search parameter.")
    else:
        _fail(f"Not complete: {', '.join(left)}. The log says which resources could not be indexed.")


@app.command("remind")
def remind_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")] = False,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day whose reminders are meant. [default: today, there]"),
    ] = None,
    data: DataFolder = Path("data"),
) -> None:
    """Send the reminders of a day by e-mail now, each once; a server with an SMTP host does so every day by itself.

    It works beside a running server or without one, and may be stopped, killed and repeated at any time.
    """
    settings = _settings(data=data)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("Looking" if dry_run else "Sending", total=None)

        def advance(seen: int, total: int) -> None:
            progress.update(task, completed=seen, total=total)

        wanted = None if day is None else day.date()
        try:
            if dry_run:
                lines = asyncio.run(reminding.preview(settings, wanted, advance))
            else:
                counts = asyncio.run(reminding.send(settings, wanted, advance))
        except (EmbeddedError, SchemaError, FhirError, CardError, UnavailableError, OSError, ValueError) as error:
            _fail(str(error))
    if dry_run:
        table = Table("Person", "Occasion", "Language", "To", "")
        for line in lines:
            table.add_row(line.patient, line.occasion, line.language, escape(line.address), line.standing)
        out.print(table)
        out.print(f"{sum(not line.standing for line in lines):,} to send", highlight=False)
        return
    out.print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "Nothing is due.")


@app.command("verify")
def verify_command(
    card: Annotated[
        str, typer.Argument(help="A .smart-health-card file, a picture, the text of a card, or - for stdin.")
    ],
    data: DataFolder = Path("data"),
    issuer: Annotated[
        str | None, typer.Option(help="Issuer whose keys are those of --data. [default: this server's]")
    ] = None,
    jwks: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Key set of the issuer, instead of --data's keys.")
    ] = None,
    revocations: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="Revocation list of the issuer; repeatable.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Directory snapshot of trusted issuers.")
    ] = None,
    directory_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Key (JWK) that must have signed the snapshot.")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Ask the card's issuer, if trusted, for its keys and revocations of now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Verify a SMART Health Card, offline unless --fetch is given; exit status 0 if it proves what it says, else 1."""
    settings = _settings(data=data)
    try:
        trust = verifying.trust_list(settings, issuer, jwks, revocations or [], directory, directory_key)
        reports = verifying.reports(card, trust, fetch=fetch)
    except CardError as error:
        _fail(error.text)
    except (OSError, ValueError) as error:
        _fail(str(error))
    if as_json:
        print(verifying.told_in_json(reports))
    else:
        for report in reports:
            verifying.show(report, out)
    raise SystemExit(0 if all(report.accepted for report in reports) else 1)


@app.command("load-ig")
def load_ig_command(
    package: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A FHIR package with snapshots (.tgz).")],
    data: DataFolder = Path("data"),
) -> None:
    """Make the profiles, extensions and value sets of an implementation guide known, for $validate and for writes.

    Running servers with the same data folder use it at once. A package that cannot be used changes nothing.
    """
    try:
        loaded = loading_ig.load(_settings(data=data), package)
    except (PackageError, OSError) as error:
        _fail(str(error))
    out.print(
        f"{loaded.name} {loaded.version}: {loaded.profiles} profiles, {loaded.extensions} extensions, "
        f"{loaded.value_sets} value sets. In use from now on.",
        highlight=False,
        soft_wrap=True,
    )
    for canonical in loaded.unknown:
        out.print(f"  [yellow]not checked[/yellow] {escape(canonical)}: another guide defines it", soft_wrap=True)


@app.command("doctor")
def doctor_command(data: DataFolder = Path("data")) -> None:
    """Say what the server would run on: versions, database, keys, settings; exit status 1 if something is wrong."""
    settings = _settings(data=data)
    findings = asyncio.run(checkup.examine(settings))
    table = Table(show_header=False, box=None)
    for finding in findings:
        table.add_row(verifying.MARKS["pass" if finding.ok else "fail"], finding.subject, finding.text)
    out.print(table)
    raise SystemExit(0 if all(finding.ok for finding in findings) else 1)


def _fail(*sentences: str) -> NoReturn:
    for sentence in sentences:
        err.print(f"[red]fhir-server:[/red] {sentence}", highlight=False, soft_wrap=True)
    raise SystemExit(1)


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _settings(**given: object) -> Settings:
    """Settings from the environment and these options. Exits with a sentence per wrong value."""
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in problem["loc"])
            err.print(f"[red]fhir-server:[/red] setting {place}: {problem['msg']}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
