"""Systems: client assertions, right ones and wrong ones, and the token they are given for."""

import secrets
import time
from typing import Any

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from fhir_server.fhir import json

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = "https://fhir.example/oauth/token"


def claims(client: str = "mercy", **more: Any) -> dict[str, Any]:
    """What an assertion says; None leaves a claim out."""
    now = int(time.time())
    given = {"iss": client, "sub": client, "aud": TOKEN, "exp": now + 240, "jti": secrets.token_hex(8), **more}
    return {name: claim for name, claim in given.items() if claim is not None}


def signed(key: RSAKey | ECKey, payload: bytes | dict[str, Any], alg: str = "", **header: Any) -> str:
    """An assertion signed by this key."""
    named = alg or ("RS384" if isinstance(key, RSAKey) else "ES384")
    protected = {"alg": named, "kid": key.kid, "typ": "JWT", **header}
    content = payload if isinstance(payload, bytes) else json.dump(payload)
    given = {name: value for name, value in protected.items() if value is not None}
    text: str = jws.serialize_compact(given, content, key, algorithms=[named])
    return text


async def ask(http: httpx.AsyncClient, assertion: str, scope: str = "system/*.rs", **more: str) -> httpx.Response:
    """Ask for a token as a backend service."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
        "scope": scope,
        **more,
    }
    return await http.post("/oauth/token", data={name: value for name, value in form.items() if value})
