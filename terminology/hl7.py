"""HL7's terminology as generated from the R4 definitions and US Core: loaded whole, read piece by piece.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

import gzip
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

Type = Literal["CodeSystem", "ValueSet", "ConceptMap"]

_decoder = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])


def canonicals(kind: Type) -> Iterator[tuple[str, str]]:
    """(URL, version) of everything of that type."""
    for canonical in _table()[kind]:
        url, _, version = canonical.partition("|")
        yield url, version


def resource(kind: Type, url: str, version: str) -> dict[str, Any]:
    """The reduced resource. KeyError where there is none."""
    found: dict[str, Any] = msgspec.json.decode(_table()[kind][f"{url}|{version}"])
    return found


@cache
def _table() -> Mapping[str, Mapping[str, msgspec.Raw]]:
    return _decoder.decode(gzip.decompress((files("terminology") / "data" / "hl7.json.gz").read_bytes()))
