"""Authorization: what an app asks for at the authorization endpoint, and the grant and code it gets.

https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-authorization-code
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import (
    AccessDeniedError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)

from fhir_server.access import scopes, tokens, users
from fhir_server.access.authority import Authority
from fhir_server.access.scopes import Scope
from fhir_server.access.sessions import Session
from fhir_server.store.accounts.clients import RegisteredClient
from fhir_server.store.accounts.grants import Code, Grant
from fhir_server.store.accounts.users import User

_ONCE = frozenset(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "aud", "launch", "nonce", "prompt", "max_age"}
    | {"code_challenge", "code_challenge_method", "response_mode"}
)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_STATE = 2_048


class UnknownAppError(Exception):
    """Nobody to send an error to: the client or its redirect URI is not registered. The sentence is for the user."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid authorization request; `scopes` are those asked for that the client may have at all."""

    client: RegisteredClient
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    challenge: str
    nonce: str = ""
    prompts: frozenset[str] = frozenset()
    launch: str = ""
    context: Mapping[str, Any] | None = None
    """What an EHR said when it launched the app."""

    @property
    def needs_patient(self) -> bool:
        """Whether a patient has to be chosen."""
        return "launch/patient" in self.scopes or any(scope.level == "patient" for scope in scopes.parsed(self.scopes))


async def asked(authority: Authority, pairs: Sequence[tuple[str, str]]) -> Asked:
    """What these parameters ask for.

    UnknownAppError where they must not be answered to the address they name; OAuth2Error with `redirect_uri` and
    `state` where the app is to be told; FhirError 503.
    """
    given = dict(reversed(pairs))
    client = await authority.clients.find(given["client_id"]) if given.get("client_id") else None
    if client is None or not client.enabled:
        raise UnknownAppError("unknown-app")
    if given.get("redirect_uri") not in client.redirect_uris or not client.redirect_uris:
        raise UnknownAppError("unknown-redirect")
    try:
        for name in _ONCE:
            if sum(pair[0] == name for pair in pairs) > 1:
                raise InvalidRequestError(f"'{name}' may be given once.")
        return await _asked(authority, client, given)
    except OAuth2Error as error:
        error.redirect_uri, error.state = given["redirect_uri"], given.get("state", "")[:_MOST_STATE]
        raise


async def _asked(authority: Authority, client: RegisteredClient, given: Mapping[str, str]) -> Asked:
    if given.get("response_type") != "code":
        error = "unsupported_response_type" if given.get("response_type") else "invalid_request"
        raise OAuth2Error("response_type is code.", error=error)
    if {"request", "request_uri"} & set(given):
        raise OAuth2Error("Request objects are not taken here.", error="request_not_supported")
    prompts = frozenset(given.get("prompt", "").split())
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequestError("prompt is none, or what is to be asked.")
    if given.get("response_mode", "query") != "query":
        raise InvalidRequestError("response_mode is query.")
    if len(given.get("state", "")) > _MOST_STATE:
        raise InvalidRequestError(f"state has at most {_MOST_STATE} characters.")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise InvalidRequestError("PKCE is required: code_challenge with code_challenge_method S256.")
    if given.get("aud", "").rstrip("/") != authority.base:
        raise InvalidRequestError(f"aud is the FHIR server to be used, {authority.base}.")
    granted = tuple(
        scope for scope in scopes.narrow(given.get("scope", ""), client.scopes) if not scope.startswith("system/")
    )
    if not granted:
        raise InvalidScopeError("The app may have none of these scopes.")
    launch, context = given.get("launch", ""), None
    if launch:
        context = await authority.passing.find("launch", tokens.digest(launch), authority.now())
        if context is None or context.get("client") != client.id:
            raise InvalidRequestError("This launch is not known here, or is over.")
    elif "launch" in granted:
        raise InvalidRequestError("The scope launch needs the parameter launch.")
    return Asked(
        client,
        given["redirect_uri"],
        given.get("state", ""),
        granted,
        given["code_challenge"],
        given.get("nonce", "")[:_MOST_STATE],
        prompts,
        launch,
        context,
    )


def for_user(asked: Asked, user: User, now: int) -> tuple[str, ...]:
    """The scopes that make sense for this user: those on a patient only for somebody who may have one in view."""
    has_patient = bool(users.patients(user, now)) or "provider" in user.roles
    return tuple(
        text for text in asked.scopes if has_patient or not (text == "launch/patient" or text.startswith("patient/"))
    )


async def grant(authority: Authority, asked: Asked, session: Session, chosen: Sequence[str], patient: str) -> str:
    """Where to send the user to, with a code for what they have allowed. OAuth2Error where it cannot be; FhirError 503.

    `patient` is the id of the Patient in view, or empty; that the user may see them is looked at before.
    """
    user = session.user
    granted = tuple(text for text in for_user(asked, user, authority.clock()) if text in chosen)
    resources: Sequence[Scope] = scopes.parsed(granted)
    if not patient:
        # Nothing on a patient without a patient.
        granted = tuple(text for text in granted if not text.startswith("patient/") and text != "launch/patient")
    if not granted:
        raise to_app(asked, AccessDeniedError())
    if asked.launch and not await authority.passing.remove("launch", tokens.digest(asked.launch)):
        raise to_app(asked, InvalidRequestError("This launch was used before."))
    if any(scope.level == "system" for scope in resources):
        raise to_app(asked, UnauthorizedClientError("System scopes are for backend services."))
    now, id = authority.now(), tokens.new_id()
    text, digest = tokens.mint(id)
    until = {"offline_access": now + authority.lifetimes.refresh, "online_access": session.expires}
    refresh_until = max((until[text] for text in granted if text in until), default=0)
    kept = Grant(
        id,
        users.caller(user, asked.client.id, granted, authority.clock(), patient),
        max(refresh_until, now + authority.lifetimes.code),
        Code(digest, now + authority.lifetimes.code, asked.redirect_uri, asked.challenge),
        refresh_until=refresh_until,
        told=_told(asked, patient),
        nonce=asked.nonce,
        fhir_user=users.fhir_user(user),
        authenticated=session.authenticated,
        session=session.id if refresh_until and "offline_access" not in granted else "",
    )
    await authority.grants.add(kept)
    return _address(asked, {"code": text})


def refused(asked: Asked) -> str:
    """Where to send the user to who has refused."""
    return _address(asked, {"error": "access_denied", "error_description": "The user has refused."})


def address_of(error: OAuth2Error) -> str:
    """Where to send the user to with this error."""
    told = {"error": error.error or "server_error", "error_description": error.get_error_description() or ""}
    return _joined(error.redirect_uri or "", {**told, **({"state": error.state} if error.state else {})})


def to_app(asked: Asked, error: OAuth2Error) -> OAuth2Error:
    """The error, for the app that has asked."""
    error.redirect_uri, error.state = asked.redirect_uri, asked.state
    return error


def _told(asked: Asked, patient: str) -> dict[str, Any]:
    context = asked.context or {}
    told: dict[str, Any] = {"patient": patient} if patient else {}
    told |= {name: context[name] for name in ("encounter", "intent") if context.get(name)}
    if patient:
        told["need_patient_banner"] = bool(context.get("need_patient_banner", True))
    return told


def _address(asked: Asked, parameters: Mapping[str, str]) -> str:
    state = {"state": asked.state} if asked.state else {}
    return _joined(asked.redirect_uri, {**parameters, **state})


def _joined(uri: str, parameters: Mapping[str, str]) -> str:
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(parameters)}"
