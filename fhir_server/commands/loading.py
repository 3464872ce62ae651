"""Loading: FHIR files sent to a running server, with a count of what was stored and why anything was refused.

https://hl7.org/fhir/R4/http.html#transaction

Transactions and batches are posted; every other resource is put under its id (posted where it has none). A transaction
that refers conditionally to something not there yet is tried again after the other files, as long as that helps.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from rich.markup import escape
from rich.table import Table

from fhir_server.commands.terminal import command, fail, out, progress
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.story.signing_in import SignInError, SystemAuth

_BATCH = 100
_HEADERS = {"content-type": "application/fhir+json", "prefer": "return=minimal"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not stored: the file, the place in it, the status (0: never sent) and the reasons."""

    path: Path
    place: str
    status: int
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Summary:
    """Stored resources by type, and refusals."""

    stored: Counter[str] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Piece:
    path: Path
    place: str
    body: bytes
    resource: dict[str, Any]

    @property
    def is_exchange(self) -> bool:
        return self.resource.get("resourceType") == "Bundle" and self.resource.get("type") in ("transaction", "batch")


async def load(client: httpx.AsyncClient, paths: Sequence[Path], advance: Callable[[Path], None]) -> Summary:
    """Send these files (`.json`: one resource; `.ndjson`: one a line) to the client's base; `advance` per file done."""
    summary = Summary()
    waiting: list[_Piece] = []
    for path in paths:
        pieces = await asyncio.to_thread(_read, path, summary)
        waiting += await _send(client, pieces, summary)
        advance(path)
    while waiting:
        again = await _send(client, waiting, summary)
        if len(again) == len(waiting):
            for piece in again:
                await _post(client, piece, summary, final=True)
            break
        waiting = again
    return summary


async def _send(client: httpx.AsyncClient, pieces: Sequence[_Piece], summary: Summary) -> list[_Piece]:
    """Send the pieces; returns those whose conditional references could not be resolved yet."""
    unresolved = []
    single = [piece for piece in pieces if not piece.is_exchange]
    for start in range(0, len(single), _BATCH):
        await _put_batch(client, single[start : start + _BATCH], summary)
    for piece in pieces:
        if piece.is_exchange and not await _post(client, piece, summary, final=False):
            unresolved.append(piece)
    return unresolved


async def _post(client: httpx.AsyncClient, piece: _Piece, summary: Summary, *, final: bool) -> bool:
    answer = await client.post("", content=piece.body, headers=_HEADERS)
    if answer.status_code == 412 and not final:
        return False
    if answer.is_success:
        for number, entry in enumerate(json.parse(answer.content).get("entry", [])):
            _count(piece, number, entry["response"], summary)
    else:
        summary.refused.append(Refusal(piece.path, piece.place, answer.status_code, _reasons(answer.content)))
    return True


def _count(piece: _Piece, number: int, response: dict[str, Any], summary: Summary) -> None:
    status = int(response["status"][:3])
    if status < 400:
        sent = piece.resource["entry"][number]
        summary.stored[sent.get("resource", {}).get("resourceType", sent["request"]["method"])] += 1
        return
    texts = tuple(_texts(response.get("outcome", {})))
    summary.refused.append(Refusal(piece.path, f"{piece.place}Bundle.entry[{number}]", status, texts))


async def _put_batch(client: httpx.AsyncClient, pieces: Sequence[_Piece], summary: Summary) -> None:
    if len(pieces) == 1:
        await _put(client, pieces[0], summary)
        return
    entries = b",".join(_entry(piece) for piece in pieces)
    body = b'{"resourceType":"Bundle","type":"batch","entry":[' + entries + b"]}"
    answer = await client.post("", content=body, headers=_HEADERS)
    if not answer.is_success:
        # Too large together, perhaps: one by one each gets its own answer.
        for piece in pieces:
            await _put(client, piece, summary)
        return
    for number, (piece, entry) in enumerate(zip(pieces, json.parse(answer.content)["entry"], strict=True)):
        status = int(entry["response"]["status"][:3])
        if status < 400:
            summary.stored[piece.resource["resourceType"]] += 1
        else:
            # The batch is only our way of sending: the reader knows the resource by itself.
            ours, theirs = f"Bundle.entry[{number}].resource", str(piece.resource.get("resourceType", "resource"))
            texts = tuple(text.replace(ours, theirs, 1) for text in _texts(entry["response"].get("outcome", {})))
            summary.refused.append(Refusal(piece.path, piece.place, status, texts))


