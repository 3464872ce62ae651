"""Signing in to the portal: the same launch as any app's, with the token in a cookie that scripts cannot read.

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-standalone-launch
"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import own_app, server, sessions, tokens
from fhir_server.caller import Caller
from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError
from fhir_server.http import cookies
from fhir_server.http.forms import ForeignFormError, posted_by_page, with_form
from fhir_server.http.portal.api import Api, RefusedError, Visit
from fhir_server.http.portal.site import Site
from fhir_server.http.portal.typed import seen
from smart_health_cards import base64url

TOKEN, LAUNCH = "portal", "portal-launch"
"""Cookies: the access token, and what a sign-in under way is known again by."""
_LAUNCH_SECONDS = 600
_REFUSED = {400: "form-refused", 413: "too-large", 429: "too-many"}
"""Pages for refusals by their status; `unavailable` for all others."""
_UNKNOWN = "unknown-resource"
_AS_IT_IS = frozenset({"password", "current", "code"})
"""Fields in which every character counts: codes of packages have control characters between their parts."""
_NO_STORE = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is looking at a page: the caller their token stands for, and the API as they see it."""

    caller: Caller
    visit: Visit
    language: str


Page = Callable[[Request, Visitor], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Portal:
    """What pages for people who have signed in are made with."""

    context: Callable[[], Context]
    site: Site
    api: Api

    @property
    def signs_in(self) -> bool:
        """Whether people sign in here: not where everybody may do everything, nor where others give out the tokens."""
        return not self.site.settings.dev and not self.site.settings.openid_issuer

    async def visitor(self, request: Request) -> Visitor | None:
        """Who has signed in with this browser; None where nobody has, or their token is over. FhirError 503."""
        token = cookies.read(request.cookies, TOKEN, self.site.settings.origin)
        if not token:
            return None
        try:
            caller = await self.context().tokens.caller(token)
        except FhirError as error:
            if error.status != 401:
                raise
            return None
        language = self.site.language(request)
        return Visitor(caller, self.api.of(token, language), language)

    def page(self, handler: Page, *roles: str) -> Callable[[Request], Awaitable[Response]]:
        """A page for people of one of these roles: others are told so, and who has not signed in is asked to."""

        async def handle(request: Request) -> Response:
            try:
                visitor = await self.visitor(request)
                if visitor is None:
                    return await self._signed_out(request)
                if not visitor.caller.roles & set(roles):
                    return self.site.page(request, "not-yours", 403)
                return await handler(request, visitor)
            except ForeignFormError:
                return self.site.page(request, "form-refused", 403)
            except RefusedError as error:
                if error.status == 401:
                    return RedirectResponse(sign_in_address(request), 303, _NO_STORE)
                # An id that is not there says nothing to who reads pages.
                said = () if _UNKNOWN in error.codes else error.sentences
                return self.site.page(request, "refused", error.status, sentences=said)
            except FhirError as error:
                return self._refused(request, error)

        return handle

    def anyone(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A page with forms for people who need not have signed in."""

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ForeignFormError:
                return self.site.page(request, "form-refused", 403)
            except FhirError as error:
                return self._refused(request, error)

        return handle

    def _refused(self, request: Request, error: FhirError) -> Response:
        response = self.site.page(request, _REFUSED.get(error.status, "unavailable"), error.status)
        response.headers.update(error.headers)
        return response

    async def _signed_out(self, request: Request) -> Response:
        """To the sign-in; what was filled in meanwhile waits on a page, to be sent again."""
        pairs: list[tuple[str, str]] = []
        if request.method == "POST":
            with suppress(ForeignFormError, FhirError):
                pairs = await posted_by_page(self.context(), request)
        if not pairs or any("password" in name for name, _ in pairs):
            return RedirectResponse(sign_in_address(request), 303, _NO_STORE)
        pairs = [pair for pair in pairs if pair[0] != "form_token"]
        return self.form(request, "sign-in-again", 401, address=request.url.path, pairs=pairs)

    async def posted(self, request: Request) -> dict[str, str]:
        """The fields of a form on one of these pages. ForeignFormError for any other; FhirError 400, 413."""
        return dict(await self.pairs(request))

    async def pairs(self, request: Request) -> list[tuple[str, str]]:
        """As `posted`, for forms that name a field more than once."""
        found = await posted_by_page(self.context(), request)
        return [(name, value if name in _AS_IT_IS else seen(value)) for name, value in found]

    def form(self, request: Request, template: str, code: int = 200, /, **values: Any) -> Response:
        """A page with forms; each holds `form_token`, the proof that it is one of ours."""
        return with_form(
            self.context(), request, lambda proof: self.site.page(request, template, code, form_token=proof, **values)
        )

    def routes(self) -> list[BaseRoute]:
        """`/portal/login`, `/portal/callback`, `/portal/logout`."""
        return [
            Route("/portal/login", self._login),
            Route(own_app.CALLBACK, self._callback),
            Route("/portal/logout", self._logout, methods=["POST"]),
        ]

    async def _login(self, request: Request) -> Response:
        settings = self.site.settings
        state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        challenge = base64url.encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": own_app.ID,
            "redirect_uri": settings.origin + own_app.CALLBACK,
            "scope": " ".join(own_app.SCOPES),
            "state": state,
            "aud": settings.base,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "ui_locales": self.site.language(request),
        }
        response = RedirectResponse(f"/oauth/authorize?{urlencode(asked)}", 303, _NO_STORE)
        kept = f"{state} {verifier} {quote(local(request.query_params.get('next', '')))}"
        cookies.give(response, LAUNCH, kept, settings.origin, _LAUNCH_SECONDS)
        return response

    async def _callback(self, request: Request) -> Response:
        settings = self.site.settings
        state, _, rest = (cookies.read(request.cookies, LAUNCH, settings.origin) or "").partition(" ")
        verifier, _, goal = rest.partition(" ")
        given = request.query_params.get("state", "")
        if not state or not hmac.compare_digest(state.encode(), given.encode("utf-8", "surrogatepass")):
            return self.site.page(request, "form-refused", 403)
        form = {
            "grant_type": "authorization_code",
            "code": request.query_params.get("code", ""),
            "redirect_uri": settings.origin + own_app.CALLBACK,
            "code_verifier": verifier,
            "client_id": own_app.ID,
        }
        try:
            answer = await server.token(self.context().authority, form, None)
        except FhirError as error:
            return self.site.page(request, "unavailable", error.status)
        token = answer.body.get("access_token")
        if not token:
            return RedirectResponse("/", 303, _NO_STORE)
        response = RedirectResponse(local(unquote(goal)), 303, _NO_STORE)
        cookies.take(response, LAUNCH, settings.origin)
        cookies.give(response, TOKEN, str(token), settings.origin, int(answer.body["expires_in"]))
        return response

    async def _logout(self, request: Request) -> Response:
        origin, authority = self.site.settings.origin, self.context().authority
        try:
            await posted_by_page(self.context(), request)
            await sessions.end(authority, cookies.read(request.cookies, cookies.SESSION, origin))
            token = cookies.read(request.cookies, TOKEN, origin)
            if token:
                await authority.grants.revoke(tokens.grant_of(token))
        except ForeignFormError:
            return self.site.page(request, "form-refused", 403)
        except FhirError as error:
            return self.site.page(request, "unavailable", error.status)
        response = RedirectResponse("/", 303, _NO_STORE)
        for name in (TOKEN, cookies.SESSION):
            cookies.take(response, name, origin)
        return response


def sign_in_address(request: Request) -> str:
    """Where to sign in, and come back to this page (to the front page from a form, which is not sent again)."""
    # Whose page it was stands behind the path.
    page = "?".join(filter(None, (request.url.path, request.url.query)))
    goal = page if request.method == "GET" else "/"
    return "/portal/login?" + urlencode({"next": goal})


def local(address: str) -> str:
    """An address on this site; the front page in place of any other."""
    safe = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if safe else "/"
