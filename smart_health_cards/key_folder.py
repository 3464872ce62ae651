"""KeyFolder: the issuer's keys on disk, each with its times and state.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#key-management

One key is two files: `<kid>.pem` (PKCS #8, 0600) and `<kid>.json` (its public JWK and its times). Every file is
written beside its place, synced and renamed, the private part first, so a crash leaves a whole key or none. Times
are Unix seconds and come from the caller: nothing here reads a clock.
"""

import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from smart_health_cards.error import CardError
from smart_health_cards.keys import PublicKey, SigningKey

__all__ = ["KeyFolder", "KeyRecord", "KeyState"]

KeyState = Literal["published", "active", "retired", "compromised"]
_RID_SECRET = "rid.secret"  # noqa: S105 - the name of the file, not what is in it


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key's public JWK and the moments its state changed.

    A key is published from `created`, signs from `active_from`, no longer from `retired` (the private part is then
    destroyed, the public one stays), and leaves the published set at once when `compromised`.
    """

    kid: str
    jwk: Mapping[str, str]
    created: int
    active_from: int
    retired: int | None = None
    compromised: int | None = None

    def state(self, at: int) -> KeyState:
        """The key's state at the moment `at`."""
        if self.compromised is not None:
            return "compromised"
        if self.retired is not None:
            return "retired"
        return "active" if self.active_from <= at else "published"


