"""The payload of a card: minified JSON claims under raw DEFLATE.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#health-cards-are-compact
"""

import zlib
from typing import Any

from smart_health_cards import strict_json
from smart_health_cards.error import CardError

__all__ = ["MAX_BYTES", "pack", "unpack"]

MAX_BYTES = 64 * 1024
"""No payload may inflate to more than this; a real card that fits a QR code stays below 4 KB."""

_RAW = -zlib.MAX_WBITS


def pack(claims: dict[str, Any]) -> bytes:
    """Minify and compress; CardError `payload-too-large` above MAX_BYTES."""
    data = strict_json.minify(claims)
    if len(data) > MAX_BYTES:
        raise CardError("payload-too-large", "The content of the card is larger than 64 KB.")
    stream = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    return stream.compress(data) + stream.flush()


def unpack(data: bytes) -> dict[str, Any]:
    """The claims in a compressed payload; never inflates more than MAX_BYTES. CardError says what is wrong."""
    return strict_json.parse(_inflate(data), "The payload")


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj(_RAW)
    try:
        inflated = stream.decompress(data, MAX_BYTES + 1)
    except zlib.error:
        raise _not_raw_deflate(data) from None
    if len(inflated) > MAX_BYTES:
        raise CardError("payload-too-large", "The content of the card inflates to more than 64 KB.")
    if not stream.eof:
        raise CardError("payload-truncated", "The compressed content of the card is cut short.")
    if stream.unused_data:
        raise CardError("payload-trailing-data", "Bytes follow the end of the compressed content of the card.")
    return inflated


def _not_raw_deflate(data: bytes) -> CardError:
    if data[:2] == b"\x1f\x8b":
        return CardError("payload-gzip-wrapped", "The content of the card has a gzip header; cards use raw DEFLATE.")
    if len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0:
        return CardError("payload-zlib-wrapped", "The content of the card has a zlib header; cards use raw DEFLATE.")
    return CardError("payload-not-deflate", "The content of the card is not compressed with DEFLATE.")
