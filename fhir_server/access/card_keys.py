"""Card keys: where the signing keys of each issuer lie on disk, and under which passphrase.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#key-management
"""

import stat
from pathlib import Path

from smart_health_cards import KeyFolder


def folder(data: Path, tenant: str | None = None, passphrase_file: Path | None = None) -> KeyFolder:
    """The keys of the server's own issuer, or of a tenant's, in this data folder; made when absent.

    CardError or PermissionError where others could read a key or the passphrase; ValueError for an empty passphrase.
    """
    keys = data / "keys"
    place = keys / "cards" if tenant is None else keys / "tenants" / tenant
    for parent in (keys, place.parent):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return KeyFolder(place, None if passphrase_file is None else passphrase(passphrase_file))


def passphrase(path: Path) -> bytes:
    """The first line of a file that only its owner may read. PermissionError, ValueError where it is empty."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise PermissionError(f"{path} must not be accessible to others (its mode is {mode:o}); run: chmod go= {path}")
    line = path.read_bytes().partition(b"\n")[0].rstrip(b"\r")
    if not line:
        raise ValueError(f"{path} begins with an empty line; the passphrase belongs there")
    return line
