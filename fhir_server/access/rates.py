"""Rates: how often a client may ask the token endpoint, and an address what takes no token.

https://www.rfc-editor.org/rfc/rfc6819#section-4.4.1.3

Counted for a client at an address, so that nobody uses up what another may ask; in the database, for all processes.
"""

from collections.abc import Mapping

from fhir_server.access.authority import Authority
from fhir_server.access.clients import ALGORITHMS
from fhir_server.access.judge import basic
from fhir_server.access.jwt import JwtError, take_apart
from fhir_server.fhir.outcome import FhirError, Issue

HOUR = 3_600
_KEPT_SECONDS = 5


def who(form: Mapping[str, str], authorization: str | None, address: str) -> str:
    """Who seems to ask, not proven yet: a client's id and an address."""
    named = form.get("client_id") or basic(authorization)[0] or ""
    if not named and form.get("client_assertion"):
        try:
            named = str(take_apart(form["client_assertion"], frozenset(ALGORITHMS)).claims.get("iss"))
        except JwtError:
            named = ""
    return f"{named}|{address}"


async def require_slow(authority: Authority, who: str) -> None:
    """FhirError 429 where this one has asked too often in this second; 503."""
    now = authority.now()
    key = authority.keyed("rate", f"{now}|{who}")
    if await authority.passing.count("asked", key, now + _KEPT_SECONDS, now) > authority.limits.token_requests:
        issue = Issue("throttled", "too-many-token-requests", "Too many token requests; ask again in a second.")
        raise FhirError(429, (issue,), {"Retry-After": "1"})


async def hourly(authority: Authority, what: str, address: str) -> int:
    """How often this was done from an address within an hour, now included. FhirError 503."""
    now = authority.now()
    return await authority.passing.count("asked", authority.keyed(what, address), now + HOUR, now)


async def require_few_checks(authority: Authority, address: str) -> None:
    """FhirError 429 where too many answers without a name came from this address within an hour; 503."""
    if await hourly(authority, "eligibility", address) > authority.limits.eligibility_checks:
        issue = Issue("throttled", "too-many-checks", "Too many checks from this address; wait an hour.")
        raise FhirError(429, (issue,), {"Retry-After": str(HOUR)})
