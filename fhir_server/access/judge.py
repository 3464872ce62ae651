"""The judge: Authlib's core on one request to the token endpoint, with everything it asks about at hand.

https://www.rfc-editor.org/rfc/rfc6749 and https://www.rfc-editor.org/rfc/rfc7636

Nothing in here waits: client and grant were fetched before, and what is decided (`begun`, `changed`, `replayed`) is
stored afterwards. Of Authlib's parts those are used that read requests and apply the RFCs; assertions, scopes, tokens
and their storage are ours.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, unquote_plus

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientCredentialsGrant,
    ClientMixin,
    InvalidScopeError,
    OAuth2Request,
    TokenMixin,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from authlib.oauth2.rfc7636 import CodeChallenge

from fhir_server.access import own_app, scopes, tokens
from fhir_server.access.authority import Authority
from fhir_server.access.clients import Asking
from fhir_server.caller import Caller
from fhir_server.store.accounts.clients import RegisteredClient
from fhir_server.store.accounts.grants import Access, Grant
from smart_health_cards import base64url

METHODS = ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"]
_MOST_SPENT = 500
_ID_TOKEN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint answers: a JSON object, never to be kept by anybody."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_of(status: int, body: Any, headers: Any) -> Answer:
    """What Authlib answers as ours."""
    return Answer(status, dict(body), {name: value for name, value in headers if name == "WWW-Authenticate"})


def basic(authorization: str | None) -> tuple[str | None, str | None]:
    """Client id and secret of a Basic header; None where it is none."""
    try:
        found: tuple[str | None, str | None] = extract_basic_authorization({"Authorization": authorization or ""})
    except ValueError:  # bytes that are no text
        return None, None
    return found


def _secrets(authorization: str) -> set[str]:
    """What the secret of a Basic header may be: encoded as a form's (RFC 6749, 2.3.1), where a space is a plus, with
    its percent signs alone, or, as many clients have it, not at all."""
    shown = base64.b64decode(authorization.split(None, 1)[1]).decode().partition(":")[2]
    return {shown, unquote(shown), unquote_plus(shown)}


class Request(OAuth2Request):
    """A token request as Authlib reads one. Its address is not looked at: tests and proxies speak http."""

    def __init__(self, form: Mapping[str, str], authorization: str | None) -> None:
        headers = {"Authorization": authorization} if authorization and basic(authorization)[0] is not None else {}
        super().__init__("POST", "https://localhost/", headers=headers)
        self._form = dict(form)
        self.payload = BasicOAuth2Payload(self._form)

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body."""
        return self._form


class Judge(AuthorizationServer):
    """Authlib's server for one request: knows the client and the grant, notes what is to be stored."""

    def __init__(self, authority: Authority, client: RegisteredClient, grant: Grant | None, *, proven: bool) -> None:
        super().__init__()
        self.authority = authority
        self.asking = Asking(client)
        self.grant = grant
        self.begun: Grant | None = None
        self.changed: Grant | None = None
        self.replayed: str | None = None
        self.answered = Answer(500, {})
        self._proven = proven
        self.register_client_auth_method("private_key_jwt", self._by_assertion)
        self.register_client_auth_method("client_secret_basic", self._by_basic)
        self.register_grant(_Code, [_S256()])
        self.register_grant(_Refresh)
        self.register_grant(_System)

    def query_client(self, client_id: str) -> Asking | None:  # type: ignore[override] # the stubs forget None
        """The one client of this request."""
        return self.asking if client_id == self.asking.client_id else None

    def authenticate_client(
        self, request: OAuth2Request, methods: Collection[str], endpoint: str = "token"
    ) -> ClientMixin:
        """The client, looked at by Authlib the first time and known from then on."""
        if self._proven:
            request.auth_method = self.asking.registered.method
            return self.asking
        return super().authenticate_client(request, methods, endpoint)

    def _by_assertion(self, query_client: Any, request: OAuth2Request) -> Asking | None:
        return None  # assertions are verified before, because a key may have to be fetched

    def _by_basic(self, query_client: Any, request: OAuth2Request) -> Asking | None:
        header = (request.headers or {}).get("Authorization")
        asking: Asking | None = query_client(basic(header)[0]) if header else None
        if header is None or asking is None:
            return None
        return asking if any(asking.check_client_secret(each) for each in _secrets(header)) else None

    def create_oauth2_request(self, request: Request) -> Request:
        """It is one already."""
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        """It is part of the grant, which is stored when all is decided."""

    def handle_response(self, status: int, body: Any, headers: Any) -> None:
        """Note Authlib's answer."""
        self.answered = answer_of(status, body, headers)

    def issue(self, grant: Grant, granted: tuple[str, ...], refreshed: str | None) -> tuple[Grant, dict[str, Any]]:
        """The grant with a new access token (and refresh token), and what the client is told."""
        authority, now = self.authority, self.authority.now()
        text, digest = tokens.mint(grant.id)
        # The portal asks for no second token: its own lasts as long as a login.
        own = grant.caller.client == own_app.ID
        seconds = authority.lifetimes.session if own else authority.lifetimes.access
        until = now + seconds
        alive = (each for each in grant.access if each.until > now)
        answer: dict[str, Any] = {
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": " ".join(granted),
            **grant.told,
        }
        spent = grant.spent if refreshed is None else (*grant.spent, refreshed)[-_MOST_SPENT:]
        fresh = replace(
            grant, access=(*alive, Access(digest, until, granted)), spent=spent, expires=max(grant.expires, until)
        )
        if grant.refresh_until > now:
            answer["refresh_token"], kept = tokens.mint(grant.id)
            fresh = replace(fresh, refresh=kept)
        if "openid" in granted and refreshed is None:
            answer["id_token"] = self._id_token(grant, granted, text, now)
        return fresh, answer

    def _id_token(self, grant: Grant, granted: tuple[str, ...], access_token: str, now: int) -> str:
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.authority.base,
            "sub": grant.caller.subject,
            "aud": grant.caller.client,
            "iat": now,
            "exp": now + _ID_TOKEN_SECONDS,
            "auth_time": grant.authenticated,
            "at_hash": base64url.encode(half),
            "nonce": grant.nonce,
        }
        if grant.fhir_user and {"fhirUser", "profile"} & set(granted):
            claims["fhirUser"] = f"{self.authority.base}/{grant.fhir_user}"
        return self.authority.token_keys.sign({name: claim for name, claim in claims.items() if claim}, now)