def _entry(piece: _Piece) -> bytes:
    method, url = _address(piece)
    request = json.dump({"method": method, "url": url})
    return b'{"resource":' + piece.body + b',"request":' + request + b"}"


async def _put(client: httpx.AsyncClient, piece: _Piece, summary: Summary) -> None:
    method, url = _address(piece)
    answer = await client.request(method, url, content=piece.body, headers=_HEADERS)
    if answer.is_success:
        summary.stored[piece.resource["resourceType"]] += 1
    else:
        summary.refused.append(Refusal(piece.path, piece.place, answer.status_code, _reasons(answer.content)))


def _address(piece: _Piece) -> tuple[str, str]:
    resource_type, resource_id = piece.resource.get("resourceType", ""), piece.resource.get("id")
    return ("PUT", f"{resource_type}/{resource_id}") if resource_id else ("POST", f"{resource_type}")


def _read(path: Path, summary: Summary) -> list[_Piece]:
    return list(_pieces(path, summary))


def _pieces(path: Path, summary: Summary) -> Iterator[_Piece]:
    lines = path.suffix == ".ndjson"
    with path.open("rb") as file:
        for number, text in enumerate(file if lines else [file.read()], start=1):
            if not text.strip():
                continue
            place = f"line {number} " if lines else ""
            try:
                resource = json.parse(text)
            except FhirError as error:
                summary.refused.append(Refusal(path, place, 0, (str(error),)))
                continue
            yield _Piece(path, place, json.compact(text), resource)


def _reasons(body: bytes) -> tuple[str, ...]:
    try:
        return tuple(_texts(json.parse(body)))
    except FhirError:
        return (body[:200].decode("utf-8", "replace"),)


def _texts(outcome: dict[str, Any]) -> Iterator[str]:
    for issue in outcome.get("issue", []):
        text = issue.get("details", {}).get("text") or issue.get("diagnostics") or issue.get("code", "")
        place = ", ".join(issue.get("expression", ()))
        yield f"{place}: {text}" if place else text


app = command()

_SHOWN = 5
"""Reasons shown for one refused resource."""


@app.command()
def import_files(
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
    base = server.rstrip("/")
    try:
        auth = SystemAuth(base, client_id, ECKey.import_key(json.parse(key.read_bytes()))) if key is not None else None
    except (FhirError, JoseError, ValueError) as error:
        fail(f"{key} holds no private key: {error}")

    async def send() -> Summary:
        async with httpx.AsyncClient(base_url=base + "/", timeout=120, auth=auth) as client:
            with progress() as bar:
                task = bar.add_task("Importing", total=len(files))

                def advance(path: Path) -> None:
                    bar.update(task, advance=1, description=path.name)

                return await load(client, files, advance)

    try:
        summary = asyncio.run(send())
    except SignInError as error:
        fail(str(error))
    except httpx.HTTPError as error:
        fail(f"No answer from {server} ({type(error).__name__}). Is it running? Start it with: fhir-server serve --dev")
    stored = Table("Type", "Stored", title="Stored", title_justify="left")
    stored.columns[1].justify = "right"
    for resource_type, count in sorted(summary.stored.items()):
        stored.add_row(resource_type, f"{count:,}")
    stored.add_row("[bold]all[/bold]", f"[bold]{sum(summary.stored.values()):,}[/bold]")
    out.print(stored)
    for refusal in summary.refused:
        status = refusal.status or "not sent"
        out.print(f"[red]refused[/red] {refusal.path.name} {refusal.place}({status})", highlight=False, soft_wrap=True)
        for reason in refusal.reasons[:_SHOWN]:
            out.print(f"  {escape(reason)}", highlight=False, soft_wrap=True)
        if len(refusal.reasons) > _SHOWN:
            out.print(f"  and {len(refusal.reasons) - _SHOWN} more", highlight=False)
    if summary.refused:
        raise SystemExit(1)
