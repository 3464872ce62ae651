"""Clients: what may be registered, and what a registered client may do at the token endpoint.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin

from fhir_server.access import own_app
from fhir_server.access.key_sets import UnusableKeyError, usable
from fhir_server.store.accounts.clients import RegisteredClient

ROLES = frozenset({"registry", "employer", "analyst", "administrator"})
"""What a client may be that acts by itself."""
ALGORITHMS = ("RS384", "ES384")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
_OURS = "user-"
_NATIVE = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MEMBERS = (
    *("id", "name", "redirect_uris", "scopes", "secret_sha256", "jwks", "jwks_uri"),
    *("organization", "role", "launch_url", "origins", "introspects"),
)


def registered(entry: Mapping[str, Any]) -> RegisteredClient:
    """The client that this registration describes. ValueError with a sentence where it cannot be."""
    if entry.get("id") == own_app.ID:
        raise ValueError(f"{own_app.ID} is the server's own portal; take another id")
    unknown = sorted(set(entry).difference(_MEMBERS))
    if unknown:
        raise ValueError(f"a client has no '{unknown[0]}'; it may have: {', '.join(_MEMBERS)}")
    id = _text(entry, "id")
    if not _ID.fullmatch(id) or id.startswith(_OURS):
        raise ValueError(f"a client's id is made of letters, digits and . _ ~ - (not: {id!r})")
    scopes = entry.get("scopes", "")
    jwks, jwks_uri, secret = entry.get("jwks"), _text(entry, "jwks_uri"), _text(entry, "secret_sha256")
    if sum(map(bool, (jwks, jwks_uri, secret))) > 1:
        raise ValueError(f"client {id}: it authenticates by one of jwks, jwks_uri and secret_sha256")
    if secret and not re.fullmatch(r"[0-9a-f]{64}", secret):
        raise ValueError(f"client {id}: secret_sha256 is the SHA-256 of the secret, 64 hexadecimal digits")
    redirects = _list(entry, "redirect_uris")
    for uri in redirects:
        _require_redirect(id, uri)
    if jwks is not None:
        _require_keys(id, jwks)
    if jwks_uri and not jwks_uri.startswith("https://"):
        raise ValueError(f"client {id}: jwks_uri begins with https://")
    role = _text(entry, "role")
    if role and role not in ROLES:
        raise ValueError(f"client {id}: its role is one of {', '.join(sorted(ROLES))}, not {role!r}")
    method = "private_key_jwt" if jwks or jwks_uri else "client_secret" if secret else "none"
    if role and method == "none":
        raise ValueError(f"client {id}: who acts by itself authenticates, by jwks, jwks_uri or secret_sha256")
    if not role and not redirects:
        raise ValueError(f"client {id}: it needs redirect_uris (an app) or a role (a system that acts by itself)")
    return RegisteredClient(
        id,
        _text(entry, "name") or id,
        method,
        redirects,
        tuple(scopes.split() if isinstance(scopes, str) else _list(entry, "scopes")),
        secret,
        jwks,
        jwks_uri,
        _text(entry, "organization"),
        role,
        _text(entry, "launch_url"),
        _origins(redirects, _list(entry, "origins")),
        entry.get("introspects") is True,
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"a client's {name} is a text, not {value!r}")
    return value


def _list(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = entry.get(name, ())
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"a client's {name} is a list of texts, not {value!r}")
    return tuple(value)


def _require_redirect(id: str, uri: str) -> None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ValueError(f"client {id}: {uri!r} is no address") from None
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    fit = (parts.scheme == "https" and parts.hostname) or loopback or _NATIVE.fullmatch(parts.scheme)
    if not fit or parts.fragment or "#" in uri or "*" in uri or not uri.isascii() or not uri.isprintable():
        raise ValueError(
            f"client {id}: a redirect URI is https, http on loopback, or a scheme with a point (com.example.app:), "
            f"without fragment or wildcard, not {uri!r}"
        )


def _require_keys(id: str, jwks: Any) -> None:
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not keys:
        raise ValueError(f"client {id}: jwks is an object with a list of keys")
    for key in keys:
        if not isinstance(key, Mapping) or not isinstance(key.get("kid"), str):
            raise ValueError(f"client {id}: every key has a kid")
        if "d" in key or key.get("kty") == "oct":
            raise ValueError(f"client {id}: its key set holds a private key; register the public one only")
        try:
            usable(key, "RS384" if key.get("kty") == "RSA" else "ES384")
        except UnusableKeyError as error:
            raise ValueError(f"client {id}, key {key['kid']}: {error}") from None


def _origins(redirects: Sequence[str], listed: Sequence[str]) -> tuple[str, ...]:
    """The listed origins and those of the redirect URIs, where an app's pages lie."""
    found = dict.fromkeys(listed)
    for uri in redirects:
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https"):
            found[f"{parts.scheme}://{parts.netloc}"] = None
    return tuple(found)


def secret_digest(secret: str) -> str:
    """What is kept of a client's secret; a plain digest suffices, for it has 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Asking(ClientMixin):
    """A registered client as Authlib's core asks about it."""

    def __init__(self, registered: RegisteredClient) -> None:
        self.registered = registered
        self.client_id = registered.id

    def get_client_id(self) -> str:
        """Its id."""
        return self.registered.id

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether this is its secret."""
        kept = self.registered.secret
        return bool(kept) and hmac.compare_digest(secret_digest(client_secret), kept)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether it authenticates so."""
        return method == self.registered.method or (
            self.registered.method == "client_secret" and method in ("client_secret_basic", "client_secret_post")
        )

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may ask for tokens in this way."""
        return bool(self.registered.role if grant_type == "client_credentials" else self.registered.redirect_uris)
