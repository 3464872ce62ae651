"""Key sets: the public keys of clients and of an OpenID provider elsewhere, inline or fetched and kept for a while.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_server.access.outbound import Outbound, OutboundError
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from smart_health_cards import CardError, base64url

KEPT_SECONDS = 300.0
AGAIN_SECONDS = 10.0
"""A key id not in the kept set makes it be fetched again, but not more often than this."""

_MIN_RSA_BITS = 2_048
_CURVES = {"ES256": "P-256", "ES384": "P-384"}


class UnusableKeyError(Exception):
    """There is no key to verify with; the sentence says why."""


@dataclass(slots=True)
class _Fetched:
    keys: list[Mapping[str, Any]]
    at: float


@dataclass(slots=True)
class KeySets:
    """Key sets by address, fetched over `outbound`. `clock` gives seconds that only go forward."""

    outbound: Outbound
    clock: Callable[[], float] = time.monotonic
    _fetched: dict[str, _Fetched] = field(default_factory=dict)

    async def key(self, jwks: Mapping[str, Any] | None, uri: str, kid: str, alg: str) -> RSAKey | ECKey:
        """The one key of this set with this id, fit for this algorithm. UnusableKeyError for none, or several."""
        keys = _keys(jwks) if jwks is not None else await self._at(uri, kid)
        named = [key for key in keys if key.get("kid") == kid]
        if len(named) != 1:
            found = "no key" if not named else "several keys"
            raise UnusableKeyError(f"The client's key set has {found} with the id that the header names.")
        return usable(named[0], alg)

    async def _at(self, uri: str, kid: str) -> list[Mapping[str, Any]]:
        now, kept = self.clock(), self._fetched.get(uri)
        if kept is not None:
            age = now - kept.at
            known = any(key.get("kid") == kid for key in kept.keys)
            if age < (KEPT_SECONDS if known else AGAIN_SECONDS):
                return kept.keys
        try:
            keys = _keys(json.parse(await self.outbound.get(uri)))
        except OutboundError as error:
            raise UnusableKeyError(f"The client's key set cannot be had: {error}") from None
        except FhirError:
            raise UnusableKeyError("What is at the address of the client's key set is no JSON object.") from None
        self._fetched[uri] = _Fetched(keys, now)
        return keys


def usable(jwk: Mapping[str, Any], alg: str) -> RSAKey | ECKey:
    """A JWK as a key that verifies this algorithm. UnusableKeyError for another kind, too few bits, a private one."""
    wanted = "RSA" if alg.startswith("RS") else "EC"
    if jwk.get("kty") != wanted or jwk.get("alg", alg) != alg or jwk.get("use", "sig") != "sig":
        raise UnusableKeyError(f"The key is not one for {alg}.")
    if "verify" not in jwk.get("key_ops", ["verify"]) or "d" in jwk:
        raise UnusableKeyError("The key is not a public key to verify with.")
    try:
        if wanted == "RSA":
            # Before the library does, which would only warn.
            modulus = jwk["n"]
            if not isinstance(modulus, str):
                raise UnusableKeyError("The key is malformed.")
            if int.from_bytes(base64url.decode(modulus)).bit_length() < _MIN_RSA_BITS:
                raise UnusableKeyError(f"An RSA key has at least {_MIN_RSA_BITS} bits.")
            return RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
        if jwk.get("crv") != _CURVES.get(alg):
            raise UnusableKeyError(f"A key for {alg} lies on {_CURVES.get(alg)}.")
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    except (JoseError, CardError, ValueError, TypeError, LookupError):
        raise UnusableKeyError("The key is malformed.") from None


def _keys(jwks: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, Mapping) for key in keys):
        raise UnusableKeyError("A key set is an object with a list of keys.")
    return keys
