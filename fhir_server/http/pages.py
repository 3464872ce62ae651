"""Pages: HTML for people, in English and Spanish, without scripts; and the headers that keep others out of them.

https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html

Templates escape everything. The one style is allowed by its hash; nothing is loaded, nothing can be framed.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from json import loads
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

_templates = Environment(
    loader=PackageLoader("fhir_server.http"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STYLE = (files("fhir_server.http") / "templates" / "style.css").read_text("utf-8")
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
LANGUAGES = ("en", "es")


def page(
    name: str,
    language: str,
    status: int = 200,
    sends_to: str = "",
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """The template `name` with these values; `sends_to` is the address a form on it may lead on to."""
    text = _templates.get_template(f"{name}.html").render(
        **values, name=name, say=words(language), language=language, style=_STYLE
    )
    return HTMLResponse(text, status, {**headers_of(sends_to), **(headers or {})})


def headers_of(sends_to: str = "") -> dict[str, str]:
    """The headers of a page."""
    return {
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; "
        f"form-action 'self'{_source(sends_to)}; frame-ancestors 'none'",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
        "pragma": "no-cache",
        "vary": "Accept-Language, Cookie",
    }


@cache
def words(language: str) -> Mapping[str, str]:
    """What the pages say in this language."""
    path = files("fhir_server.http") / "locales" / f"{language if language in LANGUAGES else 'en'}.json"
    found: dict[str, str] = loads(path.read_bytes())
    return found


def _source(address: str) -> str:
    """A form that is answered by a redirect must be allowed to lead there; browsers look at both."""
    if not address:
        return ""
    parts = urlsplit(address)
    return f" {parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f" {parts.scheme}:"
