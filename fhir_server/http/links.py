"""SMART Health Links over HTTP: the manifest, the files, the one file of a direct link.

https://hl7.org/fhir/uv/smart-health-cards-and-links/links-specification.html

Who calls knows the address, and nothing else is asked of them but who they are (`recipient`, for the owner's log) and
the passcode. Unknown, expired, revoked and spent links look alike.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.http.exchange import Exchange
from fhir_server.http.wire import refusal
from fhir_server.operations.health_cards.links import id_of, is_active, is_passcode
from fhir_server.store.cards.links import StoredLink, Use

_JOSE = "application/jose"
_LOCATION_SECONDS = 3_600
_MAX_BODY = 10_000
_MAX_RECIPIENT = 200
_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def link_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`POST /shl/<token>` (manifest), `GET /shl/<token>?recipient=` (direct), `GET /shl/<token>/<number>?ticket=`."""

    async def manifest(request: Request) -> Response:
        try:
            asked = json.parse(await Exchange(context(), request.scope, request.receive).body(_MAX_BODY))
            recipient = _recipient(asked.get("recipient"))
            longest = asked.get("embeddedLengthMax")
            if longest is not None and (not isinstance(longest, int) or isinstance(longest, bool) or longest < 0):
                raise refuse(400, "value", "invalid-value", "embeddedLengthMax is a number of characters.")
            link = await _active(context(), request, direct=False)
            refused = await _passcode(context(), link, asked.get("passcode"), recipient)
            if refused is not None:
                return refused
            await _retrieve(context(), link, recipient, "manifest")
        except FhirError as error:
            return refusal(error)
        token = request.path_params["token"]
        files = [_listed(context(), link, token, number, longest) for number in range(len(link.files))]
        return JSONResponse({"status": "finalized", "files": files}, headers=_NO_STORE)

    async def direct(request: Request) -> Response:
        try:
            recipient = _recipient(request.query_params.get("recipient"))
            link = await _active(context(), request, direct=True)
            await _retrieve(context(), link, recipient, "direct")
        except FhirError as error:
            return refusal(error)
        return Response(link.files[0][1], media_type=_JOSE, headers=_NO_STORE)

    async def file(request: Request) -> Response:
        asked = request.path_params["number"]
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 5 else -1
        try:
            link = await _active(context(), request, direct=False, spent=True)
            if not 0 <= number < len(link.files) or not _is_ticket(
                context(), link, number, request.query_params.get("ticket")
            ):
                raise _inactive()
        except FhirError as error:
            return refusal(error)
        return Response(link.files[number][1], media_type=_JOSE, headers=_NO_STORE)

    return [
        Route("/shl/{token}", manifest, methods=["POST"]),
        Route("/shl/{token}", direct, methods=["GET"]),
        Route("/shl/{token}/{number}", file, methods=["GET"]),
    ]


async def _active(context: Context, request: Request, *, direct: bool, spent: bool = False) -> StoredLink:
    """The link of this address; `spent`: also one whose retrievals are used up. FhirError 404 for any other."""
    link = await context.store.links.find(id_of(request.path_params["token"]))
    if link is None or ("U" in link.flags) is not direct or not is_active(link, context.clock(), spent=spent):
        raise _inactive()
    return link


async def _passcode(context: Context, link: StoredLink, given: Any, recipient: str) -> Response | None:
    """The 401 for a missing or wrong passcode. The try is counted before it is looked at, so that many at once get no
    more tries than one after the other. FhirError 404 where none is left."""
    if link.passcode is None:
        return None
    links = context.store.links
    if not isinstance(given, str):
        # No try: there was nothing to look at.
        return JSONResponse({"remainingAttempts": link.tries}, 401, headers=_NO_STORE)
    left = await links.take_try(link.id)
    if left is None:
        raise _inactive()
    if await asyncio.to_thread(is_passcode, given, link.passcode):
        await links.give_back_try(link.id)
        return None
    await links.record(link.id, Use(context.clock(), recipient, "wrong-passcode"))
    return JSONResponse({"remainingAttempts": left}, 401, headers=_NO_STORE)


async def _retrieve(context: Context, link: StoredLink, recipient: str, outcome: str) -> None:
    """Count and record a retrieval before it is answered. FhirError 404 where the last one is taken."""
    if link.uses is not None and not await context.store.links.take_use(link.id):
        raise _inactive()
    await context.store.links.record(link.id, Use(context.clock(), recipient, outcome))


def _listed(context: Context, link: StoredLink, token: str, number: int, longest: int | None) -> dict[str, str]:
    kind, encrypted = link.files[number]
    if longest is not None and len(encrypted) <= longest:
        return {"contentType": kind, "embedded": encrypted.decode()}
    until = context.clock() // 1_000_000 + _LOCATION_SECONDS
    ticket = f"{until}.{_signed(context, link, number, until)}"
    return {"contentType": kind, "location": f"{context.settings.origin}/shl/{token}/{number}?ticket={ticket}"}


def _is_ticket(context: Context, link: StoredLink, number: int, ticket: str | None) -> bool:
    until, _, signature = (ticket or "").partition(".")
    if not (until.isascii() and until.isdigit() and len(until) <= 12 and signature.isascii()):
        return False
    fresh = int(until) * 1_000_000 > context.clock()
    return fresh and hmac.compare_digest(_signed(context, link, number, int(until)), signature)


def _signed(context: Context, link: StoredLink, number: int, until: int) -> str:
    return hmac.new(context.secret, f"link-file|{link.id}|{number}|{until}".encode(), hashlib.sha256).hexdigest()


def _recipient(given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        text = "'recipient' says who asks, for the owner of the link."
        raise refuse(400, "required", "missing-parameter", text, "recipient")
    return given.strip()[:_MAX_RECIPIENT]


def _inactive() -> FhirError:
    return refuse(404, "not-found", "unknown-link", "This link leads nowhere, or no longer.")
