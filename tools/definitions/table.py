"""A committed table: compact, sorted JSON in gzip that is the same at every run.

https://hl7.org/fhir/R4/definitions.html
"""

import gzip
import json
from typing import Any


def packed(value: Any) -> bytes:
    """`value` as gzip JSON: members sorted, no white space, no time stamp. Lists keep their order."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def same(one: bytes, other: bytes) -> bool:
    """Whether two files hold the same content: zlib versions may compress the same table to different bytes."""
    return one == other or content(one) == content(other)


def content(data: bytes) -> bytes:
    """The bytes inside, whether or not they are compressed."""
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
