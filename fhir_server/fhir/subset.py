"""Subset: a resource with only some of its elements, as `_summary` and `_elements` ask for.

https://hl7.org/fhir/R4/search.html#summary

Works on bytes: whatever stays keeps its text. Elements that must be there stay in any case, as do those that change the
meaning of others, so a subset is a valid resource; it says SUBSETTED.
"""

from collections.abc import Callable, Iterable
from functools import cache

import msgspec

from fhir_server.fhir import results
from fhir_server.fhir.json import dump
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.results import Summary
from profiles.definitions import children

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

Subset = Callable[[bytes], bytes]
"""The JSON of a resource -> the JSON of its subset."""

_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_tags = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_text = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()


def asked(type: str, pairs: Iterable[tuple[str, str]]) -> Subset | None:
    """The subset that a read's parameters ask for, None for the whole. FhirError 400 for any other parameter."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in ("_summary", "_elements"):
            raise refuse(400, "not-supported", "unknown-parameter", f"'{name}' has no meaning at this address.", name)
        if name in given:
            raise refuse(400, "invalid", "repeated-parameter", f"{name} may be given once.", name)
        given[name] = value
    summary = results.summary(given["_summary"]) if "_summary" in given else None
    if summary == "count":
        raise refuse(400, "value", "invalid-value", "_summary=count counts what a search finds.", "_summary")
    return subset(summary, results.wanted(type, given["_elements"]) if "_elements" in given else ())


def subset(summary: Summary | None, elements: tuple[str, ...] = ()) -> Subset | None:
    """The subset of these values of `_summary` and `_elements` (names without `[x]`), None for the whole.

    FhirError 400 where both ask for one.
    """
    if summary in (None, "false", "count"):
        if not elements:
            return None
        names = frozenset(elements)
        return lambda raw: _marked(_chosen(_members.decode(raw), names))
    if elements:
        raise _both()
    if summary == "true":
        return lambda raw: _marked(_summarized(_members.decode(raw), ""))
    if summary == "text":
        return lambda raw: _marked(_chosen(_members.decode(raw), frozenset({"text"})))
    return lambda raw: _marked({name: value for name, value in _members.decode(raw).items() if name != "text"})


def _chosen(members: dict[str, msgspec.Raw], names: frozenset[str]) -> dict[str, msgspec.Raw]:
    """The members that these elements, and the mandatory ones, have."""
    known = children(_text.decode(members["resourceType"]))
    chosen = {}
    for member, value in members.items():
        name = member.removeprefix("_")
        element = known[name][0] if name in known else None
        if member in _ALWAYS or (element is not None and (element.min or names & {name, element.name})):
            chosen[member] = value
    return chosen


def _summarized(members: dict[str, msgspec.Raw], path: str) -> dict[str, msgspec.Raw]:
    """The members that a summary has, and of those that are parts of the resource only their own summary."""
    kept, parts = _summary(path or _text.decode(members["resourceType"]))
    found = {}
    for member, value in members.items():
        if member.removeprefix("_") in kept:
            part = _part(bytes(value), parts[member]) if member in parts else bytes(value)
            if part:
                found[member] = msgspec.Raw(part)
    return found


def _part(raw: bytes, path: str) -> bytes:
    """The summary of a part, or of an array of them; empty where nothing is left of it."""
    if raw.startswith(b"["):
        items = [item for item in (_part(bytes(item), path) for item in _items.decode(raw)) if item]
        return b"[" + b",".join(items) + b"]" if items else b""
    members = _summarized(_members.decode(raw), path)
    # An element with nothing but an id is none.
    return _encoder.encode(members) if members.keys() - {"id"} else b""


@cache
def _summary(path: str) -> tuple[frozenset[str], dict[str, str]]:
    """Member names that a summary keeps at a definition path; those of them that are parts, with their own path."""
    known = children(path)
    kept = {name: kind for name, (element, kind) in known.items() if element.summary or element.min}
    return frozenset(kept) | _ALWAYS, {name: kind for name, kind in kept.items() if "." in kind}


def _marked(members: dict[str, msgspec.Raw]) -> bytes:
    """The resource with the tag SUBSETTED."""
    meta = members.get("meta")
    changed = _members.decode(meta) if meta is not None else {}
    tags = changed.get("tag")
    if tags is None:
        changed["tag"] = msgspec.Raw(dump([SUBSETTED]))
    elif not any(_text.decode(tag.get("code", b'""')) == "SUBSETTED" for tag in _tags.decode(tags)):
        changed["tag"] = msgspec.Raw(bytes(tags)[:-1] + b"," + dump(SUBSETTED) + b"]")
    marked = {name: value for name, value in members.items() if name in ("resourceType", "id")}
    marked["meta"] = msgspec.Raw(_encoder.encode(changed))
    return _encoder.encode({**marked, **{name: value for name, value in members.items() if name not in marked}})


def _both() -> FhirError:
    text = "Ask either for a summary or for elements, not for both."
    return refuse(400, "invalid", "invalid-value", text, "_elements", "_summary")
