"""Registration: the file of clients that is read at every start.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr

TOML (`[[client]]`) or JSON (`{"client": [...]}`), by the file's ending. What it says replaces what was registered under
the same id; clients it does not name stay as they are, and a client that was disabled stays so.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fhir_server.access.clients import registered
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from fhir_server.store.accounts.clients import Clients, RegisteredClient


def read(path: Path) -> list[RegisteredClient]:
    """The clients that a file registers. ValueError with a sentence, OSError."""
    try:
        text = path.read_bytes()
        content: Mapping[str, Any] = json.parse(text) if path.suffix == ".json" else tomllib.loads(text.decode("utf-8"))
    except (FhirError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    entries = content.get("client")
    if set(content) != {"client"} or not isinstance(entries, list):
        raise ValueError(f"{path}: it holds a list 'client' ([[client]] in TOML) and nothing else")
    try:
        clients = [registered(entry) for entry in entries]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    twice = sorted({client.id for client in clients if [each.id for each in clients].count(client.id) > 1})
    if twice:
        raise ValueError(f"{path}: client {twice[0]} stands there twice")
    return clients


async def apply(clients: Clients, listed: Sequence[RegisteredClient]) -> None:
    """Register them all. FhirError 503."""
    for client in listed:
        known = await clients.find(client.id)
        await clients.put(client if known is None else replace(client, enabled=known.enabled))