class KeyFolder:
    """The keys in one folder (0700, made when absent), for one issuer.

    CardError `key-folder-permissions` when others than the owner may enter the folder or read a private key: the
    keys are then not used at all.
    """

    def __init__(self, folder: Path, passphrase: bytes | None = None) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._opened: dict[str, SigningKey] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _only_owner(folder)

    def generate(self, at: int, publish_ahead: int = 0) -> KeyRecord:
        """Make a key at the moment `at` that signs `publish_ahead` seconds later.

        The first key may sign at once; a later one must be published for at least the max-age of the key set before
        it signs, so that no verifier meets a card whose key it cannot know yet.
        """
        key = SigningKey.generate()
        jwk = {name: str(value) for name, value in key.public.jwk().items()}
        record = KeyRecord(key.kid, jwk, created=at, active_from=at + publish_ahead)
        self._write(f"{key.kid}.pem", key.pem(self._passphrase))
        self._record(record)
        self._opened[key.kid] = key
        return record

    def records(self) -> list[KeyRecord]:
        """Every key ever made here, oldest first."""
        records = [_read(path) for path in self._folder.glob("*.json")]
        return sorted(records, key=lambda record: (record.created, record.kid))

    def signing_key(self, at: int) -> SigningKey:
        """The key that signs at the moment `at`: the active one that became so last. CardError `no-signing-key`."""
        records = self.records()
        active = [record for record in records if record.state(at) == "active"]
        for record in records:
            if record.state(at) in ("retired", "compromised"):
                # Another process may have ended it: its private part is not kept in this one's memory either.
                self._opened.pop(record.kid, None)
        if not active:
            raise CardError("no-signing-key", "The issuer has no active key to sign cards with.")
        newest = max(active, key=lambda record: (record.active_from, record.created, record.kid))
        return self._open(newest.kid)

    def jwks(self, crl_versions: Mapping[str, int] | None = None) -> dict[str, list[dict[str, str | int]]]:
        """The public key set to serve at `<iss>/.well-known/jwks.json`.

        `crl_versions` gives, by kid, the counter of each revocation list that exists.
        """
        versions = crl_versions or {}
        published = [record for record in self.records() if record.compromised is None]
        return {"keys": [PublicKey.from_jwk(key.jwk).jwk(versions.get(key.kid)) for key in published]}

    def retire(self, kid: str, at: int) -> KeyRecord:
        """Destroy the private part; cards signed with it go on verifying. CardError `key-unknown`."""
        return self._end(replace(self._find(kid), retired=at))

    def compromise(self, kid: str, at: int) -> KeyRecord:
        """Destroy the private part and withdraw the public one: no card signed with it verifies any more."""
        return self._end(replace(self._find(kid), compromised=at))

    def rotate(self, at: int, publish_ahead: int) -> tuple[KeyRecord, list[KeyRecord]]:
        """Make the key that signs from `publish_ahead` seconds on, and retire every one that has been succeeded.

        The key that signs now goes on until the new one takes over; the next rotation retires it. The first key of
        all signs at once.
        """
        active = [record for record in self.records() if record.state(at) == "active"]
        newest = max(active, key=lambda record: (record.active_from, record.created, record.kid), default=None)
        made = self.generate(at, publish_ahead if newest is not None else 0)
        return made, [self.retire(record.kid, at) for record in active if record is not newest]

    def encrypt(self, old: bytes | None) -> int:
        """Write every private key under this folder's passphrase that was written under `old`; how many they are.

        CardError `key-passphrase` or `key-unreadable` as soon as one cannot be read; those before it are done, and are
        passed over when it is called again.
        """
        if self._passphrase is None:
            raise CardError("key-passphrase", "There is no passphrase to encrypt the keys under.")
        paths = sorted(self._folder.glob("*.pem"))
        for path in paths:
            _only_owner(path)
            pem = path.read_bytes()
            try:
                SigningKey.from_pem(pem, self._passphrase)
            except CardError:
                self._write(path.name, SigningKey.from_pem(pem, old).pem(self._passphrase))
        return len(paths)

    def rid_secret(self) -> bytes:
        """The 32 bytes revocation identifiers are made with, made on first use and never changed."""
        path = self._folder / _RID_SECRET
        if not path.exists():
            self._write(_RID_SECRET, secrets.token_bytes(32), keep=True)
        _only_owner(path)
        return path.read_bytes()

    def _find(self, kid: str) -> KeyRecord:
        for record in self.records():
            if record.kid == kid:
                return record
        raise CardError("key-unknown", "There is no such key in this folder.")

    def _end(self, record: KeyRecord) -> KeyRecord:
        self._record(record)
        self._opened.pop(record.kid, None)
        (self._folder / f"{record.kid}.pem").unlink(missing_ok=True)
        _sync(self._folder)
        return record

    def _open(self, kid: str) -> SigningKey:
        key = self._opened.get(kid)
        if key is None:
            path = self._folder / f"{kid}.pem"
            try:
                _only_owner(path)
                key = SigningKey.from_pem(path.read_bytes(), self._passphrase)
            except OSError:
                raise CardError("key-unreadable", f"The private key {path.name} cannot be read.") from None
            if key.kid != kid:
                raise CardError("key-unreadable", f"The file {path.name} holds another key than its name says.")
            self._opened[kid] = key
        return key

    def _record(self, record: KeyRecord) -> None:
        self._write(f"{record.kid}.json", json.dumps(asdict(record), indent=1).encode())

    def _write(self, name: str, data: bytes, *, keep: bool = False) -> None:
        target, draft = self._folder / name, self._folder / f".{name}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep:
            _link(draft, target)
        else:
            draft.replace(target)
        _sync(self._folder)


def _link(draft: Path, target: Path) -> None:
    # Two processes may make the secret at the same moment: a link, unlike a rename, lets the first one win.
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read(path: Path) -> KeyRecord:
    try:
        return KeyRecord(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise CardError("key-unreadable", f"The key record {path.name} cannot be read.") from None


def _only_owner(path: Path) -> None:
    if os.name != "posix":  # elsewhere the mode bits say nothing about who may read
        return
    status = path.stat()
    if status.st_mode & 0o077 or status.st_uid != os.geteuid():
        wanted = "0700" if stat.S_ISDIR(status.st_mode) else "0600"
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        text = f"{path} has mode {mode} and must be {wanted}, owned by the user who runs this program."
        raise CardError("key-folder-permissions", text)


def _sync(folder: Path) -> None:
    if os.name != "posix":  # a folder cannot be opened, and so not synced, elsewhere
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
