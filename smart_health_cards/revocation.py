"""Revocation identifiers (rid) and the card revocation list of a key.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#revocation
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smart_health_cards import base64url
from smart_health_cards.error import CardError

__all__ = ["RevocationList", "is_rid", "rid"]

_RID = re.compile(r"[A-Za-z0-9_-]{1,24}")
_ENTRY = re.compile(r"([A-Za-z0-9_-]{1,24})(?:\.([0-9]{1,12}(?:\.[0-9]{1,9})?))?")
_SECRET_BYTES = 32
_RID_BYTES = 8  # the first 64 bits: eleven characters


def rid(secret: bytes, kid: str, subject: str) -> str:
    """The eleven characters under which the cards of `subject` signed with the key `kid` are revoked.

    `secret` is 32 random bytes used for nothing else; `subject` names what is revoked together, such as a patient's
    id and a disease group. Nobody without the secret gets from the rid to the subject.
    """
    if len(secret) != _SECRET_BYTES:
        raise CardError("rid-secret-length", "The secret for revocation identifiers is 32 bytes long.")
    digest = hmac.new(secret + kid.encode(), subject.encode(), hashlib.sha256).digest()
    return base64url.encode(digest[:_RID_BYTES])


def is_rid(value: object) -> bool:
    """Whether `value` may stand in a card as its rid: 1 to 24 characters of the base64url alphabet."""
    return isinstance(value, str) and _RID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The revoked cards of one key. `ctr` counts the changes and equals the key's crlVersion.

    `rids` maps a rid to the moment (Unix seconds) before which its cards are revoked, or None: all of them, for ever.
    """

    kid: str
    ctr: int
    rids: Mapping[str, float | None]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "RevocationList":
        """A published list; a counter in a string is tolerated. CardError `revocation-list-invalid` otherwise."""
        kid, ctr, entries = document.get("kid"), document.get("ctr"), document.get("rids")
        if isinstance(ctr, str) and re.fullmatch(r"[0-9]{1,12}", ctr):
            ctr = int(ctr)
        if not isinstance(kid, str) or type(ctr) is not int or not isinstance(entries, list):
            raise CardError("revocation-list-invalid", "The revocation list lacks kid, ctr or rids.")
        if document.get("method", "rid") != "rid":
            raise CardError("revocation-list-method", "The revocation list is not one of rids.")
        rids: dict[str, float | None] = {}
        for entry in entries:
            match = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
            if match is None:
                raise CardError("revocation-list-invalid", "The revocation list holds an entry that is not a rid.")
            before = None if match[2] is None else float(match[2])
            known = rids.get(match[1], 0.0)
            rids[match[1]] = None if before is None or known is None else max(before, known)
        return cls(kid, ctr, rids)

    def revokes(self, rid: str, not_before: float) -> bool:
        """Whether a card with this rid, valid since `not_before` (its nbf), is revoked."""
        if rid not in self.rids:
            return False
        before = self.rids[rid]
        return before is None or not_before < before

    def revoke(self, rid: str, before: int) -> "RevocationList":
        """The list after revoking the cards of `rid` issued before the moment `before`; a later moment stays.

        A card issued in its place should be dated later than `before`, not at it: some verifiers refuse both.
        """
        known = self.rids.get(rid, 0)
        if known is None or (rid in self.rids and known >= before):
            return self
        return RevocationList(self.kid, self.ctr + 1, {**self.rids, rid: before})

    def document(self) -> dict[str, Any]:
        """The list as it is published at `<iss>/.well-known/crl/<kid>.json`."""
        rids = [rid if before is None else f"{rid}.{before:.15g}" for rid, before in self.rids.items()]
        return {"kid": self.kid, "method": "rid", "ctr": self.ctr, "rids": rids}
