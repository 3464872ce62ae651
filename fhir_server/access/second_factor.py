"""Second factor: the time-based codes of an authenticator app, each accepted once.

https://www.rfc-editor.org/rfc/rfc6238

The secrets must be known in the clear to look at a code, so they cannot be kept as digests; they are sealed under a key
that lies with the other keys, not in the database.
"""

import hmac
from base64 import urlsafe_b64encode

import pyotp
from cryptography.fernet import Fernet, InvalidToken
from pyotp.totp import TOTP

STEP = 30
"""Seconds a code is shown."""
_EARLIER_AND_LATER = (0, -1, 1)


def new_secret() -> str:
    """A secret for an authenticator app, 160 random bits in base32."""
    return pyotp.random_base32()


def sealed(secret: str, key: bytes) -> str:
    """The secret as it is kept; `key` has 32 bytes."""
    return _box(key).encrypt(secret.encode()).decode()


def opened(kept: str, key: bytes) -> str:
    """The secret that is kept so; empty where another key sealed it, so that no code is right."""
    try:
        return _box(key).decrypt(kept.encode()).decode()
    except InvalidToken:
        return ""


def _box(key: bytes) -> Fernet:
    return Fernet(urlsafe_b64encode(hmac.digest(key, b"second factor", "sha256")))


def address(secret: str, login: str, issuer: str) -> str:
    """The otpauth: address that an authenticator app reads from a QR code."""
    return TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def step_of(secret: str, code: str, now: int) -> int | None:
    """The step whose code this is, at this moment (Unix seconds) or one step beside it; None where it is none."""
    given = code.replace(" ", "")
    if not secret or not (given.isascii() and given.isdigit()):
        return None
    steps = (now // STEP + beside for beside in _EARLIER_AND_LATER)
    return next((step for step in steps if hmac.compare_digest(code_of(secret, step), given)), None)


def code_of(secret: str, step: int) -> str:
    """The code that an authenticator app shows in this step."""
    return TOTP(secret, interval=STEP).generate_otp(step)
