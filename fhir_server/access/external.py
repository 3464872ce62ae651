"""External: an OpenID provider elsewhere gives out the tokens; here they are verified, and who they speak of is known.

https://www.rfc-editor.org/rfc/rfc9068

A token says who its user and its client are, and which scopes were granted. What they may be and do here is not taken
from it: users are those registered with `--external`, clients those registered here, and a client gets no scope that it
was not registered for.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.access import jwt, scopes, users
from fhir_server.access.jwt import JwtError
from fhir_server.access.key_sets import KeySets, UnusableKeyError
from fhir_server.access.outbound import Outbound, OutboundError
from fhir_server.caller import Caller
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.store.accounts.clients import Clients
from fhir_server.store.accounts.users import Users

ALGORITHMS = frozenset({"RS256", "RS384", "ES256", "ES384"})
_KEPT_SECONDS = 3_600.0
_LEEWAY = 5
_LONGEST = 3_600
_TYPES = frozenset({"JWT", "at+jwt", "application/at+jwt"})


@dataclass(slots=True)
class External:
    """The provider: `issuer` as its tokens say, `audience` that they must name; `clock` gives microseconds."""

    issuer: str
    audience: str
    outbound: Outbound
    key_sets: KeySets
    clients: Clients
    users: Users
    clock: Callable[[], int]
    _metadata: tuple[float, Mapping[str, Any]] | None = field(default=None, repr=False)

    async def configuration(self) -> Mapping[str, Any]:
        """The provider's own metadata, kept for an hour. FhirError 503 where it cannot be had."""
        now = time.monotonic()
        if self._metadata is None or now - self._metadata[0] > _KEPT_SECONDS:
            try:
                found = json.parse(
                    await self.outbound.get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
                )
            except (OutboundError, FhirError):
                found = {}
            if found.get("issuer") != self.issuer or not isinstance(found.get("jwks_uri"), str):
                issue = Issue("transient", "provider-unavailable", "The OpenID provider's metadata cannot be had now.")
                raise FhirError(503, (issue,), {"Retry-After": "10"})
            self._metadata = now, found
        return self._metadata[1]

    async def caller(self, token: str) -> tuple[Caller, int] | None:
        """Who brings this token, and until when it is valid; None where it is not. FhirError 503."""
        try:
            shown = jwt.take_apart(token, ALGORITHMS, _TYPES)
            if shown.claims.get("iss") != self.issuer or not jwt.is_for(shown.claims, self.audience):
                return None
            keys = str((await self.configuration())["jwks_uri"])
            shown.require_signed(await self.key_sets.key(None, keys, shown.kid, str(shown.header["alg"])))
            return await self._caller(shown.claims)
        except (JwtError, UnusableKeyError):
            return None

    async def _caller(self, claims: Mapping[str, Any]) -> tuple[Caller, int] | None:
        now, until = self.clock() // 1_000_000, jwt.moment(claims, "exp")
        if until is None or until <= now or (jwt.moment(claims, "nbf") or 0) > now + _LEEWAY:
            return None
        subject, named = claims.get("sub"), claims.get("client_id", claims.get("azp"))
        scope = claims.get("scope", "")
        if not all(isinstance(each, str) for each in (subject, named, scope)):
            return None
        client = await self.clients.find(str(named))
        if client is None or not client.enabled:
            return None
        granted = scopes.narrow(str(scope), client.scopes)
        end = min(until, now + _LONGEST)
        if subject == named:
            system = tuple(text for text in granted if text.startswith("system/"))
            role = frozenset({client.role}) if client.role else frozenset[str]()
            return Caller(client.id, role, client.id, system, organization=client.organization), end
        user = await self.users.by_external(str(subject))
        if user is None or not user.enabled:
            return None
        own = tuple(text for text in granted if not text.startswith("system/"))
        patient = claims.get("patient", "")
        moment = self.clock()
        if not isinstance(patient, str) or (
            "provider" not in user.roles and patient not in users.patients(user, moment)
        ):
            patient = user.patient
        return users.caller(user, client.id, own, moment, patient), end
