"""Assertions: a client proves who it is by a JWT it has signed, once.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint
"""

from authlib.oauth2.rfc6749 import InvalidClientError

from fhir_server.access import jwt
from fhir_server.access.authority import Authority
from fhir_server.access.clients import ALGORITHMS
from fhir_server.access.jwt import JwtError, Unverified
from fhir_server.access.key_sets import UnusableKeyError
from fhir_server.store.accounts.clients import RegisteredClient

LONGEST = 300
"""Seconds that an assertion may be valid for."""
LEEWAY = 5
"""Seconds that the client's clock may be ahead."""
_MOST_JTI = 256


async def authenticated(authority: Authority, assertion: str, claimed: str | None) -> RegisteredClient:
    """The client that signed this assertion; `claimed` is the `client_id` sent besides, if any.

    InvalidClientError saying what is wrong with it; FhirError 503.
    """
    try:
        token = jwt.take_apart(assertion, frozenset(ALGORITHMS))
        issuer = token.claims.get("iss")
        if not isinstance(issuer, str) or token.claims.get("sub") != issuer:
            raise JwtError("iss and sub are both the client's id.")
        if claimed is not None and claimed != issuer:
            raise JwtError("client_id is not the client of the assertion.")
        client = await authority.clients.find(issuer)
        if client is None or not client.enabled or client.method != "private_key_jwt":
            raise JwtError("No client that authenticates by assertion has this id.")
        if token.header.get("jku", client.jwks_uri) != client.jwks_uri:
            raise JwtError("jku is not the address of the client's registered key set.")
        key = await authority.key_sets.key(client.jwks, client.jwks_uri, token.kid, str(token.header["alg"]))
        token.require_signed(key)
        await _require_fresh(authority, token, client)
    except (JwtError, UnusableKeyError) as error:
        raise InvalidClientError(description=_plain(str(error))) from None
    return client


async def _require_fresh(authority: Authority, token: Unverified, client: RegisteredClient) -> None:
    now, claims = authority.now(), token.claims
    if not jwt.is_for(claims, authority.token_endpoint):
        raise JwtError(f"aud is the token endpoint, {authority.token_endpoint}.")
    expires = jwt.moment(claims, "exp")
    if expires is None:
        raise JwtError("exp is missing.")
    if expires <= now:
        raise JwtError("The assertion has expired.")
    if expires > now + LONGEST + LEEWAY:
        raise JwtError(f"exp is at most {LONGEST} seconds ahead.")
    for name in ("iat", "nbf"):
        if (jwt.moment(claims, name) or 0) > now + LEEWAY:
            raise JwtError(f"{name} lies in the future.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MOST_JTI:
        raise JwtError(f"jti is a text of at most {_MOST_JTI} characters.")
    # Kept in the database: an assertion is good for one request to one of all processes, also after a restart.
    if not await authority.passing.add("jti", authority.keyed("jti", f"{client.id}|{jti}"), expires + LEEWAY):
        raise JwtError("This jti was used before.")


def _plain(sentence: str) -> str:
    """A sentence in the characters an `error_description` may have."""
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in sentence)
