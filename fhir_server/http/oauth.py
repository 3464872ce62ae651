"""OAuth over HTTP: the endpoints that apps and systems call: token, revocation, introspection, keys, launch.

https://hl7.org/fhir/smart-app-launch/app-launch.html and https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fhir_server.access import introspection, launches, rates, server
from fhir_server.access.authority import Authority
from fhir_server.access.judge import Answer
from fhir_server.access.launches import Launch
from fhir_server.access.tokens import caller_of
from fhir_server.context import Context
from fhir_server.fhir import json
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.pairs import of_bytes
from fhir_server.http.forms import FORM, body, exchange_of, repeated
from fhir_server.http.wire import refusal

_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}
_KEYS_SECONDS = 3_600
_LAUNCHERS = frozenset({"provider", "registry", "administrator"})

Endpoint = Callable[[Authority, Mapping[str, str], str | None], Awaitable[Answer]]


def oauth_routes(context: Callable[[], Context]) -> list[BaseRoute]:
    """`POST /oauth/token`, `/oauth/revoke`, `/oauth/introspect`, `/oauth/launch`; `GET /oauth/jwks.json`."""

    def endpoint(decide: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                return await _answered(context(), request, decide)
            except FhirError as error:
                return _refusal(error)

        return handle

    async def keys(request: Request) -> Response:
        published = context().authority.token_keys.published(context().authority.now())
        return JSONResponse(published, headers={"cache-control": f"public, max-age={_KEYS_SECONDS}"})

    async def launch(request: Request) -> Response:
        try:
            return JSONResponse(await _launched(context(), request), 201, _NO_STORE)
        except FhirError as error:
            return _refusal(error)

    return [
        Route("/oauth/token", endpoint(server.token), methods=["POST"]),
        Route("/oauth/revoke", endpoint(introspection.revoke), methods=["POST"]),
        Route("/oauth/introspect", endpoint(introspection.introspect), methods=["POST"]),
        Route("/oauth/launch", launch, methods=["POST"]),
        Route("/oauth/jwks.json", keys, methods=["GET"]),
    ]


async def _answered(context: Context, request: Request, decide: Endpoint) -> Response:
    exchange = exchange_of(context, request)
    if exchange.media_type != FORM:
        return _response(_invalid(f"The body is {FORM}."))
    sent = await body(exchange)
    try:
        pairs = [(name, value) for name, value in of_bytes(sent) if value]
    except FhirError:
        return _response(_invalid("The body is no form in UTF-8, or has too many parameters."))
    twice = repeated(pairs)
    if twice is not None or exchange.headers.getlist("authorization")[1:]:
        return _response(_invalid("A parameter is given more than once."))
    if exchange.pairs:
        return _response(_invalid("Parameters stand in the body, not in the address, which others log."))
    form, authorization = dict(pairs), request.headers.get("authorization")
    who = rates.who(form, authorization, request.client.host if request.client is not None else "")
    await rates.require_slow(context.authority, who)
    return _response(await decide(context.authority, form, authorization))


def _response(answer: Answer) -> Response:
    return JSONResponse(answer.body, answer.status, {**_NO_STORE, **answer.headers})


def _refusal(error: FhirError) -> Response:
    return refusal(FhirError(error.status, error.issues, {**_NO_STORE, **error.headers}))


def _invalid(description: str) -> Answer:
    return Answer(400, {"error": "invalid_request", "error_description": description})


async def _launched(context: Context, request: Request) -> dict[str, Any]:
    """`{"launch", "url"}` for `{"client", "patient", "encounter", "user", "intent", "need_patient_banner"}`."""
    caller = await caller_of(context, request.headers.getlist("authorization"))
    if not caller.roles & _LAUNCHERS:
        raise refuse(403, "forbidden", "beyond-role", "Only systems of health care and providers launch apps.")
    given = json.parse(await body(exchange_of(context, request)))
    for name in ("client", "patient", "encounter", "user", "intent"):
        if not isinstance(given.get(name, ""), str):
            raise refuse(400, "value", "invalid-value", f"'{name}' is a text.", name)
    client = await context.store.clients.find(given.get("client", ""))
    if client is None or not client.enabled or not client.redirect_uris:
        raise refuse(404, "not-found", "unknown-app", "No app that can be launched has this id.", "client")
    word, address = await launches.begin(
        context.authority,
        client,
        Launch(
            given.get("patient", ""),
            given.get("encounter", ""),
            given.get("user", ""),
            given.get("intent", ""),
            given.get("need_patient_banner", True) is not False,
        ),
    )
    return {"launch": word, "url": address, "expires_in": context.authority.lifetimes.launch}
