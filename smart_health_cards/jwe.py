"""The compact JWE a link's file travels in: encrypted with the link's key itself (`dir`), by AES-256-GCM.

https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html#encrypting-and-decrypting-files
"""

import secrets
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smart_health_cards import base64url, strict_json
from smart_health_cards.error import CardError

__all__ = ["MAX_BYTES", "decrypt", "encrypt"]

MAX_BYTES = 16 * 1024 * 1024
"""A file that inflates to more is refused."""

_KEY, _VECTOR, _TAG = 32, 12, 16  # bytes
_RAW = -zlib.MAX_WBITS


def encrypt(data: bytes, content_type: str, key: bytes, *, deflate: bool = False) -> str:
    """A file as a compact JWE, with a fresh initialisation vector each time. `key` is 32 bytes."""
    header = {"alg": "dir", "enc": "A256GCM", "cty": content_type}
    if deflate:
        header["zip"] = "DEF"
        stream = zlib.compressobj(9, zlib.DEFLATED, _RAW)
        data = stream.compress(data) + stream.flush()
    protected = base64url.encode(strict_json.minify(header))
    vector = secrets.token_bytes(_VECTOR)
    sealed = AESGCM(key).encrypt(vector, data, protected.encode())
    parts = (base64url.encode(part) for part in (vector, sealed[:-_TAG], sealed[-_TAG:]))
    return ".".join([protected, "", *parts])  # between them would be the encrypted key, which `dir` has none of


def decrypt(text: str, key: bytes) -> tuple[str, bytes]:
    """The content type and the file.

    CardError `file-undecryptable` for another key, another algorithm or a changed text, `file-too-large` above
    MAX_BYTES.
    """
    try:
        return _opened(text, key)
    except (InvalidTag, ValueError, zlib.error):
        raise CardError("file-undecryptable", "The file cannot be decrypted with the link's key.") from None


def _opened(text: str, key: bytes) -> tuple[str, bytes]:
    protected, encrypted_key, *rest = text.split(".")
    try:
        header = strict_json.parse(base64url.decode(protected), "The header")
        vector, sealed, tag = (base64url.decode(part) for part in rest)
    except CardError as error:
        raise ValueError(error.text) from None
    usual = header.get("alg") == "dir" and header.get("enc") == "A256GCM" and "crit" not in header
    if not usual or header.get("zip", "DEF") != "DEF" or encrypted_key:
        raise ValueError(header)
    if (len(key), len(vector), len(tag)) != (_KEY, _VECTOR, _TAG):
        raise ValueError(text)
    data = AESGCM(key).decrypt(vector, sealed + tag, protected.encode())
    return str(header.get("cty", "")), _inflated(data) if "zip" in header else data


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj(_RAW)
    inflated = stream.decompress(data, MAX_BYTES)
    if stream.unconsumed_tail:
        raise CardError("file-too-large", "The file inflates to more than 16 MB.")
    if not stream.eof or stream.unused_data:
        raise ValueError(len(data))
    return inflated
