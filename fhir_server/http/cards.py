"""Cards over HTTP: a card's QR picture and file.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html

A card's address is a secret of its holder: whoever knows it may fetch the card, and it cannot be guessed.
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
from fhir_server.http.wire import refusal
from smart_health_cards import png, read_file, svg
from smart_health_cards.file import EXTENSION, MEDIA_TYPE

_PRIVATE = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}


def card_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`/cards/<opaque>.png|.svg|.smart-health-card`."""

    async def card(request: Request) -> Response:
        name, _, ending = request.path_params["file"].partition(".")
        draw = _FORMS.get("." + ending)
        try:
            if draw is None:
                raise _unknown()
            file = await _file(context(), name)
        except FhirError as error:
            return refusal(error)
        media_type, content = draw(file)
        headers = dict(_PRIVATE)
        if "." + ending == EXTENSION:
            headers["content-disposition"] = f'attachment; filename="vaccination{EXTENSION}"'
        return Response(content, media_type=media_type, headers=headers)

    return [Route("/cards/{file}", card)]


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
    return png(read_file(file)[0])


@lru_cache(maxsize=256)
def _svg(file: bytes) -> bytes:
    return svg(read_file(file)[0])


_FORMS: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    ".png": lambda file: ("image/png", _png(file)),
    ".svg": lambda file: ("image/svg+xml", _svg(file)),
    EXTENSION: lambda file: (MEDIA_TYPE, file),
}
