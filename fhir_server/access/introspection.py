"""Introspection and revocation: what a token is good for, and its end before its time.

https://hl7.org/fhir/smart-app-launch/token-introspection.html and https://www.rfc-editor.org/rfc/rfc7009
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from fhir_server.access import tokens
from fhir_server.access.authority import Authority
from fhir_server.access.judge import Answer, answer_of
from fhir_server.access.server import authenticate
from fhir_server.store.accounts.clients import RegisteredClient
from fhir_server.store.accounts.grants import Grant

_INACTIVE: Mapping[str, Any] = {"active": False}
_TRIES = 5


async def introspect(authority: Authority, form: Mapping[str, str], authorization: str | None) -> Answer:
    """What a token is, for the client it was given to and for clients registered to ask. FhirError 503."""
    try:
        client = await _asking(authority, form, authorization)
    except OAuth2Error as error:
        return answer_of(*error())
    grant = await authority.grants.find(tokens.grant_of(form["token"]))
    if grant is None or not (client.introspects or grant.caller.client == client.id):
        return Answer(200, _INACTIVE)
    return Answer(200, _facts(authority, grant, form["token"]))


async def revoke(authority: Authority, form: Mapping[str, str], authorization: str | None) -> Answer:
    """End an access token, or with a refresh token all that the client was granted then. FhirError 503.

    200 also where there is nothing to end: nobody learns which tokens there are.
    """
    try:
        client = await _asking(authority, form, authorization)
    except OAuth2Error as error:
        return answer_of(*error())
    shown = tokens.digest(form["token"])
    for _ in range(_TRIES):
        grant = await authority.grants.find(tokens.grant_of(form["token"]))
        if grant is None or grant.caller.client != client.id:
            break
        if shown == grant.refresh or shown in grant.spent:
            await authority.grants.revoke(grant.id)
            break
        left = tuple(access for access in grant.access if access.digest != shown)
        if len(left) == len(grant.access) or await authority.grants.replace(replace(grant, access=left)):
            break
    return Answer(200, {})


async def _asking(authority: Authority, form: Mapping[str, str], authorization: str | None) -> RegisteredClient:
    client = await authenticate(authority, form, authorization)
    if not form.get("token"):
        raise InvalidRequestError("Missing 'token' in request.")
    return client


def _facts(authority: Authority, grant: Grant, token: str) -> Mapping[str, Any]:
    now, caller = authority.now(), grant.caller
    access = tokens.access_of(grant, token)
    if access is not None and access.until > now:
        until, granted = access.until, access.scopes
    elif not grant.revoked and grant.refresh == tokens.digest(token) and grant.refresh_until > now:
        until, granted = grant.refresh_until, caller.scopes
    else:
        return _INACTIVE
    facts: dict[str, Any] = {
        "active": True,
        "scope": " ".join(granted),
        "client_id": caller.client,
        "exp": until,
        "sub": caller.subject,
        "iss": authority.base,
        **({"token_type": "Bearer"} if access is not None else {}),
        **grant.told,
    }
    if grant.fhir_user and "fhirUser" in granted:
        facts["fhirUser"] = f"{authority.base}/{grant.fhir_user}"
    return facts
