"""Documents: versions of resources as MongoDB documents, and back.

https://hl7.org/fhir/R4/resource.html#versions

Current version, in the collection of its type:
    {_id: id, vid, lu, h, m, raw, tk, hs, st, rk, d, so, pt, org, lb, ix}
Superseded version or tombstone, in the history twin:
    {_id: "id/version", rid: id, vid, lu, m, raw, tk, hs, st, rk, d, pt, org, lb, ix}
`so` has {a, z}, lowest and highest, and only {a} where they are the same; `vid` version, `lu` microseconds since 1970
(UTC), `h` 32-bit hash of the id (it never changes, so windows of it walk a whole type and lose or double no row),
`m` the HTTP method, `new` true where a version after the first was created anew, `raw` the answer's bytes (null in a
tombstone). A tombstone keeps the index entries of what it deleted, so the access predicate decides on it, too. `ix` is
the edition of the rules these entries were made by (fhir/edition.py); documents of another edition are indexed again
(reindex.py).
"""

from hashlib import blake2b
from typing import Any

from fhir_server.fhir.index import Entries
from fhir_server.fhir.strings import folded_key
from fhir_server.store.driver import Document
from fhir_server.store.records import Stored

RAW = {"raw": 1, "vid": 1, "lu": 1, "m": 1, "new": 1, "pt": 1}
"""The projection of what a Stored is made from."""

HASHES = 1 << 32
"""`h` lies in [0, HASHES)."""

_ENTRIES = ("tk", "hs", "st", "rk", "d", "pt", "org", "lb")


def hash_of(id: str) -> int:
    """The place of this id in a walk over its whole type."""
    return int.from_bytes(blake2b(id.encode(), digest_size=4).digest(), "big")


def version_key(id: str, version: int) -> str:
    """The `_id` of a history document; no FHIR id has a slash."""
    return f"{id}/{version}"


def current(stored: Stored, entries: Entries) -> Document:
    """The document of a current version."""
    return {
        "_id": stored.id,
        "vid": stored.version,
        "lu": stored.updated,
        "h": hash_of(stored.id),
        "m": stored.method,
        "raw": stored.raw,
        **_again(stored),
        **indexed(entries),
    }


def _again(stored: Stored) -> Document:
    """What tells a version that was created anew after a deletion; of a first one its number does."""
    return {"new": True} if stored.created and stored.version > 1 else {}


def indexed(entries: Entries) -> Document:
    """The members of a current document that its index entries make up: sort keys that differ from the first only where
    they do, and the folded strings among the tokens, for the index that has `h` behind it (docs/decisions/0035)."""
    sort = {name: {"a": span["a"]} if span["a"] == span["z"] else span for name, span in entries.so.items()}
    keys = list(dict.fromkeys([*entries.tk, *map(folded_key, entries.st)]))
    return {**entries.document(), "tk": keys, "so": sort}


def superseded(document: Document) -> Document:
    """The history document of a current one."""
    kept = {name: document[name] for name in ("vid", "lu", "m", "raw")}
    kept |= {name: document.get(name, []) for name in _ENTRIES}
    key = version_key(document["_id"], document["vid"])
    again = {"new": True} if document.get("new") else {}
    return {"_id": key, "rid": document["_id"], **kept, **again, "ix": document.get("ix", 0)}


def tombstone(document: Document, version: int, updated: int) -> Document:
    """The history document that says: deleted as of `version`."""
    return {
        **{name: value for name, value in superseded(document).items() if name != "new"},
        "_id": version_key(document["_id"], version),
        "vid": version,
        "lu": updated,
        "m": "DELETE",
        "raw": None,
    }


def entries_of(document: Document) -> Entries:
    """The index entries a document was stored with."""
    members: dict[str, Any] = {name: document.get(name, []) for name in _ENTRIES}
    return Entries(**members, so=document.get("so", {}))


def stored(resource_type: str, document: Document) -> Stored:
    """The version a current or history document holds (projected by RAW, or whole)."""
    return Stored(
        resource_type,
        document.get("rid") or document["_id"],
        document["vid"],
        int(document["lu"]),
        document["raw"],
        document["m"],
        document["vid"] == 1 or bool(document.get("new")),
        # A roster names those on it itself, as far as it is shown at all.
        tuple(document.get("pt", ())) if resource_type != "Group" else (),
    )
