"""The compact JWS of a card: put together, taken apart, signed, checked.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#health-cards-are-encoded-as-compact-serialization-json-web-signatures-jws

No JOSE library builds it: their decoders take padding and stray bits, they know no `zip` for signatures, and with a
registry of headers each operation costs twice the bare signature.
"""

from functools import lru_cache
from typing import NamedTuple

from smart_health_cards import base64url, strict_json
from smart_health_cards.error import CardError
from smart_health_cards.keys import SigningKey

__all__ = ["MAX_CHARACTERS", "MAX_QR_CHARACTERS", "Parts", "length", "sign", "signing_input", "split"]

MAX_QR_CHARACTERS = 1195
"""The longest JWS that one QR code of version 22 at level L holds."""

MAX_CHARACTERS = 100_000
"""A longer text is not even taken apart: 64 KB of claims stay below this however badly they compress."""

_SIGNATURE_CHARACTERS = 86  # 64 bytes in base64url


class Parts(NamedTuple):
    """A JWS taken apart: nothing in it is proved yet. `kid` is from the header, `payload` still compressed."""

    kid: str
    payload: bytes
    signature: bytes
    signing_input: bytes


def signing_input(kid: str, payload: bytes) -> bytes:
    """What the signature covers. The header is exactly zip, alg, kid in this order, so the length is predictable."""
    header = f'{{"zip":"DEF","alg":"ES256","kid":"{kid}"}}'
    return f"{base64url.encode(header.encode())}.{base64url.encode(payload)}".encode()


def length(signing_input: bytes) -> int:
    """The number of characters of the JWS to come, known before anything is signed."""
    return len(signing_input) + 1 + _SIGNATURE_CHARACTERS


def sign(data: bytes, key: SigningKey) -> str:
    """Sign, then verify the signature just made, and only then hand the JWS out (CardError `self-check-failed`)."""
    signature = key.sign(data)
    if not key.public.verifies(signature, data):
        raise CardError("self-check-failed", "The signature just made does not verify, so the card is not released.")
    return f"{data.decode()}.{base64url.encode(signature)}"


def split(text: str) -> Parts:
    """Take a JWS apart and check its header; CardError says which rule it breaks."""
    if len(text) > MAX_CHARACTERS:
        raise CardError("jws-too-long", f"The card is longer than {MAX_CHARACTERS} characters.")
    parts = text.split(".")
    if len(parts) != 3:
        raise CardError("jws-not-compact", "This is not a SMART Health Card: a card has three parts joined by dots.")
    return Parts(
        kid=_known(parts[0]) if len(parts[0]) <= _USUAL_HEADER else _kid(parts[0]),
        payload=base64url.decode(parts[1]),
        signature=base64url.decode(parts[2]),
        signing_input=f"{parts[0]}.{parts[1]}".encode(),
    )


def _kid(encoded: str) -> str:
    header = strict_json.parse(base64url.decode(encoded), "The header")
    algorithm, kid = header.get("alg"), header.get("kid")
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        raise CardError("alg-none", "The card says it is not signed (alg none).")
    if algorithm != "ES256":
        raise CardError("alg-not-es256", "The card is not signed with ES256, the only algorithm cards may use.")
    if header.get("zip") != "DEF":
        raise CardError("zip-not-def", "The header does not say that the content is compressed with DEFLATE.")
    if not isinstance(kid, str) or not kid:
        raise CardError("kid-missing", "The header does not name the key (kid).")
    if "crit" in header or "b64" in header:
        raise CardError("header-extension", "The header asks for a JWS extension, which cards never use.")
    return kid


_USUAL_HEADER = 200
# All cards of a key have the same header, so it is read once.
_known = lru_cache(256)(_kid)