class _S256(CodeChallenge):
    """PKCE, with nothing but S256."""

    def __init__(self) -> None:
        super().__init__(required=True)
        self.SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def get_authorization_code_challenge(self, authorization_code: "_Held") -> str:
        """What the code was asked for with; never empty."""
        assert authorization_code.grant.code is not None
        return authorization_code.grant.code.challenge

    def get_authorization_code_challenge_method(self, authorization_code: "_Held") -> str:
        """Always this one."""
        return "S256"


@dataclass(frozen=True, slots=True)
class _Held(TokenMixin):
    """A grant as Authlib asks about its code or refresh token."""

    grant: Grant

    def get_redirect_uri(self) -> str:
        """Where the code was sent to."""
        return self.grant.code.redirect_uri if self.grant.code is not None else ""

    def get_scope(self) -> str:
        """What was granted."""
        return " ".join(self.grant.caller.scopes)

    def check_client(self, client: ClientMixin) -> bool:
        """Whether it was given to this client."""
        return isinstance(client, Asking) and self.grant.caller.client == client.client_id


class _Code(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTHMETHODS = METHODS

    def query_authorization_code(self, code: str, client: ClientMixin) -> _Held | None:
        judge: Judge = self.server
        grant = judge.grant
        if grant is None or grant.code is None or grant.code.digest != tokens.digest(code):
            return None
        if not _Held(grant).check_client(client) or grant.revoked:
            return None
        if grant.code.used:
            # Somebody else has the code, too: what was given for it cannot be trusted any more.
            judge.replayed = grant.id
            return None
        return _Held(grant) if grant.code.expires > judge.authority.now() else None

    def authenticate_user(self, authorization_code: _Held) -> Caller:
        return authorization_code.grant.caller

    def generate_token(self, *_: Any, **__: Any) -> dict[str, Any]:
        judge: Judge = self.server
        grant = judge.grant
        assert grant is not None and grant.code is not None
        fresh, answer = judge.issue(grant, grant.caller.scopes, None)
        judge.changed = replace(fresh, code=replace(grant.code, used=True))
        return answer

    def delete_authorization_code(self, authorization_code: _Held) -> None:
        """It is kept, used up, to notice a second use."""


class _Refresh(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTHMETHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> _Held | None:  # type: ignore[override] # as above
        judge: Judge = self.server
        grant, shown = judge.grant, tokens.digest(refresh_token)
        if grant is None or grant.revoked or not grant.refresh:
            return None
        if shown in grant.spent and grant.caller.client == judge.asking.client_id:
            judge.replayed = grant.id
            return None
        return _Held(grant) if shown == grant.refresh and grant.refresh_until > judge.authority.now() else None

    def authenticate_user(self, refresh_token: _Held) -> Caller:
        return refresh_token.grant.caller

    def generate_token(self, *_: Any, scope: str | None = None, **__: Any) -> dict[str, Any]:
        judge: Judge = self.server
        grant = judge.grant
        assert grant is not None
        granted = tuple((scope or "").split()) or grant.caller.scopes
        judge.changed, answer = judge.issue(grant, granted, grant.refresh)
        return answer

    def revoke_old_credential(self, refresh_token: TokenMixin) -> None:
        """It stands among the spent ones."""


class _System(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTHMETHODS = METHODS

    def validate_requested_scope(self) -> None:
        """Only scopes for systems, each of them one."""
        payload = self.request.payload
        asked = (payload.scope or "").split() if payload is not None else []
        found = [scopes.parse(text) for text in asked]
        if not asked or not all(scope is not None and scope.level == "system" for scope in found):
            raise InvalidScopeError("Backend services ask for system scopes, as system/Immunization.rs.")
        judge: Judge = self.server
        if not scopes.narrow(" ".join(asked), judge.asking.registered.scopes):
            raise InvalidScopeError("The client may have none of these scopes.")

    def generate_token(self, *_: Any, scope: str | None = None, **__: Any) -> dict[str, Any]:
        judge: Judge = self.server
        client = judge.asking.registered
        granted = scopes.narrow(scope or "", client.scopes)
        caller = Caller(client.id, frozenset({client.role}), client.id, granted, organization=client.organization)
        judge.begun, answer = judge.issue(Grant(tokens.new_id(), caller, 0), granted, None)
        return answer
