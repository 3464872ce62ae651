"""TrustList: the issuers a verifier trusts, with their keys and revocation lists.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#trust

It is filled from a directory snapshot (`issuerInfo`, as the VCI directory publishes it) or from one issuer's key
set. Nothing is ever fetched: what is not in the list is unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smart_health_cards import base64url, strict_json
from smart_health_cards.error import CardError
from smart_health_cards.issuer import check_iss, is_loopback
from smart_health_cards.keys import PublicKey
from smart_health_cards.revocation import RevocationList
from smart_health_cards.shape import is_text, members, objects

__all__ = ["Skipped", "TrustList", "TrustedIssuer", "TrustedKey"]


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key and what is known of its revocations: the counter its issuer publishes, and the list at hand, if any."""

    key: PublicKey
    crl_version: int | None = None
    revocations: RevocationList | None = None


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer with its keys by kid. `trusted` is False when its keys are known but its word is not to be taken."""

    iss: str
    name: str
    keys: Mapping[str, TrustedKey]
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that was not taken over, and why: one bad entry does not spoil a directory of hundreds."""

    iss: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TrustList:
    """Issuers by iss."""

    issuers: Mapping[str, TrustedIssuer] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def from_snapshot(cls, snapshot: bytes | Mapping[str, Any]) -> "TrustList":
        """The issuers in a directory snapshot; CardError `snapshot-invalid` when it is none at all."""
        document = strict_json.parse(snapshot, "The snapshot") if isinstance(snapshot, bytes) else snapshot
        if not isinstance(document.get("issuerInfo"), list):
            raise CardError("snapshot-invalid", "The directory snapshot has no issuerInfo.")
        trust = cls()
        for info in objects(document["issuerInfo"]):
            issuer = members(info.get("issuer"))
            iss = str(issuer.get("iss", ""))
            try:
                check_iss(iss)
            except CardError as error:
                trust |= cls({}, (Skipped(iss, error.code, error.text),))
                continue
            name = issuer["name"] if is_text(issuer.get("name")) else iss
            trust |= cls._of(iss, name, objects(info.get("keys")), objects(info.get("crls")), trusted=True)
        return trust

    @classmethod
    def from_signed_snapshot(cls, signed: bytes, key: PublicKey) -> "TrustList":
        """The issuers in a directory snapshot that is the payload of a compact JWS (ES256, not compressed).

        CardError `snapshot-not-signed` unless `key` signed it, as well as those of `from_snapshot`.
        """
        parts = signed.decode("ascii", "replace").strip().split(".")
        if len(parts) == 3:
            header = strict_json.parse(base64url.decode(parts[0]), "The header of the snapshot")
            plain = header.get("alg") == "ES256" and not header.keys() & {"zip", "crit", "b64"}
            if plain and key.verifies(base64url.decode(parts[2]), f"{parts[0]}.{parts[1]}".encode()):
                return cls.from_snapshot(base64url.decode(parts[1]))
        raise CardError("snapshot-not-signed", "The directory snapshot is not signed with the key it should be.")

    @classmethod
    def from_jwks(
        cls,
        iss: str,
        jwks: bytes | Mapping[str, Any],
        *,
        name: str | None = None,
        revocations: Iterable[Mapping[str, Any]] = (),
        trusted: bool = True,
    ) -> "TrustList":
        """One issuer from its published key set and revocation lists; CardError for a bad iss or no key set.

        `trusted=False` only lets signatures be checked: the verdict on trust stays negative.
        """
        document = strict_json.parse(jwks, "The key set") if isinstance(jwks, bytes) else jwks
        if not is_loopback(iss):
            check_iss(iss)
        if not isinstance(document.get("keys"), list):
            raise CardError("jwks-invalid", "The key set has no keys.")
        return cls._of(iss, name or iss, objects(document["keys"]), revocations, trusted=trusted)

    def __or__(self, other: "TrustList") -> "TrustList":
        """Both lists in one; for an issuer in both, the keys of both, the other's word about name and trust."""
        issuers = dict(self.issuers)
        for iss, issuer in other.issuers.items():
            known = issuers[iss].keys if iss in issuers else {}
            issuers[iss] = TrustedIssuer(iss, issuer.name, {**known, **issuer.keys}, issuer.trusted)
        return TrustList(issuers, self.skipped + other.skipped)

    @classmethod
    def _of(
        cls,
        iss: str,
        name: str,
        jwks: Iterable[Mapping[str, Any]],
        lists: Iterable[Mapping[str, Any]],
        *,
        trusted: bool,
    ) -> "TrustList":
        skipped: list[Skipped] = []
        revocations: dict[str, RevocationList] = {}
        for document in lists:
            try:
                known = RevocationList.read(document)
            except CardError as error:
                skipped.append(Skipped(iss, error.code, error.text))
            else:
                revocations[known.kid] = known
        keys: dict[str, TrustedKey] = {}
        for jwk in jwks:
            try:
                key = PublicKey.from_jwk(jwk)
            except CardError as error:
                skipped.append(Skipped(iss, error.code, error.text))
            else:
                keys[key.kid] = TrustedKey(key, _counter(jwk.get("crlVersion")), revocations.get(key.kid))
        return cls({iss: TrustedIssuer(iss, name, keys, trusted)}, tuple(skipped))


def _counter(value: object) -> int | None:
    """A crlVersion, which some issuers publish as a string; None when there is none."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
