"""Secret: 32 random bytes on disk that sign page links and card addresses; 0600 in a 0700 folder, or no start."""

import os
import secrets
import stat
from pathlib import Path

LENGTH = 32


def load_or_create(path: Path) -> bytes:
    """The secret in this file, made on first use. PermissionError if others could read it, ValueError if damaged."""
    # `mode` would hold for the last folder only.
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _require_private(path.parent)
    if not path.exists():
        _create(path)
    _require_private(path)
    secret = path.read_bytes()
    if len(secret) != LENGTH:
        raise ValueError(f"{path} is damaged: {len(secret)} bytes instead of {LENGTH}")
    return secret


def _create(path: Path) -> None:
    # Written aside and linked into place: of several processes one wins, and nobody reads half a secret.
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(LENGTH))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _require_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise PermissionError(f"{path} must not be accessible to others (its mode is {mode:o}); run: chmod go= {path}")
