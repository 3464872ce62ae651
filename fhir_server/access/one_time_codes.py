"""One-time codes: short enough to be read out, written on paper and typed in, long enough not to be guessed.

https://pages.nist.gov/800-63-4/sp800-63b.html#lookupsecrets
"""

import secrets

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that are read as another."""
_LENGTH = 12
_GROUP = 4


def new() -> str:
    """A code of 60 random bits, as it is kept: never itself, but a digest of it."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def shown(code: str) -> str:
    """The code as people are told it: ABCD-EFGH-JKLM."""
    return "-".join(code[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def typed(text: str) -> str:
    """The code that somebody has typed, whatever stands between its letters."""
    return "".join(each for each in text.upper() if each.isalnum())
