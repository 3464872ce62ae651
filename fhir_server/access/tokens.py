"""Tokens: what stands for a grant on its way, and whose request it is that brings one.

https://www.rfc-editor.org/rfc/rfc6750

Codes and tokens are `<id of the grant>.<secret>`, 256 random bits behind the point; stored are their digests.
A token that was looked up is trusted for TRUST_SECONDS: so long, at most, does a revocation take to be seen by a
process that knows the token. Its end is looked at every time.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fhir_server.caller import Caller
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.store.accounts.grants import Access, Grant, Grants

TRUST_SECONDS = 2
_MOST_KNOWN = 20_000
_ID_BYTES = 16
_SECRET_BYTES = 32
_SECOND = 1_000_000


def new_id() -> str:
    """128 random bits: an id for a grant."""
    return secrets.token_urlsafe(_ID_BYTES)


def mint(grant_id: str) -> tuple[str, str]:
    """A code or token of this grant, and the digest of it that is stored."""
    text = f"{grant_id}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    return text, digest(text)


def digest(text: str) -> str:
    """What is stored of a code or token."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def grant_of(text: str) -> str:
    """The id of the grant that a code or token belongs to, if it is one of ours."""
    return text.partition(".")[0]


@dataclass(slots=True)
class _Known:
    caller: Caller
    until: int
    looked_at: int


External = Callable[[str], Awaitable[tuple[Caller, int] | None]]
"""A token of another issuer -> its caller and its end in Unix seconds; None where it is not valid."""


@dataclass(slots=True)
class Tokens:
    """The access tokens of one process. `clock` gives microseconds since 1970."""

    grants: Grants
    clock: Callable[[], int]
    base: str
    external: External | None = None
    """Who looks at tokens instead, where an OpenID provider elsewhere gives them out."""
    _known: dict[str, _Known] = field(default_factory=dict, repr=False)

    async def caller(self, token: str) -> Caller:
        """Whose token this is. FhirError 401 where it is unknown, revoked or over; 503."""
        now = self.clock()
        known = self._known.get(token)
        if known is None or now - known.looked_at > TRUST_SECONDS * _SECOND:
            known = await self._look_up(token, now)
        if known.until * _SECOND <= now:
            self._known.pop(token, None)
            raise self.refusal("expired", "token-expired", "The access token is over; get a new one.", "invalid_token")
        return known.caller

    def forget(self) -> None:
        """Look every token up again, now and not in seconds."""
        self._known.clear()

    async def _look_up(self, token: str, now: int) -> _Known:
        self._known.pop(token, None)
        found = await (self.external(token) if self.external is not None else self._own(token))
        if found is None:
            text = "The access token is not known here, or was revoked."
            raise self.refusal("login", "token-unknown", text, "invalid_token")
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        known = self._known[token] = _Known(*found, now)
        return known

    async def _own(self, token: str) -> tuple[Caller, int] | None:
        grant = await self.grants.find(grant_of(token))
        access = None if grant is None else access_of(grant, token)
        if grant is None or access is None:
            return None
        return replace(grant.caller, scopes=access.scopes), access.until

    def refusal(self, code: str, detail: str, text: str, error: str = "") -> FhirError:
        """401 (400 for `invalid_request`) with what RFC 6750 tells a client; no `error` where it brought no token."""
        challenge = f'Bearer realm="{self.base}"'
        if error:
            challenge += f', error="{error}", error_description="{text}"'
        status = 400 if error == "invalid_request" else 401
        return FhirError(status, (Issue(code, detail, text),), {"WWW-Authenticate": challenge})


class Authorizing(Protocol):
    """What `caller_of` needs of a Context."""

    @property
    def tokens(self) -> Tokens:
        """The process's access tokens."""


async def caller_of(context: Authorizing, authorization: Sequence[str]) -> Caller:
    """Who brings these Authorization headers.

    FhirError 401 with WWW-Authenticate (codes `login`, `expired`) without a token that is valid now; 400 for more than
    one header, of which a proxy may have looked at the other; 503.
    """
    if len(authorization) > 1:
        text = "The Authorization header may be given once."
        raise context.tokens.refusal("invalid", "repeated-header", text, "invalid_request")
    scheme, _, token = (authorization[0] if authorization else "").partition(" ")
    token = token.lstrip(" ")
    if scheme.lower() != "bearer" or not token:
        text = "This address needs an access token: `Authorization: Bearer ...`."
        raise context.tokens.refusal("login", "no-token", text)
    return await context.tokens.caller(token)


def access_of(grant: Grant, token: str) -> Access | None:
    """This access token of the grant; None where it is none of it, or was revoked."""
    if grant.revoked:
        return None
    wanted = digest(token)
    # Digests of random secrets: how long a comparison takes tells nothing that helps.
    return next((access for access in grant.access if access.digest == wanted), None)
