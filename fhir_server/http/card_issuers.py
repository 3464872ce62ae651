"""What the card issuers of this server publish: their public keys and revocation lists.

https://hl7.org/fhir/uv/smart-health-cards-and-links/cards-specification.html#determining-keys-associated-with-an-issuer
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.http.wire import refusal
from fhir_server.interactions.reply import is_known
from fhir_server.operations.health_cards.verify import revocation_list
from smart_health_cards import KeyFolder

KEYS_MAX_AGE = 3_600
"""Seconds; a key is published for longer than this before it signs."""
_KEPT = ("cache-control", "access-control-allow-origin", "etag")
"""Headers that an answer without content has, too."""
_LIST_MAX_AGE = 60
"""Seconds. Shorter than that of the keys: a list behind its key's crlVersion tells a verifier nothing."""


def issuer_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`/shc[/<tenant>]/.well-known/jwks.json` and `/shc[/<tenant>]/.well-known/crl/<kid>.json`."""

    async def keys(request: Request) -> Response:
        try:
            folder = _folder(context(), request.path_params.get("tenant"))
            revoked = await context().store.revocations.of(record.kid for record in folder.records())
        except FhirError as error:
            return refusal(error)
        versions = {kid: found.counter for kid, found in revoked.items()}
        return _published(request, folder.jwks(versions), KEYS_MAX_AGE)

    async def revocations(request: Request) -> Response:
        kid = request.path_params["kid"]
        try:
            folder = _folder(context(), request.path_params.get("tenant"))
            found = await context().store.revocations.of([kid] if kid in {key.kid for key in folder.records()} else [])
            if kid not in found:
                raise refuse(404, "not-found", "unknown-address", "No card of this key has been revoked.")
        except FhirError as error:
            return refusal(error)
        return _published(request, revocation_list(kid, found[kid]).document(), _LIST_MAX_AGE)

    return [
        Route(f"{place}/.well-known/{name}", handler)
        for place in ("/shc", "/shc/{tenant}")
        for name, handler in (("jwks.json", keys), ("crl/{kid}.json", revocations))
    ]


def _folder(context: Context, tenant: str | None) -> KeyFolder:
    if tenant is None:
        return context.card_keys
    if tenant not in context.tenants:
        raise refuse(404, "not-found", "unknown-address", "There is no such issuer here.")
    return context.tenants[tenant]


def _published(request: Request, document: Mapping[str, Any], max_age: int) -> Response:
    response = JSONResponse(document)
    response.headers["cache-control"] = f"public, max-age={max_age}"
    response.headers["access-control-allow-origin"] = "*"
    response.headers["etag"] = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
    if is_known(response.headers["etag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={name: response.headers[name] for name in _KEPT})
    return response
