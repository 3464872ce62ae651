"""Token keys: the RSA keys that sign id_tokens, in a folder of their own, replaced by themselves.

https://openid.net/specs/openid-connect-core-1_0.html#SigningOrder

Time is cut into periods of PERIOD seconds; a period's key lies in the file `<number>.json`. It is made and published
AHEAD of its period, so that whoever keeps a key set knows it in time, and removed AFTER it. Whichever process needs a
key first makes it: written aside and linked into place, so that of several one wins.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from fhir_server.fhir import json

PERIOD = 90 * 86_400
AHEAD = 86_400
AFTER = 86_400
ALGORITHM = "RS256"
_BITS = 2_048


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys in a folder."""

    folder: Path

    def ensure(self, now: int) -> None:
        """Make the keys that are due at this moment (Unix seconds), remove those that are over.

        PermissionError where others could read a key.
        """
        for parent in (self.folder.parent, self.folder):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private(self.folder)
        for period in {now // PERIOD, (now + AHEAD) // PERIOD}:
            if not self._path(period).exists():
                _create(self._path(period))
        for path in self.folder.glob("*.json"):
            _require_private(path)
            if path.stem.isdigit() and (int(path.stem) + 1) * PERIOD + AFTER < now:
                path.unlink(missing_ok=True)

    def published(self, now: int) -> dict[str, Any]:
        """The key set as others see it."""
        self.ensure(now)
        return {"keys": [_public(self._read(path)) for path in sorted(self.folder.glob("*.json"))]}

    def sign(self, claims: Mapping[str, Any], now: int) -> str:
        """These claims as a signed JWT."""
        self.ensure(now)
        key = self._read(self._path(now // PERIOD))
        return jwt.encode({"alg": ALGORITHM, "kid": key.thumbprint()}, dict(claims), key, algorithms=[ALGORITHM])

    def _path(self, period: int) -> Path:
        return self.folder / f"{period}.json"

    def _read(self, path: Path) -> RSAKey:
        return RSAKey.import_key(json.parse(path.read_bytes()))


def _public(key: RSAKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}


def _create(path: Path) -> None:
    aside = path.with_name(f"{path.stem}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, json.dump(RSAKey.generate_key(_BITS, private=True).as_dict(private=True)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()


def _require_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise PermissionError(f"{path} must not be accessible to others (its mode is {mode:o}); run: chmod go= {path}")
