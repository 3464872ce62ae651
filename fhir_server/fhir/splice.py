"""Splice: a changed value written with the bytes of all that did not change.

https://hl7.org/fhir/R4/json.html
"""

from typing import Any

import msgspec

from fhir_server.fhir.json import dump

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder()


def splice(body: bytes, before: Any, after: Any) -> bytes:
    """JSON of `after`; what it shares with `before`, whose compact JSON `body` is, keeps its bytes (`1.0e2`, escapes).

    Both are values of dict, list, str, int, Decimal, bool, None, as parsed.
    """
    written = dump(after)
    if written == dump(before):
        return body
    if isinstance(before, dict) and isinstance(after, dict):
        members = _members.decode(body)
        return _encoder.encode(
            {
                name: msgspec.Raw(splice(bytes(members[name]), before[name], value) if name in before else dump(value))
                for name, value in after.items()
            }
        )
    if isinstance(before, list) and isinstance(after, list):
        return _list([bytes(item) for item in _items.decode(body)], before, after)
    return written


def _list(items: list[bytes], before: list[Any], after: list[Any]) -> bytes:
    """Items that moved are found by their value, others are compared with the one that stood in their place."""
    known = {dump(value): item for value, item in zip(before, items, strict=True)}
    parts = []
    for number, value in enumerate(after):
        written = dump(value)
        if written in known:
            written = known[written]
        elif number < len(before):
            written = splice(items[number], before[number], value)
        parts.append(written)
    return b"[" + b",".join(parts) + b"]"
