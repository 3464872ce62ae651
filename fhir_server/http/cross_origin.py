"""Cross-origin: whose scripts, in a browser, may read what this server answers.

https://fetch.spec.whatwg.org/#http-cors-protocol

Scripts of registered clients' origins; everybody's for what is public anyway (metadata, keys, SMART Health Links); and
everybody's for everything under `--dev`. A browser that asks beforehand (OPTIONS) is answered here.
"""

import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT_SECONDS = 5.0
"""So long does it take until a new client's origin is known to a process."""

PUBLIC = ("/fhir/metadata", "/fhir/.well-known/", "/oauth/jwks.json", "/shc/", "/shl/", "/openapi.json", "/livez")
_ALLOW_ORIGIN = b"access-control-allow-origin"
_METHODS = b"GET, POST, PUT, PATCH, DELETE, HEAD"
_EXPOSED = b"ETag, Last-Modified, Location, Content-Location, X-Progress, Retry-After, WWW-Authenticate"
_MAX_AGE = b"600"

Origins = Callable[[], Awaitable[frozenset[str]]]


class CrossOrigin:
    """The application with CORS; `origins` gives those of the registered clients, None stands for everybody."""

    def __init__(self, app: ASGIApp, origins: Origins | None) -> None:
        self._app = app
        self._origins = origins
        self._kept: frozenset[str] = frozenset()
        self._looked_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {name: value for name, value in scope["headers"] if name in _READ}
        origin = given.get(b"origin")
        if origin is None:
            await self._app(scope, receive, send)
            return
        allowed = await self._allowed(scope["path"], origin)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in given:
            await _answer(send, allowed, given.get(b"access-control-request-headers"))
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Card issuers' keys carry it for everybody; said twice, browsers take neither.
                headers = [header for header in message.get("headers", ()) if header[0] != _ALLOW_ORIGIN]
                if allowed is not None:
                    headers.append((_ALLOW_ORIGIN, allowed))
                    headers.append((b"access-control-expose-headers", _EXPOSED))
                if allowed != b"*":
                    headers.append((b"vary", b"Origin"))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, sending)

    async def _allowed(self, path: str, origin: bytes) -> bytes | None:
        """What may be answered as the origin allowed; None for one that is not."""
        if self._origins is None or path.startswith(PUBLIC):
            return b"*"
        now = time.monotonic()
        if now - self._looked_at > KEPT_SECONDS:
            self._kept, self._looked_at = await self._origins(), now
        return origin if origin.decode("latin-1") in self._kept else None


_READ = frozenset({b"origin", b"access-control-request-method", b"access-control-request-headers"})


async def _answer(send: Send, allowed: bytes | None, asked: bytes | None) -> None:
    """Whether the request that a browser asks about may be made."""
    headers = [(b"vary", b"Origin, Access-Control-Request-Headers"), (b"content-length", b"0")]
    if allowed is not None:
        headers += [
            (_ALLOW_ORIGIN, allowed),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _MAX_AGE),
            *([(b"access-control-allow-headers", asked)] if asked is not None else []),
        ]
    await send({"type": "http.response.start", "status": 204 if allowed is not None else 403, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
