"""The site: one layout for all pages for people, in the reader's language, under one strict content policy.

https://developer.mozilla.org/en-US/docs/Web/HTTP/CSP

Everything a page loads comes from this server; templates escape everything; no page can be framed or is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fhir_server import languages
from fhir_server.http.portal.assets import Assets
from fhir_server.settings import Settings

LANGUAGE = "lang"
"""Query parameter and cookie of the language a reader chose."""
_YEAR = 31_536_000

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FORMS = "form-action 'self'"


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share: the settings and the assets."""

    settings: Settings
    assets: Assets

    def language(self, request: Request) -> str:
        """The language chosen now (`?lang=`), chosen before, or preferred by the browser."""
        for chosen in (request.query_params.get(LANGUAGE), request.cookies.get(LANGUAGE)):
            if chosen in languages.languages():
                return chosen
        return languages.preferred(request.headers.get("accept-language", ""))

    def page(
        self,
        request: Request,
        template: str,
        code: int = 200,
        /,
        *,
        camera: bool = False,
        language: str = "",
        sends_to: str = "",
        elsewhere: Callable[[str], str] | None = None,
        told_once: bool = False,
        **values: Any,
    ) -> Response:
        """The template of this name.

        A page with a `camera` may ask its reader for it. `language`: where not the reader's cookie decides; then
        `elsewhere` tells where the page is found in another one. `sends_to`: where a form on it may lead on to.
        `told_once`: what it says is gone with the page, so no other language leads away from it.
        """
        language = language or self.language(request)
        found = elsewhere or partial(_here, request)
        others = [(each, languages.own_name(each), found(each)) for each in languages.languages() if each != language]
        text = (
            _environment(language)
            .get_template(f"{template}.html")
            .render(
                **values,
                language=language,
                others=[] if told_once else others,
                path=request.url.path,
                asset=self.assets.address,
                site_name=self.settings.portal_name,
            )
        )
        response = HTMLResponse(text, code, headers=headers(language, camera=camera, sends_to=sends_to))
        if request.query_params.get(LANGUAGE) == language:
            secure = self.settings.origin.startswith("https://")
            response.set_cookie(LANGUAGE, language, max_age=_YEAR, secure=secure, httponly=True, samesite="lax")
        return response


def headers(language: str, *, camera: bool = False, sends_to: str = "") -> dict[str, str]:
    """The headers of every page."""
    return {
        "content-security-policy": _POLICY.replace(_FORMS, _FORMS + _source(sends_to)),
        "permissions-policy": f"camera=({'self' if camera else ''}), microphone=(), geolocation=()",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
        "content-language": language,
        "vary": "Accept-Language, Cookie",
    }


def _here(request: Request, language: str) -> str:
    """This page in another language. What was posted is not sent again; what stands in the address stays there."""
    kept = [pair for pair in request.query_params.multi_items() if pair[0] != LANGUAGE]
    return f"{request.url.path}?{urlencode([*kept, (LANGUAGE, language)])}"


def _source(address: str) -> str:
    """A form that is answered by a redirect must be allowed to lead there; browsers look at both."""
    if not address:
        return ""
    parts = urlsplit(address)
    return f" {parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f" {parts.scheme}:"


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("fhir_server.http.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # They come with the program, and change with it only.
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    found = languages.translations(language)
    environment.install_gettext_translations(found, newstyle=True)  # type: ignore[attr-defined] # the extension adds it
    environment.filters["hour"] = lambda value: languages.hour(value, language)
    environment.filters["day"] = lambda value: languages.day(value, language)
    return environment
