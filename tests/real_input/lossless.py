"""What was sent against what is read back: every member, their order, and every number as it was written."""

import json
from collections.abc import Mapping
from typing import Any

Members = list[tuple[str, Any]]
"""An object as its members in order. Numbers are `("number", text)`."""


def parsed(body: bytes) -> Members:
    """The JSON object in `body`, losing nothing."""

    def number(text: str) -> tuple[str, str]:
        return ("number", text)

    found: Members = json.loads(body, object_pairs_hook=list, parse_int=number, parse_float=number)
    return found


def without_stamps(resource: Members) -> Members:
    """The resource without its id and what the server sets in meta; without meta where nothing else is in it."""
    kept: Members = []
    for name, value in resource:
        if name == "meta":
            meta = [(each, content) for each, content in value if each not in ("versionId", "lastUpdated")]
            if meta:
                kept.append((name, meta))
        elif name != "id":
            kept.append((name, value))
    # Where meta was added it may stand anywhere; where it was sent it keeps its place among the others.
    return kept


def resolved(value: Any, names: Mapping[str, str]) -> Any:
    """The same value with references to entries of its Bundle replaced."""
    if isinstance(value, tuple):
        if len(value) == 2 and value[0] == "reference" and isinstance(value[1], str):
            return ("reference", names.get(value[1], value[1]))
        return tuple(resolved(item, names) for item in value)
    return [resolved(item, names) for item in value] if isinstance(value, list) else value
