"""JWT: a signed token of somebody else taken apart, strictly, and its signature verified.

https://www.rfc-editor.org/rfc/rfc8725

JOSE libraries take the last of two members of the same name, and read what a strict reader would not; so header and
payload are read by our own JSON, and only the signature is left to the library.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError
from smart_health_cards import CardError, base64url

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MOST = 16_384


class JwtError(Exception):
    """A token that proves nothing; the sentence says why, in plain ASCII."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token whose signature was not looked at yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def kid(self) -> str:
        """The id of the key that is said to have signed. JwtError where it is missing."""
        kid = self.header.get("kid")
        if not isinstance(kid, str) or not kid:
            raise JwtError("The header names no key (kid).")
        return kid

    def require_signed(self, key: RSAKey | ECKey) -> None:
        """JwtError unless this key signed it."""
        algorithm = str(self.header["alg"])
        try:
            jws.deserialize_compact(self.text, key, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError):
            raise JwtError("The signature does not verify.") from None


def take_apart(text: str, algorithms: frozenset[str], types: frozenset[str] = frozenset({"JWT"})) -> Unverified:
    """Header and claims of a compact JWT of one of these algorithms and types. JwtError for anything else."""
    if len(text) > _MOST or not _COMPACT.fullmatch(text):
        raise JwtError("This is no signed JWT.")
    encoded_header, encoded_claims, _ = text.split(".")
    header, claims = _object(encoded_header, "header"), _object(encoded_claims, "payload")
    if header.get("alg") not in algorithms:
        raise JwtError(f"It must be signed by one of {', '.join(sorted(algorithms))}.")
    if header.get("typ", "JWT") not in types:
        raise JwtError("The header's typ is JWT.")
    if "crit" in header or "b64" in header:
        raise JwtError("The header asks for an extension that is not known here.")
    return Unverified(text, header, claims)


def moment(claims: Mapping[str, Any], name: str) -> int | None:
    """A claim that is a whole number of Unix seconds; None where it is absent. JwtError for anything else."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise JwtError(f"{name} is a whole number of seconds since 1970.")
    return value


def is_for(claims: Mapping[str, Any], audience: str) -> bool:
    """Whether `aud` is this audience, or a list that names it."""
    given = claims.get("aud")
    return given == audience or (isinstance(given, list) and audience in given)


def _object(encoded: str, part: str) -> dict[str, Any]:
    try:
        return json.parse(base64url.decode(encoded))
    except (FhirError, CardError):
        raise JwtError(f"The {part} is no JSON object, or repeats a member.") from None
