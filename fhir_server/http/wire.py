"""The wire: the one place where replies and failures become HTTP answers.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from fhir_server.context import Context
from fhir_server.fhir import json, xml
from fhir_server.fhir.outcome import FhirError, Issue, operation_outcome, refuse
from fhir_server.fhir.sentences import SOURCE
from fhir_server.http.exchange import Exchange
from fhir_server.http.witness import attest
from fhir_server.interactions.reply import Reply, acknowledged, unmodified

log = logging.getLogger("fhir_server.http")

Handler = Callable[[Exchange], Awaitable[Reply]]

_LINGER_SECONDS = 5.0

_FHIR = "application/fhir+json"
FHIR_JSON = f"{_FHIR}; charset=utf-8"
FHIR_XML = "application/fhir+xml; charset=utf-8"


class Endpoint:
    """An address of the FHIR API: a pure ASGI application that picks the handler of the request's method."""

    def __init__(
        self,
        context: Callable[[], Context],
        handlers: Mapping[str, Handler],
        possible: Callable[[Mapping[str, str]], frozenset[str] | None] = lambda path: None,
        *,
        is_public: bool = False,
    ) -> None:
        self._context = context
        self._possible = possible
        """The methods of one address in particular, by its parts; None: all that have a handler."""
        self._handlers = dict(handlers)
        self.is_public = is_public
        """Whether it needs no access token."""
        if "GET" in self._handlers:
            self._handlers.setdefault("HEAD", self._handlers["GET"])

    @property
    def methods(self) -> frozenset[str]:
        """The methods that have a handler."""
        return frozenset(self._handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = self._context()
        exchange = None
        context.store.trail.expect()
        try:
            exchange = Exchange(context, scope, receive)
            async with asyncio.timeout(context.settings.request_seconds) as exchange.deadline:
                if not self.is_public and exchange.method != "OPTIONS":
                    await exchange.identify()
                response = await self._answer(exchange)
        except FhirError as error:
            response = refusal(error, exchange)
        except TimeoutError:
            if exchange is None:
                raise
            response = refusal(exchange.given_up(), exchange)
        except Exception as error:  # the boundary: whatever else failed is a fault of ours, told without its insides
            # A message may quote personal data: only the kind of failure and the places in our code are logged.
            log.error("%s in %s\n%s", type(error).__name__, scope.get("route"), _places(error))
            told = refuse(500, "exception", "internal", "The server failed; the failure has been logged.")
            response = refusal(told, exchange)
        finally:
            context.store.trail.arrived()
        if exchange is not None and not self.is_public:
            try:
                await attest(exchange, scope["path"], response)
            except FhirError as error:
                response = refusal(error, exchange)
        if scope["method"] == "HEAD":
            response = Response(status_code=response.status_code, headers=dict(response.headers))
        if response.headers.get("connection") == "close":
            await _send_and_linger(response, receive, send)
        else:
            await response(scope, receive, send)

    async def _answer(self, exchange: Exchange) -> Response:
        handler = self._handlers.get(exchange.method)
        if handler is None:
            allowed = ", ".join(sorted({*(self._possible(exchange.path) or self._handlers), "OPTIONS"}))
            if exchange.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": allowed})
            with contextlib.suppress(FhirError):
                exchange.negotiate()
            raise FhirError(
                405,
                [
                    Issue(
                        "not-supported",
                        "wrong-method",
                        f"{exchange.method} is not possible here; possible: {allowed}.",
                    )
                ],
                {"Allow": allowed},
            )
        exchange.negotiate()
        return respond(exchange, await handler(exchange))


class Elsewhere:
    """Every other address: with a slash at its end it means the one without, else there is nothing."""

    def __init__(self, routes: Iterable[BaseRoute], nowhere: Endpoint) -> None:
        self._routes = tuple(routes)
        self._nowhere = nowhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/"):
            meant = {**scope, "path": scope["path"].rstrip("/"), "path_params": {}}
            for route in self._routes:
                match, found = route.matches(meant)
                if match is Match.FULL:
                    await route.handle({**meant, **found}, receive, send)
                    return
        await self._nowhere(scope, receive, send)


async def _send_and_linger(response: Response, receive: Receive, send: Send) -> None:
    """Answer a request whose body was not read to its end, then pass over what still comes for a moment.

    A connection closed at once would be reset, and clients that are still sending would never see the answer.
    """
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                continue
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def respond(exchange: Exchange, reply: Reply) -> Response:
    """The HTTP answer for a reply, by the request's conditions and preferences."""
    headers = dict(reply.headers)
    headers["vary"] = "Accept"
    if reply.version is not None:
        headers["etag"] = f'W/"{reply.version}"'
    if reply.updated is not None:
        headers["last-modified"] = http_date(reply.updated)
    if reply.location is not None:
        headers["location"] = f"{exchange.context.settings.base}/{reply.location}"
    if exchange.method in ("GET", "HEAD") and reply.version is not None and _not_modified(exchange, reply):
        return Response(status_code=304, headers=headers)
    if reply.stream is not None:
        return _streamed(exchange, reply.stream, reply.status, headers)
    body = reply.body
    if reply.written:
        body = _preferred(exchange, reply, headers)
    if body is None:
        return Response(status_code=reply.status, headers=headers)
    headers["content-type"] = reply.media_type
    if reply.media_type == _FHIR:
        body, headers["content-type"] = _in_format(body, exchange, reply.status)
    return Response(body, reply.status, headers)


def _streamed(exchange: Exchange, stream: AsyncIterator[bytes], status: int, headers: dict[str, str]) -> Response:
    """FhirError 406 for XML, which would have to be made of the whole."""
    if exchange.format == "xml":
        text = "This answer is too large for XML; it can be had as application/fhir+json."
        raise refuse(406, "not-supported", "not-acceptable", text, "Accept")
    return StreamingResponse(stream, status, {**headers, "content-type": FHIR_JSON})


def refusal(error: FhirError, exchange: Exchange | None = None) -> Response:
    """The HTTP answer for a failure: its status and OperationOutcome, in the format the exchange has settled on."""
    language = exchange.language if exchange is not None else SOURCE
    body = json.dump(operation_outcome(error.issues, language))
    media_type = FHIR_JSON
    if exchange is not None:
        body, media_type = _in_format(body, exchange, error.status)
    headers = {"content-type": media_type, "content-language": language, "vary": "Accept, Accept-Language"}
    return Response(body, error.status, {**headers, **error.headers})


def http_date(updated: int) -> str:
    """Microseconds since 1970 as an HTTP date (whole seconds)."""
    return _date(updated // 1_000_000)


@lru_cache(maxsize=4_096)
def _date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def _in_format(body: bytes, exchange: Exchange, status: int) -> tuple[bytes, str]:
    """FHIR JSON in the format and layout asked for, with its media type.

    FhirError 406 where a string of what was read holds a character that XML has not. What a write has done can no
    longer be refused, and a refusal has to be told: they are answered in JSON then.
    """
    if exchange.format == "xml":
        try:
            return xml.to_xml(body, exchange.pretty), FHIR_XML
        except FhirError:
            if status == 200 and exchange.method in ("GET", "HEAD"):
                raise
    return json.pretty(body) if exchange.pretty else body, FHIR_JSON


def _preferred(exchange: Exchange, reply: Reply, headers: dict[str, str]) -> bytes | None:
    match exchange.prefer.get("return"):
        case "minimal":
            return None
        case "OperationOutcome":
            headers["content-language"] = exchange.language
            return json.dump(operation_outcome([*reply.issues, acknowledged(reply)], exchange.language))
        case _:
            return reply.body


def _not_modified(exchange: Exchange, reply: Reply) -> bool:
    asked, since = exchange.headers.get("if-none-match"), exchange.headers.get("if-modified-since")
    if asked is None and since is None:
        return False
    return unmodified(reply, asked, _next_second(since) if since is not None else None)


def _next_second(date: str) -> int | None:
    """The second after an HTTP date, in microseconds since 1970; None for what is no date."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (int(moment.timestamp()) + 1) * 1_000_000


def _places(error: BaseException) -> str:
    return "".join(
        f"  {frame.filename}:{frame.lineno} {frame.name}\n" for frame in traceback.extract_tb(error.__traceback__)
    )
