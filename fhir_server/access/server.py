"""The authorization server's token endpoint: codes, refresh tokens and client credentials become access tokens.

https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-access-token

Authlib's core judges a request (which grant it is, how the client authenticates, RFC 6749 and 7636); it is given
everything it asks about beforehand, so nothing in it waits, and what it has decided is stored afterwards, in one step
that fails when somebody else was faster.
"""

from collections.abc import Mapping

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidGrantError, InvalidRequestError, OAuth2Error

from fhir_server.access import assertions, sessions, tokens
from fhir_server.access.authority import Authority
from fhir_server.access.clients import Asking
from fhir_server.access.judge import METHODS, Answer, Judge, Request, answer_of, basic
from fhir_server.store.accounts.clients import RegisteredClient

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
_ONCE = "The request changed under way."
_TRIES = 5


async def token(authority: Authority, form: Mapping[str, str], authorization: str | None) -> Answer:
    """The answer to a token request: `form` is its body, each parameter once. FhirError 429, 503."""
    try:
        if not form.get("grant_type"):
            raise InvalidRequestError("Missing 'grant_type' in request.")
        if form["grant_type"] not in GRANT_TYPES:
            return Answer(400, {"error": "unsupported_grant_type", "error_description": "See the server's metadata."})
        form = await _named(authority, form, authorization)
        client = await authenticate(authority, form, authorization)
        for _ in range(_TRIES):
            answer = await _attempt(authority, client, form, authorization)
            if answer is not None:
                return answer
        raise InvalidGrantError(_ONCE)
    except OAuth2Error as error:
        return answer_of(*error())


async def _named(authority: Authority, form: Mapping[str, str], authorization: str | None) -> Mapping[str, str]:
    """The form, with the `client_id` that public apps may leave out when they refresh (SMART's own client does): a
    refresh token names its client. Whoever has to prove who they are still has to."""
    if (
        form["grant_type"] != "refresh_token"
        or authorization is not None
        or {"client_id", "client_assertion"} & set(form)
    ):
        return form
    grant = await authority.grants.find(tokens.grant_of(form.get("refresh_token", "")))
    return form if grant is None else {**form, "client_id": grant.caller.client}


async def authenticate(authority: Authority, form: Mapping[str, str], authorization: str | None) -> RegisteredClient:
    """The client that a request to one of the endpoints comes from, proven as it was registered to.

    OAuth2Error where it is not proven; FhirError 503.
    """
    proofs = [name for name in ("client_secret", "client_assertion") if form.get(name)]
    if len(proofs) + (authorization is not None) > 1:
        raise InvalidRequestError("A client authenticates in one way at a time.")
    if form.get("client_assertion_type", ASSERTION_TYPE) != ASSERTION_TYPE:
        raise InvalidRequestError(f"client_assertion_type is {ASSERTION_TYPE}.")
    if bool(form.get("client_assertion")) != ("client_assertion_type" in form):
        raise InvalidRequestError("client_assertion and client_assertion_type go together.")
    if form.get("client_assertion"):
        return await assertions.authenticated(authority, form["client_assertion"], form.get("client_id"))
    claimed = basic(authorization)[0] if authorization is not None else form.get("client_id")
    client = await authority.clients.find(claimed) if claimed else None
    if client is None or not client.enabled or form.get("client_id", client.id) != client.id:
        raise _unproven(authorization)
    judge = Judge(authority, client, None, proven=False)
    try:
        found = judge.authenticate_client(Request(form, authorization), METHODS)
    except InvalidClientError:
        raise _unproven(authorization) from None
    assert isinstance(found, Asking)
    return found.registered


async def _attempt(
    authority: Authority, client: RegisteredClient, form: Mapping[str, str], authorization: str | None
) -> Answer | None:
    """The answer; None where somebody else has changed the grant meanwhile."""
    shown = form.get("code") if form["grant_type"] == "authorization_code" else form.get("refresh_token")
    grant = None
    if form["grant_type"] != "client_credentials" and shown:
        grant = await authority.grants.find(tokens.grant_of(shown))
    if form["grant_type"] == "refresh_token" and grant is not None and grant.session:
        grant = grant if await sessions.is_open(authority, grant.session) else None
    judge = Judge(authority, client, grant, proven=True)
    judge.create_token_response(Request(form, authorization))
    if judge.replayed is not None:
        await authority.grants.revoke(judge.replayed)
    if judge.begun is not None:
        await authority.grants.add(judge.begun)
    if judge.changed is not None and not await authority.grants.replace(judge.changed):
        return None
    return judge.answered


def _unproven(authorization: str | None) -> InvalidClientError:
    return InvalidClientError(
        status_code=401 if authorization is not None else 400,
        description="The client is not known here, or did not prove that it is the one.",
    )
