"""A browser that reads forms and posts them, without scripts: what a person does with the pages."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx

VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Form:
    """A form of a page: where it goes, and what would be posted if nobody touched it."""

    id: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    radios: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("id", ""), given["action"]))
        elif tag in ("input", "button") and given.get("name") and self.forms:
            form, kind = self.forms[-1], given.get("type")
            form.names.add(given["name"])
            pair = (given["name"], given.get("value", ""))
            if kind == "radio":
                form.radios.append(pair)
            if kind == "hidden" or (kind in ("radio", "checkbox") and "checked" in given):
                form.fields.append(pair)


def forms(page: httpx.Response) -> dict[str, Form]:
    """The forms of a page by their ids."""
    parser = _Forms()
    parser.feed(page.text)
    return {form.id: form for form in parser.forms}


def asking(base: str, app: str = "growth-chart", /, **more: str | None) -> dict[str, str]:
    """An authorization request; None leaves a parameter out."""
    given = {
        "response_type": "code",
        "client_id": app,
        "redirect_uri": "https://app.example/callback",
        "scope": "openid fhirUser launch/patient offline_access patient/*.rs",
        "state": "the-state",
        "aud": base,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def told(answer: httpx.Response) -> dict[str, str]:
    """What the app is told by being sent to this address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


@dataclass
class Browser:
    """One browser with its cookies."""

    http: httpx.AsyncClient
    password: str

    async def open(self, asked: dict[str, str]) -> httpx.Response:
        """Follow an app's link to the authorization endpoint."""
        return await self.http.get("/oauth/authorize", params=asked)

    async def post(self, form: Form, more: dict[str, Any], without: str = "") -> httpx.Response:
        """Post a form, with what was typed in."""
        left = [pair for pair in form.fields if pair[0] not in more and pair[0] != without]
        body = urlencode([*left, *more.items()], doseq=True)
        return await self.http.post(
            form.action, content=body, headers={"content-type": "application/x-www-form-urlencoded"}
        )

    async def log_in(self, page: httpx.Response, user: str, code: str = "", password: str = "") -> httpx.Response:
        """Log in on the login page; the page after it."""
        typed = {"username": user, "password": password or self.password, "code": code}
        answer = await self.post(forms(page)["login"], typed)
        if answer.status_code != 303:
            return answer
        return await self.http.get(answer.headers["location"])

    async def authorize(self, asked: dict[str, str], user: str, code: str = "", **consent: Any) -> httpx.Response:
        """All of it: the answer that sends back to the app, or the page where it ended."""
        page = await self.open(asked)
        if "login" in forms(page):
            page = await self.log_in(page, user, code)
        if "consent" not in forms(page):
            return page
        return await self.post(forms(page)["consent"], {"decision": "allow", **consent})


async def redeem(http: httpx.AsyncClient, code: str, client: str = "growth-chart", **more: str) -> httpx.Response:
    """A code for tokens, as a public app does."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "https://app.example/callback",
        "code_verifier": VERIFIER,
        "client_id": client,
        **more,
    }
    return await http.post("/oauth/token", data=form)


def request_in(page: httpx.Response) -> dict[str, str]:
    """The request that a page carries along."""
    [form] = [form for form in forms(page).values() if form.id in ("login", "consent")]
    return dict(parse_qsl(dict(form.fields)["request"]))
