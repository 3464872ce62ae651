"""Passwords: argon2id, at the cost OWASP gives as its first choice of memory and time.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
"""

import asyncio
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

SHORTEST = 10
LONGEST = 256
"""Characters; more would only make the server work."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_at_a_time = asyncio.Semaphore(2)
"""Each takes 19 MB and tens of milliseconds of a core."""


async def hashed(password: str) -> str:
    """What is stored of a password. ValueError where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    async with _at_a_time:
        return await asyncio.to_thread(_hasher.hash, _normal(password))


async def matches(kept: str, password: str) -> bool:
    """Whether this is the password. Takes as long where there is none (`kept` empty), and is False then."""
    if len(password) > LONGEST:
        return False
    async with _at_a_time:
        # Asked for in any case: who is the first to log in after a start must not tell whether there is a password.
        nobody = await asyncio.to_thread(_nobody)
        same = await asyncio.to_thread(_verified, kept or nobody, _normal(password))
    return same and bool(kept)


@cache
def _nobody() -> str:
    return _hasher.hash("nobody")


def _verified(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (Argon2Error, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """One form for letters that keyboards compose in several ways."""
    return unicodedata.normalize("NFC", password)
