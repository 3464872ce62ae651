"""Post: hands messages to an SMTP server, and says when one is about to become the server's.

https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.4

A message is the server's once it has taken the line with the dot that ends it. All before that can be given up, so the
intent to send is recorded last, right before the dot (docs/decisions/0031-reminders.md; RFC 1047 tells of the gap).
"""

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from aiosmtplib.response import SMTPResponse

TIMEOUT = 30.0
"""Seconds for each answer but the last."""
END_TIMEOUT = 600.0
"""Seconds for the answer to the dot, as RFC 5321 wants it (4.5.3.2.6): who gives up sooner sends twice."""
AT_ONCE = 100
"""Messages for one connection."""

_TAKEN, _GO_ON, _CLOSING = 250, 354, 421
_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.\d{1,3}\b")


class UnavailableError(Exception):
    """The SMTP server cannot be used now, by anybody: away, or it does not take messages from us."""


class InDoubtError(Exception):
    """The message may have been taken, or not; nobody will ever know."""


class RefusedError(Exception):
    """The server did not take this message: `lasting` for this recipient for good. `code` is its reply code."""

    def __init__(self, code: int, *, lasting: bool) -> None:
        super().__init__(code)
        self.code, self.lasting = code, lasting


@dataclass(frozen=True, slots=True)
class Account:
    """Where messages are handed in. `security` is `tls` from the first byte, `starttls`, or `none`."""

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    context: ssl.SSLContext | None = None
    """Instead of the system's authorities."""


class Post:
    """One connection at a time, opened when it is needed. `close` it at the end."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._client: SMTP | None = None
        self._sent = 0

    async def hand_over(
        self, content: bytes, recipient: str, intend: Callable[[], Awaitable[None]], *, utf8: bool = False
    ) -> None:
        """Give the server one message for one recipient. `intend` is awaited when all but the end is over: if it
        raises, nothing is sent. RefusedError, UnavailableError, InDoubtError."""
        client = await self._connected()
        try:
            await self._announce(client, recipient, utf8=utf8)
            client.protocol.write(content)  # type: ignore[union-attr]  # connected: it has just answered
        except (SMTPException, OSError) as error:
            self._drop()
            raise UnavailableError(type(error).__name__) from None
        try:
            await intend()
        except BaseException:
            # Without the dot the server forgets the message.
            self._drop()
            raise
        try:
            answer = await client.execute_command(b".", timeout=END_TIMEOUT)
        except (SMTPServerDisconnected, SMTPTimeoutError, OSError):
            self._drop()
            raise InDoubtError from None
        self._sent += 1
        if answer.code != _TAKEN:
            raise _refused(answer)

    async def close(self) -> None:
        """Say goodbye."""
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            try:
                await client.quit(timeout=5)
            except (SMTPException, OSError):
                client.close()

    async def check(self) -> None:
        """UnavailableError unless the server can be reached and lets us in."""
        await self._connected()

    async def _announce(self, client: SMTP, recipient: str, *, utf8: bool) -> None:
        """Sender and recipient, up to the server's word to go on. RefusedError leaves the connection ready."""
        options = ["SMTPUTF8"] if utf8 else []
        if utf8 and client.is_ehlo_or_helo_needed:
            await client.ehlo()
        if utf8 and not client.supports_extension("smtputf8"):
            raise RefusedError(553, lasting=True)
        await client.mail(self._account.sender, options=options)
        try:
            await client.rcpt(recipient, encoding="utf-8")
        except SMTPRecipientRefused as error:
            await self._back(client, error.code)
            raise _refused(SMTPResponse(error.code, error.message)) from None
        except ValueError:
            await self._back(client, 0)
            raise RefusedError(553, lasting=True) from None
        answer = await client.execute_command(b"DATA")
        if answer.code != _GO_ON:
            await self._back(client, answer.code)
            raise _refused(answer)

    async def _back(self, client: SMTP, code: int) -> None:
        """To where a message begins."""
        if code == _CLOSING:
            self._drop()
            raise UnavailableError("the server closes")
        await client.rset()

    async def _connected(self) -> SMTP:
        if self._client is not None and self._client.is_connected and self._sent < AT_ONCE:
            return self._client
        await self.close()
        account = self._account
        client = SMTP(
            hostname=account.host,
            port=account.port,
            username=account.user or None,
            password=account.password or None,
            use_tls=account.security == "tls",
            start_tls=account.security == "starttls",
            tls_context=account.context,
            local_hostname=account.sender.rpartition("@")[2],
            timeout=TIMEOUT,
        )
        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            client.close()
            raise UnavailableError(type(error).__name__) from None
        self._client, self._sent = client, 0
        return client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _refused(answer: SMTPResponse) -> RefusedError:
    """Lasting is what is said of the mailbox. A refusal for reasons of policy or configuration (X.7.1: relaying
    denied; 530: log in first) would meet everybody, and be mended by whoever runs the servers."""
    found = _ENHANCED.match(answer.message)
    lasting = 500 <= answer.code < 600 and answer.code not in (530, 534, 535, 538)
    if found is not None:
        lasting = lasting and found[1] == "5" and found[2] in ("1", "2", "6")
    return RefusedError(answer.code, lasting=lasting)
