"""base64url without padding, read strictly: one text for one sequence of bytes.

https://www.rfc-editor.org/rfc/rfc7515#section-2
"""

import binascii

from smart_health_cards.error import CardError

__all__ = ["decode", "encode"]


def encode(data: bytes) -> str:
    """The base64url text of `data`, no padding."""
    return _encoded(data).decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a base64url text; CardError for padding, foreign characters or stray trailing bits.

    The decoder of the standard library is lenient, so the proof of strictness is that encoding gives the same text.
    """
    try:
        encoded = text.encode("ascii")
        data = binascii.a2b_base64(encoded.translate(_TO_STANDARD) + b"=" * (-len(encoded) % 4))
        if _encoded(data) == encoded:
            return data
    except ValueError:
        pass
    if "=" in text:
        raise CardError("base64url-padding", "A part of the card ends in padding (=), which cards never carry.")
    raise CardError("base64url-invalid", "A part of the card is not base64url text.")


def _encoded(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=")


_FROM_STANDARD, _TO_STANDARD = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
