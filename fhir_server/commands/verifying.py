"""The command `fhir-server verify`: a card judged, for people or, with --json, for programs.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#presenting-health-cards-to-a-verifier

Trust comes from files. Nothing is fetched unless asked for (--fetch), and then only from issuers that are trusted
already; nothing presented is kept, or sent anywhere.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from fhir_server.access import card_directory, card_keys
from fhir_server.access.issuer_keys import IssuerKeys
from fhir_server.access.outbound import Outbound
from fhir_server.commands.terminal import DataFolder, command, fail, out, settings_of
from fhir_server.settings import Settings
from smart_health_cards import CardError, Report, TrustList, verify
from terminology import codes

MARKS = {
    "pass": "[green]✓[/green]",
    "warning": "[yellow]![/yellow]",
    "unknown": "[dim]?[/dim]",
    "fail": "[red]✗[/red]",
}


def trust_list(
    settings: Settings,
    issuer: str | None,
    jwks: Path | None,
    lists: Sequence[Path],
    directory: Path | None,
    directory_key: Path | None = None,
) -> TrustList:
    """Who is trusted: the issuers of a directory snapshot (a JWS where its key is given; without one, that of the
    settings), and one whose key set is in a file or the data folder.

    CardError for what is no key set, list or snapshot; ValueError for what is no JSON.
    """
    trust = TrustList()
    if directory is not None:
        trust |= card_directory.load(directory, directory_key)
    elif settings.card_directory is not None:
        trust |= card_directory.load(settings.card_directory, directory_key or settings.card_directory_key)
    revocations = [json.loads(path.read_bytes()) for path in lists]
    iss = issuer or settings.issuer
    if jwks is not None:
        trust |= TrustList.from_jwks(iss, jwks.read_bytes(), revocations=revocations)
    elif (settings.data / "keys" / "cards").is_dir():
        keys = card_keys.folder(settings.data).jwks()
        trust |= TrustList.from_jwks(iss, keys, name="this server", revocations=revocations)
    return trust


def reports(card: str, trust: TrustList, at: float | None = None, *, fetch: bool = False) -> list[Report]:
    """A report for each card in a file, a picture, a text, or (`-`) standard input.

    `fetch`: ask the card's issuer, if it is one of the trusted, for its keys and revocations of this moment.
    """
    content, moment = _content(card), time.time() if at is None else at
    found = verify(content, trust, moment)
    if fetch:
        hosts = frozenset(urlsplit(iss).netloc for iss, issuer in trust.issuers.items() if issuer.trusted)
        renewed = asyncio.run(IssuerKeys(Outbound(hosts)).renew(trust, found))
        if renewed is not None:
            return verify(content, renewed, moment)
    return found


def told_in_json(found: Sequence[Report]) -> str:
    """The reports as one JSON object, by lines: accepted, and each card's verdicts and content."""
    cards = [
        {
            "accepted": report.accepted,
            "verdicts": [asdict(verdict) for verdict in report.verdicts],
            "content": None if report.content is None else asdict(report.content),
        }
        for report in found
    ]
    whole = {"accepted": all(report.accepted for report in found), "cards": cards}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def show(report: Report, out: Console) -> None:
    """A report for people."""
    content = report.content
    if content is not None:
        out.print(f"[bold]{content.name or 'no name'}[/bold], born {content.birth_date or 'not stated'}")
        out.print(f"issued by {content.issuer_name or content.iss}", highlight=False)
        for dose in content.doses:
            out.print(
                f"  {dose.date}  {_vaccine(dose.system, dose.code)}  lot {dose.lot_number or '-'}", highlight=False
            )
    table = Table(show_header=False, box=None)
    for verdict in report.verdicts:
        table.add_row(MARKS[verdict.status], verdict.check, verdict.text, f"[dim]{verdict.code}[/dim]")
    out.print(table)
    out.print("[green]This card proves what it says.[/green]" if report.accepted else "[red]Do not rely on it.[/red]")


def _content(card: str) -> bytes | str:
    if card == "-":
        return sys.stdin.buffer.read()
    # Longer words than a file's name may have are cards, and asking the file system about them fails.
    return Path(card).read_bytes() if len(card) < 256 and Path(card).is_file() else card


def _vaccine(system: str | None, code: str | None) -> str:
    try:
        return codes.lookup(system or "", code or "").display
    except LookupError:
        return f"{system} {code}"


app = command()


@app.command()
def verify_card(
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
    settings = settings_of(data=data)
    try:
        trust = trust_list(settings, issuer, jwks, revocations or [], directory, directory_key)
        found = reports(card, trust, fetch=fetch)
    except CardError as error:
        fail(error.text)
    except (OSError, ValueError) as error:
        fail(str(error))
    if as_json:
        print(told_in_json(found))
    else:
        for report in found:
            show(report, out)
    raise SystemExit(0 if all(report.accepted for report in found) else 1)
