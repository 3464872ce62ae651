"""One meaning: what the server finds over HTTP is what the conditions select in memory.

https://hl7.org/fhir/R4/search.html
"""

import json
import random
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from fhir_server.fhir import index, query
from fhir_server.fhir.condition import SEPARATOR
from fhir_server.fhir.entries import Entries
from fhir_server.fhir.params import Parameter, parameters
from tests.http.answers import everything
from tests.real_input.conftest import Loaded

SEARCHES = 150
ODD = set(",$\\|␟")

Resource = dict[str, Any]
Row = tuple[Entries, str, int]
"""Entries, id, and when it was updated, in microseconds since 1970."""


async def test_one_meaning(loaded: Loaded) -> None:
    choose = random.Random(20210114)
    rows = _rows(loaded)
    hits = 0
    for _ in range(SEARCHES):
        resource_type = choose.choice(sorted(rows))
        pairs = _search(choose, resource_type, rows[resource_type])
        request = query.parse(resource_type, pairs, base=loaded.base)
        assert request.links == ()
        expected = {
            id for entries, id, updated in rows[resource_type] if index.satisfies(entries, id, updated, request.where)
        }
        count = choose.choice([30, 200, 1000])
        address = f"{resource_type}?{urlencode([*pairs, ('_count', str(count))])}"
        got = [id for id in await everything(loaded.client, address) if f"{resource_type}/{id}" in loaded.stored]
        assert len(got) == len(set(got)), address
        assert set(got) == expected, address
        hits += bool(expected)
    # Searches that find nothing prove little.
    assert hits > SEARCHES * 0.6


def _rows(loaded: Loaded) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for address, body in loaded.stored.items():
        resource_type, _, id = address.partition("/")
        resource = json.loads(body, parse_float=Decimal)
        updated = datetime.fromisoformat(resource["meta"]["lastUpdated"])
        microseconds = int(updated.timestamp()) * 1_000_000 + updated.microsecond
        rows.setdefault(resource_type, []).append((index.entries(resource, loaded.base), id, microseconds))
    return rows


def _search(choose: random.Random, resource_type: str, rows: list[Row]) -> list[tuple[str, str]]:
    """One or two parameters with values some resource has, or nearly."""
    entries = choose.choice(rows)[0]
    known = [parameter for parameter in parameters(resource_type).values() if not parameter.name.startswith("_")]
    pairs: list[tuple[str, str]] = []
    wanted = choose.choice([1, 1, 2])
    for parameter in choose.sample(known, len(known)):
        pair = _pair(choose, parameter, entries)
        if pair is not None:
            pairs.append(pair)
        if len(pairs) == wanted:
            return pairs
    return pairs or [("_lastUpdated", "gt2020")]


def _pair(choose: random.Random, parameter: Parameter, entries: Entries) -> tuple[str, str] | None:
    name, label = parameter.name, parameter.label + SEPARATOR
    if choose.random() < 0.05:
        return f"{name}:missing", choose.choice(["true", "false"])
    if parameter.type in ("token", "reference", "uri"):
        keys = [key[len(label) :] for key in entries.tk if key.startswith(label)]
        return _of_key(choose, parameter, choose.choice(keys)) if keys else None
    if parameter.type == "string":
        texts = [text[len(label) :] for text in entries.st if text.startswith(label)]
        texts = [text for text in texts if not ODD & set(text) and text.strip()]
        if not texts:
            return None
        text = choose.choice(texts)
        if choose.random() < 0.3:
            return f"{name}:contains", text[1:4].strip() or text
        return name, text[: choose.randint(1, len(text))].strip()
    if parameter.type in ("date", "number", "quantity"):
        return _of_span(choose, parameter, entries)
    return None


def _of_key(choose: random.Random, parameter: Parameter, key: str) -> tuple[str, str] | None:
    if parameter.type == "token":
        system, bar, code = key.rpartition("|")
        if ODD & set(system + code):
            return None
        value = code if system == "*" else f"{system}|{code}"
        modifier = ":not" if choose.random() < 0.15 else ""
        return (parameter.name + modifier, value) if bar and code else None
    return None if ODD & set(key) or key.startswith("*/") else (parameter.name, key)


def _of_span(choose: random.Random, parameter: Parameter, entries: Entries) -> tuple[str, str] | None:
    spans = [span for span in entries.d if span["p"] == parameter.label]
    test = choose.choice(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
    if parameter.type != "date":
        return parameter.name, f"{test}{choose.choice(['1', '37.5', '100', '6.0', '-1', '172.4'])}"
    if not spans:
        return None
    written = choose.choice(spans).get("a") or ""
    return parameter.name, test + written[: choose.choice([4, 7, 10])]
