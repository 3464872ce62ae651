"""Forms: what was posted to an endpoint or from a page, each parameter once, within limits, from a page of ours.

https://www.rfc-editor.org/rfc/rfc6749#section-3.2
"""

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.access import sessions
from fhir_server.context import Context
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.pairs import of_bytes
from fhir_server.http import cookies
from fhir_server.http.exchange import Exchange

FORM = "application/x-www-form-urlencoded"
_MOST_BYTES = 65_536


class ForeignFormError(Exception):
    """A form that did not come from a page made for this browser."""


def exchange_of(context: Context, request: Request) -> Exchange:
    """The request within the limits of address and headers. FhirError 414, 431."""
    return Exchange(context, request.scope, request.receive)


async def posted(exchange: Exchange) -> list[tuple[str, str]]:
    """The parameters of a form. FhirError 400, 408, 413, 415."""
    if exchange.media_type != FORM:
        raise refuse(415, "not-supported", "unsupported-content-type", f"This address takes {FORM}.", "Content-Type")
    return of_bytes(await body(exchange))


async def body(exchange: Exchange) -> bytes:
    """The whole body of a form or a small request. FhirError 408 where it takes too long altogether, 413, 415."""
    try:
        async with asyncio.timeout(exchange.context.settings.request_seconds):
            return await exchange.body(_MOST_BYTES)
    except TimeoutError:
        raise refuse(408, "timeout", "slow-body", "The body did not arrive in time.") from None


def repeated(pairs: Sequence[tuple[str, str]]) -> str | None:
    """A parameter that is given more than once."""
    names = [name for name, _ in pairs]
    return next((name for name in names if names.count(name) > 1), None)


async def posted_by_page(context: Context, request: Request) -> list[tuple[str, str]]:
    """The parameters of a form on a page of ours. ForeignFormError for another; FhirError as `posted`."""
    origin = context.settings.origin
    sent_from = request.headers.get("origin")
    if sent_from is not None and sent_from != "null" and sent_from != _own(origin):
        raise ForeignFormError
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForeignFormError
    pairs = await posted(exchange_of(context, request))
    cookie = cookies.read(request.cookies, cookies.FORM, origin)
    if not sessions.is_form_token(context.authority, cookie, dict(pairs).get("form_token", "")):
        raise ForeignFormError
    return pairs


def with_form(context: Context, request: Request, make: Callable[[str], Response], *, fresh: bool = False) -> Response:
    """A page with a form: `make` gets the proof to put into it; the browser's cookie is given where it has none yet."""
    origin = context.settings.origin
    cookie = None if fresh else cookies.read(request.cookies, cookies.FORM, origin)
    kept = cookie or sessions.new_cookie()
    response = make(sessions.form_token(context.authority, kept))
    if kept != cookie:
        cookies.give(response, cookies.FORM, kept, origin)
    return response


def _own(origin: str) -> str:
    parts = urlsplit(origin)
    return f"{parts.scheme}://{parts.netloc}"
