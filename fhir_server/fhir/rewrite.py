"""Rewrite: the links of a resource, and the same resource with links replaced.

https://hl7.org/fhir/R4/http.html#trules

A transaction replaces links to its own entries: in references, in elements of the types uri, url, oid and uuid, and
where a narrative's `href` or `src` has them. Text, identifiers' values and canonicals that look alike stay.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from profiles.definitions import RESOURCE_TYPES, children

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_START = 9
"""Characters of a link that are looked for before anything is decoded: `urn:uuid:`."""

_SOURCE = re.compile(rb"""(\b(?:href|src)\s*=\s*(?:\\"|'))([^"'\\\s]+)""")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()


def links(resource: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every link as (expression, type, text): `("Immunization.patient", "Reference", "urn:uuid:...")`; the type is
    Reference, uri, url, oid or uuid. Narrative links are left out."""
    name = resource.get("resourceType")
    if type(name) is str and name in RESOURCE_TYPES:
        yield from _links(resource, name, name)


def rewrite(body: bytes, mapping: Mapping[str, str]) -> bytes:
    """`body` (compact JSON of a valid resource) with every link that `mapping` knows replaced; all other bytes kept."""
    starts = {old[:_START].encode() for old in mapping}
    return _object(body, "Resource", _Links(mapping, tuple(starts)))


class _Links:
    """The replacements, and a cheap test for bytes that cannot hold any."""

    def __init__(self, mapping: Mapping[str, str], starts: tuple[bytes, ...]) -> None:
        self.mapping, self.starts = mapping, starts

    def may_be_in(self, raw: bytes) -> bool:
        # An escaped slash or character can hide the beginning of a link.
        return any(start in raw for start in self.starts) or b"\\/" in raw or b"\\u" in raw


def _links(value: dict[str, Any], path: str, expression: str) -> Iterator[tuple[str, str, str]]:
    known = children(path)
    for name, child in value.items():
        found = known.get(name)
        if found is None:
            continue
        kind = found[1]
        for position, item in enumerate(child if type(child) is list else (child,)):
            place = f"{expression}.{name}[{position}]" if type(child) is list else f"{expression}.{name}"
            if type(item) is str:
                if path == "Reference" and name == "reference":
                    yield expression, "Reference", item
                elif kind in _LINKS:
                    yield place, kind, item
            elif type(item) is dict:
                yield from _links(item, _path(kind, item.get("resourceType")), place)


def _path(kind: str, resource_type: Any) -> str:
    """The definition path of an object: that of its own type where any resource may be."""
    return resource_type if kind == "Resource" and resource_type in RESOURCE_TYPES else kind


def _object(raw: bytes, path: str, links: _Links) -> bytes:
    if not links.may_be_in(raw):
        return raw
    members = _members.decode(raw)
    if path == "Resource" and "resourceType" in members:
        path = _path(path, _text.decode(members["resourceType"]))
    known = children(path)
    changed = False
    for name, value in members.items():
        found = known.get(name)
        if found is None:
            continue
        old = bytes(value)
        new = _value(old, "Reference" if path == "Reference" and name == "reference" else found[1], links)
        if new is not old:
            members[name] = msgspec.Raw(new)
            changed = True
    return _encoder.encode(members) if changed else raw


def _value(raw: bytes, kind: str, links: _Links) -> bytes:
    first = raw[:1]
    if first == b"{":
        return _object(raw, kind, links)
    if first == b"[":
        if not links.may_be_in(raw):
            return raw
        items = [bytes(item) for item in _items.decode(raw)]
        changed = [_value(item, kind, links) for item in items]
        if all(new is old for new, old in zip(changed, items, strict=True)):
            return raw
        return b"[" + b",".join(changed) + b"]"
    if first != b'"':
        return raw
    if kind == "Reference" or kind in _LINKS:
        new = links.mapping.get(_text.decode(raw))
        return raw if new is None else _encoder.encode(new)
    if kind == "xhtml" and links.may_be_in(raw):
        return _SOURCE.sub(lambda match: match[1] + _source(match[2], links), raw)
    return raw


def _source(link: bytes, links: _Links) -> bytes:
    new = links.mapping.get(link.decode())
    return link if new is None else new.encode()
