"""The site: one layout for all pages of the portal, in the reader's language, under one strict content policy.

https://developer.mozilla.org/en-US/docs/Web/HTTP/CSP

Everything a page loads comes from this server; templates escape everything; no page can be framed or is kept.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fhir_server import languages
from fhir_server.http.portal.assets import Assets
from fhir_server.settings import Settings

_LANGUAGE = "lang"
"""Query parameter and cookie of the language a reader chose."""
_YEAR = 31_536_000

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share: the settings and the assets."""

    settings: Settings
    assets: Assets

    def language(self, request: Request) -> str:
        """The language chosen now (`?lang=`), chosen before, or preferred by the browser."""
        for chosen in (request.query_params.get(_LANGUAGE), request.cookies.get(_LANGUAGE)):
            if chosen in languages.languages():
                return chosen
        return languages.preferred(request.headers.get("accept-language", ""))

    def page(
        self, request: Request, template: str, code: int = 200, /, *, camera: bool = False, **values: Any
    ) -> Response:
        """The template of this name; a page with a `camera` may ask its reader for it."""
        language = self.language(request)
        others = [(other, languages.own_name(other)) for other in languages.languages() if other != language]
        text = (
            _environment(language)
            .get_template(f"{template}.html")
            .render(
                **values,
                language=language,
                others=others,
                path=request.url.path,
                asset=self.assets.address,
                site_name=self.settings.portal_name,
            )
        )
        response = HTMLResponse(text, code, headers=headers(language, camera=camera))
        if request.query_params.get(_LANGUAGE) == language:
            secure = self.settings.origin.startswith("https://")
            response.set_cookie(_LANGUAGE, language, max_age=_YEAR, secure=secure, httponly=True, samesite="lax")
        return response


def headers(language: str, *, camera: bool = False) -> dict[str, str]:
    """The headers of every page."""
    return {
        "content-security-policy": _POLICY,
        "permissions-policy": f"camera=({'self' if camera else ''}), microphone=(), geolocation=()",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
        "content-language": language,
        "vary": "Accept-Language, Cookie",
    }


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("fhir_server.http.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    found = languages.translations(language)
    environment.install_gettext_translations(found, newstyle=True)  # type: ignore[attr-defined] # the extension adds it
    environment.filters["day"] = lambda value: languages.day(value, language)
    return environment
