"""Signing in: how a system and a person get an access token, over HTTP alone, as any client would.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html and
https://hl7.org/fhir/smart-app-launch/app-launch.html
"""

import hashlib
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from smart_health_cards import base64url

_FORM = {"content-type": "application/x-www-form-urlencoded"}
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS = 240


class SignInError(Exception):
    """No token was given; the sentence says what was answered instead."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who logs in: name, password and the code of the moment, where there is a second factor."""

    login: str
    password: str
    code: str = ""


async def as_system(client: httpx.AsyncClient, base: str, id: str, key: ECKey, scope: str, now: float) -> str:
    """An access token for a backend service that proves by its key who it is. SignInError."""
    endpoint = (await _configuration(client, base))["token_endpoint"]
    claims = {"iss": id, "sub": id, "aud": endpoint, "exp": int(now) + _SECONDS, "jti": secrets.token_urlsafe(16)}
    header = {"alg": "ES384", "kid": key.kid, "typ": "JWT"}
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": _ASSERTION,
        "client_assertion": jwt.encode(header, claims, key, algorithms=["ES384"]),
    }
    return _token(await client.post(endpoint, data=form))


class SystemAuth(httpx.Auth):
    """Requests of a client that bring a system's access token, another one when it is over. SignInError."""

    def __init__(self, base: str, id: str, key: ECKey, scope: str = "system/*.cruds") -> None:
        self._system = (base, id, key, scope)
        self._token = ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As httpx asks: the request, and once more with another token where it is answered 401."""
        if not self._token:
            await self._renew()
        request.headers["Authorization"] = f"Bearer {self._token}"
        if (yield request).status_code == 401:
            await self._renew()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    async def _renew(self) -> None:
        base, id, key, scope = self._system
        async with httpx.AsyncClient(timeout=60) as client:
            self._token = await as_system(client, base, id, key, scope, time.time())


async def as_person(base: str, app: str, redirect: str, scope: str, person: Person) -> str:
    """An access token for an app, from a person who logs in and agrees in a browser of their own. SignInError."""
    async with httpx.AsyncClient(timeout=60) as browser:
        found = await _configuration(browser, base)
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        asked = {
            "response_type": "code",
            "client_id": app,
            "redirect_uri": redirect,
            "scope": scope,
            "state": state,
            "aud": base,
            "code_challenge": base64url.encode(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        page = await browser.get(found["authorization_endpoint"], params=asked)
        typed = {"username": person.login, "password": person.password, "code": person.code}
        page = await _post(browser, page, "login", typed)
        page = await _post(browser, page, "consent", {"decision": "allow"})
        told = parse_qs(urlsplit(page.headers.get("location", "")).query)
        if told.get("state") != [state] or "code" not in told:
            raise SignInError(f"{person.login} was not sent back to the app ({page.status_code}).")
        form = {
            "grant_type": "authorization_code",
            "code": told["code"][0],
            "redirect_uri": redirect,
            "code_verifier": verifier,
            "client_id": app,
        }
        return _token(await browser.post(found["token_endpoint"], data=form))


async def _configuration(client: httpx.AsyncClient, base: str) -> dict[str, Any]:
    answer = await client.get(f"{base}/.well-known/smart-configuration")
    if answer.status_code != 200:
        raise SignInError(f"The server does not say where to ask for tokens ({answer.status_code}).")
    found: dict[str, Any] = answer.json()
    return found


async def _post(browser: httpx.AsyncClient, page: httpx.Response, name: str, typed: dict[str, str]) -> httpx.Response:
    """Fill in and post the form of this name; the page after it."""
    form = next((form for form in _forms(page.text) if form.name == name), None)
    if form is None:
        raise SignInError(f"There is no form '{name}' on {page.url.path} ({page.status_code}).")
    body = urlencode([*form.fields, *typed.items()])
    answer = await browser.post(page.url.join(form.action), content=body, headers=_FORM)
    return await browser.get(page.url.join(answer.headers["location"])) if answer.status_code == 303 else answer


def _token(answer: httpx.Response) -> str:
    if answer.status_code != 200:
        raise SignInError(f"No token was given: {answer.text[:300]}")
    token: str = answer.json()["access_token"]
    return token


@dataclass(slots=True)
class _Form:
    name: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Reads forms with what they would send if nobody touched them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A form begins, or a field of it."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(given.get("id", ""), given.get("action", "")))
        elif tag == "input" and self.forms and (given.get("type") == "hidden" or "checked" in given):
            self.forms[-1].fields.append((given.get("name", ""), given.get("value", "")))


def _forms(text: str) -> list[_Form]:
    reader = _Reader()
    reader.feed(text)
    return reader.forms
