"""SMART Health Links: what a link says, and its picture.

https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html

A link holds the key of its files (jwe.py), its address does not: who serves them needs neither the link nor the key,
and cannot read them. Serving (manifest, passcode, limits) is not part of this library.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_M

from smart_health_cards import base64url, qr, strict_json
from smart_health_cards.error import CardError

__all__ = ["Link", "new_key", "new_token", "png"]

PREFIX = "shlink:/"
MAX_URL = 128
MAX_LABEL = 80
_KEY_BYTES = 32
_KEY_CHARACTERS = 43
_FLAGS = ("", "L", "LP", "LU", "P", "U")
"""L: the files may change. P: a passcode is asked for. U: the address is one file, without a manifest."""
_MAX_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says. `key` is 32 bytes; `expires` are Unix seconds.

    CardError `link-url`, `link-key`, `link-flag`, `link-label`, `link-expires` for what the specification forbids.
    """

    url: str
    key: bytes
    expires: float | None = None
    flags: str = ""
    label: str | None = None

    def __post_init__(self) -> None:
        loopback = self.url.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:"))
        if not (self.url.startswith("https://") or loopback) or len(self.url) > MAX_URL:
            raise CardError("link-url", f"A link's address begins with https:// and has {MAX_URL} characters at most.")
        if len(self.key) != _KEY_BYTES:
            raise CardError("link-key", "A link's key is 32 bytes long.")
        if self.flags not in _FLAGS:
            raise CardError("link-flag", "A link's flags are L, P or U in this order, and U is never with P.")
        if self.label is not None and len(self.label) > MAX_LABEL:
            raise CardError("link-label", f"A link's label has {MAX_LABEL} characters at most.")
        if self.expires is not None and not 0 < self.expires < 100_000_000_000:
            raise CardError("link-expires", "A link expires at a moment in Unix seconds.")

    def __repr__(self) -> str:
        return f"Link({self.flags!r})"

    def text(self) -> str:
        """`shlink:/` and the payload; with a viewer's address and `#` before it, it opens in any browser."""
        payload: dict[str, Any] = {"url": self.url, "key": base64url.encode(self.key)}
        if self.expires is not None:
            payload["exp"] = self.expires
        if self.flags:
            payload["flag"] = self.flags
        if self.label is not None:
            payload["label"] = self.label
        payload["v"] = 1
        return PREFIX + base64url.encode(strict_json.minify(payload))

    @classmethod
    def read(cls, text: str) -> "Link":
        """The link in a text, with or without a viewer's address. CardError `link-malformed` or as above."""
        encoded = text.strip().rpartition(PREFIX)[2]
        if PREFIX not in text or len(text) > _MAX_TEXT:
            raise CardError("link-malformed", "This is no SMART Health Link.")
        payload = strict_json.parse(base64url.decode(encoded), "The link")
        key = payload.get("key")
        if not isinstance(key, str) or len(key) != _KEY_CHARACTERS:
            raise CardError("link-key", "A link's key is 43 characters long.")
        if payload.get("v", 1) != 1:
            raise CardError("link-version", "The link is of a later version of the specification.")
        url, label, expires, flags = (payload.get(name) for name in ("url", "label", "exp", "flag"))
        texts = all(isinstance(value, str) for value in (url or "", label or "", flags or ""))
        number = expires is None or (isinstance(expires, int | float) and not isinstance(expires, bool))
        if not texts or not number or not url:
            raise CardError("link-malformed", "The link's members are not of their types.")
        return cls(str(url), base64url.decode(key), expires, flags or "", label)


def new_key() -> bytes:
    """A key for one link and its files."""
    return secrets.token_bytes(_KEY_BYTES)


def new_token() -> str:
    """The part of a link's address that nobody can guess: 256 bits, 43 characters."""
    return base64url.encode(secrets.token_bytes(32))


def png(text: str, *, scale: int = 6) -> bytes:
    """The QR code of a link, at error correction level M."""
    # Any mask is read by every reader; the search for the best takes four fifths of the time.
    code = QRCode(error_correction=ERROR_CORRECT_M, border=0, mask_pattern=0)
    code.add_data(text)
    code.make()
    return qr.draw_png([[bool(module) for module in row] for row in code.modules], scale)
