"""The keys of an issuer: SigningKey (private) and PublicKey, both ES256 on P-256.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#generating-and-resolving-cryptographic-keys
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from smart_health_cards import base64url, strict_json
from smart_health_cards.error import CardError

__all__ = ["PublicKey", "SigningKey"]

_ES256 = ec.ECDSA(hashes.SHA256())
_COORDINATE = 32  # bytes of r, s, x and y on P-256


class PublicKey:
    """What a verifier knows of a key: `kid` is the RFC 7638 thumbprint of the point, never a name somebody chose."""

    def __init__(self, point: ec.EllipticCurvePublicKey) -> None:
        self._point = point
        numbers = point.public_numbers()
        self._x, self._y = (base64url.encode(n.to_bytes(_COORDINATE, "big")) for n in (numbers.x, numbers.y))
        # The members in this order: what is hashed is a text.
        members = {"crv": "P-256", "kty": "EC", "x": self._x, "y": self._y}
        self.kid = base64url.encode(hashlib.sha256(strict_json.minify(members)).digest())

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "PublicKey":
        """The key in a published JWK; CardError when it breaks what the specification says of such keys."""
        expected = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256"}
        for member, value in expected.items():
            if jwk.get(member) != value:
                raise CardError("jwk-not-es256", f"The published key's {member} is not {value}.")
        if "d" in jwk:
            raise CardError("jwk-private", "The published key gives its private part away, so it proves nothing.")
        x, y = _coordinate(jwk, "x"), _coordinate(jwk, "y")
        try:
            key = cls(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        except ValueError:
            raise CardError("jwk-invalid", "The published key is not a point of the curve P-256.") from None
        if jwk.get("kid") != key.kid:
            raise CardError("kid-not-thumbprint", "The published key's kid is not its thumbprint.")
        return key

    def jwk(self, crl_version: int | None = None) -> dict[str, str | int]:
        """The JWK to publish: exactly kty, use, alg, crv, x, y, kid, and crlVersion where one is given."""
        jwk: dict[str, str | int] = {
            "kty": "EC",
            "use": "sig",
            "alg": "ES256",
            "crv": "P-256",
            "x": self._x,
            "y": self._y,
            "kid": self.kid,
        }
        if crl_version is not None:
            jwk["crlVersion"] = crl_version
        return jwk

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` (64 bytes, r || s) is this key's signature of `data`."""
        if len(signature) != 2 * _COORDINATE:
            return False
        r, s = int.from_bytes(signature[:_COORDINATE], "big"), int.from_bytes(signature[_COORDINATE:], "big")
        try:
            self._point.verify(utils.encode_dss_signature(r, s), data, _ES256)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key that signs cards; its public part is `public`."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP256R1):
            raise CardError("key-not-p256", "Cards are signed with keys on the curve P-256 only.")
        self._private = private
        self.public = PublicKey(private.public_key())
        self.kid = self.public.kid

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key from the operating system's source of randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None = None) -> "SigningKey":
        """The key in a PEM (PKCS #8, encrypted or not); CardError `key-passphrase` or `key-unreadable`."""
        try:
            private = serialization.load_pem_private_key(pem, passphrase)
        except TypeError:
            # cryptography's way to say: a passphrase was given for a plain key, or none for an encrypted one.
            raise CardError("key-passphrase", _PASSPHRASE[passphrase is None]) from None
        except (ValueError, UnsupportedAlgorithm):
            text = "The private key cannot be read: it is damaged, or the passphrase is wrong."
            raise CardError("key-unreadable", text) from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise CardError("key-not-p256", "Cards are signed with keys on the curve P-256 only.")
        return cls(private)

    def pem(self, passphrase: bytes | None = None) -> bytes:
        """PKCS #8 PEM, encrypted when a passphrase is given."""
        protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            protection = serialization.BestAvailableEncryption(passphrase)
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)

    def sign(self, data: bytes) -> bytes:
        """The ES256 signature of `data` as JOSE wants it: 64 bytes, r || s (cryptography speaks DER)."""
        r, s = utils.decode_dss_signature(self._private.sign(data, _ES256))
        return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")


def _coordinate(jwk: Mapping[str, Any], member: str) -> int:
    written = jwk.get(member)
    coordinate = base64url.decode(written) if isinstance(written, str) else b""
    if len(coordinate) != _COORDINATE:
        raise CardError("jwk-invalid", f"The published key's {member} is not a coordinate of {_COORDINATE} bytes.")
    return int.from_bytes(coordinate, "big")


_PASSPHRASE = {
    True: "The private key is encrypted and no passphrase was given.",
    False: "A passphrase was given, but the private key is not encrypted.",
}
