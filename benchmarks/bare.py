"""The ceiling: an application that answers every request with the same 700 bytes, served the same way."""

from starlette.types import Receive, Scope, Send

_BODY = b"x" * 700
_HEADERS = [(b"content-type", b"application/fhir+json"), (b"content-length", b"700")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})
