"""Authority: what the authorization server works with; made once for each process by app.py.

https://hl7.org/fhir/smart-app-launch/conformance.html
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.access.key_sets import KeySets
from fhir_server.access.token_keys import TokenKeys
from fhir_server.access.tokens import Tokens
from fhir_server.store.accounts.clients import Clients
from fhir_server.store.accounts.grants import Grants
from fhir_server.store.accounts.passing import Passing
from fhir_server.store.accounts.users import Users


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things work, in seconds."""

    access: int = 900
    refresh: int = 2_592_000
    session: int = 3_600
    code: int = 60
    launch: int = 300
    recovery: int = 3_600
    invitation: int = 2_592_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Wrong logins for an account and for all of them, in `login_window` and a minute; token requests a second;
    registrations, and answers without a name judged, from an address in an hour."""

    wrong_logins: int = 5
    login_window: int = 900
    wrong_logins_overall: int = 100
    token_requests: int = 10
    registrations: int = 60
    eligibility_checks: int = 600


@dataclass(frozen=True, slots=True)
class Authority:
    """The authorization server's parts. `base` is the FHIR base, which is the issuer; `clock` gives microseconds."""

    base: str
    clients: Clients
    users: Users
    grants: Grants
    passing: Passing
    tokens: Tokens
    token_keys: TokenKeys
    key_sets: KeySets
    clock: Callable[[], int]
    secret: bytes
    lifetimes: Lifetimes
    limits: Limits

    @property
    def origin(self) -> str:
        """Where the endpoints lie: the base without `/fhir`."""
        return self.base.removesuffix("/fhir")

    @property
    def token_endpoint(self) -> str:
        """The address that tokens are asked for at, which assertions name as their audience."""
        return self.origin + "/oauth/token"

    def now(self) -> int:
        """Unix seconds."""
        return self.clock() // 1_000_000

    def keyed(self, purpose: str, text: str) -> str:
        """A digest of this text that only this server can make."""
        return hmac.new(self.secret, f"{purpose}|{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
