"""base64url without padding, read strictly: one text for one sequence of bytes.

https://www.rfc-editor.org/rfc/rfc7515#section-2
"""

import base64
import binascii

from smart_health_cards.error import CardError

__all__ = ["decode", "encode"]


def encode(data: bytes) -> str:
    """The base64url text of `data`, no padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a base64url text; CardError for padding, foreign characters or stray trailing bits.

    The decoder of the standard library is lenient, so the proof of strictness is that encoding gives the same text.
    """
    if "=" in text:
        raise CardError("base64url-padding", "A part of the card ends in padding (=), which cards never carry.")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        data = b""
    if encode(data) != text:
        raise CardError("base64url-invalid", "A part of the card is not base64url text.")
    return data
