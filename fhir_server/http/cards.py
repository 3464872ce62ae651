"""Cards over HTTP: a page to look at, print and hand on; the QR picture, the PDF and the file.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html

A card's address is a secret of its holder: whoever knows it may fetch the card, and it cannot be guessed. Pictures are
drawn when somebody looks, and kept by their content.
"""

from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_server.caller import SERVER, allow_all
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.http import card_page
from fhir_server.http.card_face import Face, face
from fhir_server.http.card_pdf import pdf
from fhir_server.http.portal.site import Site
from fhir_server.http.wire import refusal
from fhir_server.languages import N_, say
from fhir_server.operations.health_cards.verify import trust_list
from smart_health_cards import deep_link, png, read_file, svg, verify
from smart_health_cards.fast_qr import matrix
from smart_health_cards.file import EXTENSION, MEDIA_TYPE

_MY_PAGE = "../me"
"""Where people get their cards, as seen from here; only a server that people sign in to has it."""

_PRIVATE = {
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # An SVG opened by itself is a document.
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


def card_routes(context: Callable[[], Context], site: Site) -> list[BaseRoute]:
    """`/cards/<opaque>`, the page, and `.png|.svg|.pdf|.smart-health-card`."""

    async def card(request: Request) -> Response:
        name, dot, ending = request.path_params["file"].partition(".")
        try:
            if dot + ending not in ("", ".pdf", *_FORMS):
                raise _unknown()
            file = await _file(context(), name)
            if dot + ending in _FORMS:
                return _form(dot + ending, file)
            language = site.language(request)
            shown = await _face(context(), file, language)
        except FhirError as error:
            if error.status == 404 and "text/html" in request.headers.get("accept", ""):
                return site.page(request, "no-page", 404)
            return refusal(error)
        settings = context().settings
        if ending == "pdf":
            content = pdf(shown, read_file(file)[0], settings.card_font)
            return Response(content, media_type="application/pdf", headers=_PRIVATE)
        code = svg(read_file(file)[0], title=say(N_("QR code of this card"), language), draw=matrix)
        link = deep_link(settings.card_wallet, read_file(file)) if settings.card_wallet else None
        renewal = None if settings.dev or settings.openid_issuer else _MY_PAGE
        content = card_page.page(shown, name, code, link, renewal)
        return Response(content, media_type="text/html", headers=card_page.HEADERS)

    return [Route("/cards/{file}", card)]


def _form(ending: str, file: bytes) -> Response:
    media_type, content = _FORMS[ending](file)
    headers = dict(_PRIVATE)
    if ending == EXTENSION:
        headers["content-disposition"] = f'attachment; filename="vaccination{EXTENSION}"'
    return Response(content, media_type=media_type, headers=headers)


async def _face(context: Context, file: bytes, language: str) -> Face:
    """What is printed of the card, with what it is worth now."""
    (report,) = verify(file, await trust_list(context), context.clock() / 1_000_000)
    return face(report, language)


async def _file(context: Context, name: str) -> bytes:
    """The `.smart-health-card` file of this address. FhirError 404."""
    try:
        stored = await context.store.read(SERVER, allow_all, "Binary", name)
    except FhirError as error:
        raise error if error.status >= 500 else _unknown() from None
    binary = json.parse(stored.raw or b"{}")
    if binary.get("contentType") != MEDIA_TYPE:
        raise _unknown()
    return b64decode(binary["data"])


def _unknown() -> FhirError:
    return refuse(404, "not-found", "unknown-card", "There is no card at this address.")


@lru_cache(maxsize=256)
def _png(file: bytes) -> bytes:
    return png(read_file(file)[0], draw=matrix)


@lru_cache(maxsize=256)
def _svg(file: bytes) -> bytes:
    return svg(read_file(file)[0], draw=matrix)


_FORMS: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    ".png": lambda file: ("image/png", _png(file)),
    ".svg": lambda file: ("image/svg+xml", _svg(file)),
    EXTENSION: lambda file: (MEDIA_TYPE, file),
}
