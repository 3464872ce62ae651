"""Hardening: the headers that every answer has, whatever it is.

https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_YEAR = 31_536_000


class Hardening:
    """The application whose answers are what they are declared to be, and, under https, are asked for by https only."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._headers = [(b"x-content-type-options", b"nosniff")]
        if origin.startswith("https://"):
            self._headers.append((b"strict-transport-security", f"max-age={_YEAR}".encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message.get("headers", ())}
                added = [header for header in self._headers if header[0] not in present]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, sending)
