"""Protocol: HTTP as uvicorn speaks it, with an end to heads of requests that never end, or never come.

https://cheatsheetseries.owasp.org/cheatsheets/Denial_of_Service_Cheat_Sheet.html

uvicorn waits for ever for a request's head and keeps all of it. What comes after the head is limited by exchange.py.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.http.wire import refusal

HEAD_SECONDS = 10.0
"""Within these a head must have come whole, counted from its first byte; a new connection's from its opening."""
MOST_HEAD = 65_536
"""Bytes; beyond 32,768 of headers, exchange.py tells more about it."""


class Guarded(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._heads = 0
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Somebody has connected, and is to say what they want."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a head, or of a body."""
        in_head, heads = self._in_head, self._heads
        super().data_received(data)
        # What also held the end of a head may have held much of a body.
        if in_head and self._in_head and self._heads == heads:
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse(431, "headers-too-long", f"Address and headers have more than {MOST_HEAD} bytes.")

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        super().on_message_begin()
        if self._deadline is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """A head has come whole."""
        self._forget_deadline()
        self._in_head, self._head = False, 0
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A body has come whole; the next head may follow."""
        self._in_head = True
        super().on_message_complete()

    def _expect_head(self) -> None:
        text = f"The request did not arrive within {HEAD_SECONDS:.0f} s."
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._refuse, 408, "slow-head", text)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, detail: str, text: str) -> None:
        self._forget_deadline()
        if self.transport.is_closing():
            return
        code = "too-long" if status == 431 else "timeout"
        answer = refusal(FhirError(status, (Issue(code, detail, text),), {"Connection": "close"}))
        lines = [b"HTTP/1.1 %d \r\n" % status, *(b"%s: %s\r\n" % header for header in answer.raw_headers), b"\r\n"]
        self.transport.write(b"".join([*lines, bytes(answer.body)]))
        self.transport.close()
