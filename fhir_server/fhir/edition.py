"""Edition: by which rules the index entries of a type are made, as digests that change with the rules.

https://hl7.org/fhir/R4/searchparameter-registry.html

The store compares them with those its documents were indexed by: what differs must be indexed again first.
"""

import json
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from fhir_server.fhir.params import compartments, rows

VERSION = 4
"""Of the code that makes keys, ranges and sort keys. Raise it with every change after which the same resource and the
same table give other entries: all of them are then made again (a test compares entries with those of this version)."""

ACCESS_VERSION = 2
"""Of the code that finds out whose compartment a resource is in, and which organizations and labels it has."""

RELATIONS_VERSION = 1
"""Of what is learnt of stored resources about who has a relationship with whom (store/learning.py)."""

_NOT_INDEXED = ("_id", "_lastUpdated")


@cache
def digests(type: str) -> Mapping[str, str]:
    """The digest of each label's rule: search parameters by the name their values are indexed under, and `:pt`, `:org`
    and `:lb`, which access is decided by; of Patients `:sees` besides, that all relationships with them are known.
    KeyError where there is no such type."""
    found: dict[str, str] = {}
    labels: dict[str, str] = {}
    table = rows(type)
    for name, (kind, expression, *more) in table.items():
        if name in _NOT_INDEXED or kind == "special":
            continue
        # Two string parameters of one expression share their entries.
        if kind == "string" and labels.setdefault(expression, name) != name:
            continue
        found[name] = _digest(VERSION, kind, expression, *more)
    in_patient = compartments()["Patient"].get(type, ())
    found[":pt"] = _digest(ACCESS_VERSION, [[name, table[name]] for name in in_patient if name in table])
    found[":org"] = found[":lb"] = _digest(ACCESS_VERSION)
    if type == "Patient":
        found[":sees"] = _digest(RELATIONS_VERSION)
    return MappingProxyType(found)


def number(digests: Mapping[str, str]) -> int:
    """These digests in one number of 48 bits: the edition a document's entries carry."""
    return int.from_bytes(blake2b(json.dumps(sorted(digests.items())).encode(), digest_size=6).digest(), "big")


def _digest(*rule: Any) -> str:
    return blake2b(json.dumps(rule).encode(), digest_size=6).hexdigest()
