"""Exchange: one HTTP request as the interactions need it: negotiated, limited, with its caller.

https://hl7.org/fhir/R4/http.html#general
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import cached_property
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from fhir_server.access import emergency, policy
from fhir_server.access.tokens import caller_of
from fhir_server.caller import DEVELOPER, NOBODY, Caller, Predicate, Trace, allow_all, allow_none
from fhir_server.context import Context
from fhir_server.fhir import pairs, sentences, xml
from fhir_server.fhir.outcome import FhirError, Issue, refuse
from fhir_server.http import formats
from fhir_server.http.formats import Format

_MAX_URL = 8_192
_MAX_HEADERS = 32_768
_CONTROL = frozenset({"_format", "_pretty"})
_CLOSE = {"Connection": "close"}
"""So that the rest of what was refused need not be read."""


class Exchange:
    """One request. Raises FhirError as soon as something about it is not acceptable."""

    format: Format = "json"
    pretty = False
    """The answer's format and whether it is indented, as `negotiate` settles them."""
    native = ""
    """The media ranges of a client that takes what a Binary holds, but no FHIR."""
    deadline: asyncio.Timeout | None = None
    """When the request is given up."""
    _waiting = False
    """Whether more of the body is waited for."""

    def __init__(self, context: Context, scope: Scope, receive: Receive) -> None:
        self.context = context
        self.method: str = scope["method"]
        self.scope = scope
        self.path: dict[str, str] = scope.get("path_params", {})
        self.headers = Headers(scope=scope)
        self._query: bytes = scope["query_string"]
        self._receive = receive
        self.caller: Caller = NOBODY
        self.predicate: Predicate = allow_none
        self.trace = Trace()
        self.form: tuple[str, ...] = ()
        """The form of a search by POST, as it came."""
        if len(scope["raw_path"]) + len(self._query) > _MAX_URL:
            raise refuse(
                414, "too-long", "url-too-long", f"The address has more than {_MAX_URL} bytes; use POST _search."
            )
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADERS:
            text = f"The headers have more than {_MAX_HEADERS} bytes."
            raise FhirError(431, [Issue("too-long", "headers-too-long", text)], _CLOSE)

    @property
    def address(self) -> bytes:
        """Path and query as they came."""
        raw: bytes = self.scope["raw_path"]
        return raw + b"?" + self._query

    async def identify(self) -> None:
        """Settle `caller` and `predicate` by the access token. FhirError 401 without a valid one, 400 for several; 400,
        403 for breaking the glass in vain."""
        settings = self.context.settings
        if settings.dev:
            self.caller, self.predicate = DEVELOPER, allow_all
            return
        caller = await caller_of(self.context, self.headers.getlist("authorization"))
        given = self.headers.get(emergency.HEADER)
        self.caller = caller if given is None else emergency.breaking(caller, given, self.method)
        access = policy.access(self.caller, self.context.clock(), settings.small_cell)
        self.predicate = replace(access, trace=self.trace)

    @property
    def query(self) -> str:
        """The query string, as it came."""
        return self._query.decode("latin-1")

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The parameters of the query and of a form, as far as they can be read."""
        try:
            return [pair for text in (self.query, *self.form) for pair in pairs.pairs(text)]
        except FhirError:
            return []

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Query parameters in order, decoded. FhirError 400 for bytes that are not UTF-8."""
        return pairs.of_bytes(self._query)

    @cached_property
    def parameters(self) -> list[tuple[str, str]]:
        """Query parameters without those that only shape the answer (`_format`, `_pretty`)."""
        return [pair for pair in self.pairs if pair[0] not in _CONTROL]

    def require_no_parameters(self) -> None:
        """FhirError 400 for query parameters where none has a meaning."""
        for name, _ in self.parameters:
            raise refuse(400, "not-supported", "unknown-parameter", f"'{name}' has no meaning at this address.", name)

    @cached_property
    def prefer(self) -> dict[str, str]:
        """The Prefer header's tokens: {"return": "minimal", "handling": "lenient", "respond-async": ""}."""
        header = ",".join(self.headers.getlist("prefer"))
        items = (item.strip().partition("=") for item in header.replace(";", ",").split(",") if item.strip())
        return {name.strip().lower(): value.strip().strip('"') for name, _, value in items}

    @property
    def lenient(self) -> bool:
        """Whether unknown search parameters are to be reported instead of refused."""
        return self.prefer.get("handling") == "lenient"

    @cached_property
    def language(self) -> str:
        """The language of ours that Accept-Language prefers, English where it names none."""
        best, quality = sentences.SOURCE, 0.0
        for item in self.headers.get("accept-language", "").split(","):
            tag, _, weight = item.strip().partition(";q=")
            try:
                q = float(weight) if weight else 1.0
            except ValueError:
                continue
            language = tag.strip().lower().split("-")[0]
            if q > quality and language in sentences.languages():
                best, quality = language, q
        return best

    def negotiate(self) -> None:
        """Settle `format` and `pretty`, those of the answer: by `_format` and `_pretty`, else by Accept.

        FhirError 406 where no format is both wanted and spoken here.
        """
        if self._query and self.shape(self.pairs):
            return
        accept = self.headers.get("accept")
        if not accept or accept == "*/*" or accept == "application/fhir+json":
            return
        ranges = ",".join(self.headers.getlist("accept"))
        format = formats.negotiated(ranges)
        if format is None and self._reads_binary:
            self.native = ranges
            return
        self.format = format or not_acceptable("Accept", ranges)

    @property
    def _reads_binary(self) -> bool:
        asked = (self.path.get("id"), self.path.get("version"))
        is_read = self.method in ("GET", "HEAD") and self.scope["path"].rpartition("/")[2] in asked
        return is_read and self.path.get("type") == "Binary"

    def shape(self, given: Iterable[tuple[str, str]]) -> bool:
        """Take `_format` and `_pretty` from these pairs; whether a format was among them. FhirError 406 likewise."""
        asked = None
        for name, value in given:
            if name == "_pretty":
                self.pretty = value == "true"
            elif name == "_format" and asked is None:
                asked = value
        if asked is None:
            return False
        # A bare plus in a query string decodes to a space: `_format=application/fhir json`.
        self.format = formats.named(asked.replace(" ", "+")) or not_acceptable("_format", asked)
        return True

    def given_up(self) -> FhirError:
        """What is told of a request whose time is over: 408 where it was still to come, else 503."""
        if self._waiting:
            return refuse(408, "timeout", "slow-body", "The body did not arrive in time.")
        issue = Issue("timeout", "out-of-time", "The request took too long and was given up.")
        return FhirError(503, [issue], {"Retry-After": "2"})

    async def resource(self, limit: int) -> bytes:
        """The body as FHIR JSON, also where it came as XML.

        FhirError 415 for other media types (none declared is JSON), 400 for XML that is not FHIR's, and as of `body`.
        """
        declared = self.headers.get("content-type")
        format = "json" if declared is None else formats.named(declared)
        if format is None:
            raise refuse(
                415,
                "not-supported",
                "unsupported-content-type",
                f"The body is declared as '{declared}'; this address takes application/fhir+json and "
                "application/fhir+xml.",
                "Content-Type",
            )
        body = await self.body(limit)
        return xml.from_xml(body) if format == "xml" and body else body

    @property
    def media_type(self) -> str:
        """The body's media type, without parameters, in lower case; empty when not declared."""
        return formats.essence(self.headers.get("content-type", ""))

    async def body(self, limit: int) -> bytes:
        """The whole body. FhirError 413 past `limit` bytes, 408 when it does not arrive in time."""
        chunks = [chunk async for chunk in self.stream(limit)]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def stream(self, limit: int, pace: int | None = None) -> AsyncIterator[bytes]:
        """The body in chunks, under the same limits as `body`; with a `pace` (bytes a second) the request may take
        longer by as much as the body takes at that pace."""
        encoding = self.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise refuse(
                415, "not-supported", "unsupported-encoding", f"Content-Encoding '{encoding}' is not accepted."
            )
        length = self.headers.get("content-length", "0")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        received = 0
        while True:
            self._waiting = True
            try:
                # Not wait_for: until Python 3.12 it can swallow the deadline around it.
                async with asyncio.timeout(self.context.settings.request_seconds):
                    message = await self._receive()
            except TimeoutError:
                raise self.given_up() from None
            self._waiting = False
            if message["type"] == "http.disconnect":
                raise refuse(400, "incomplete", "cut-off", "The connection was closed before the body was complete.")
            chunk = message.get("body", b"")
            received += len(chunk)
            if received > limit:
                raise _too_large(limit)
            if chunk:
                if pace is not None and self.deadline is not None and not self.deadline.expired():
                    self.deadline.reschedule((self.deadline.when() or 0.0) + len(chunk) / pace)
                yield chunk
            if not message.get("more_body", False):
                return


def not_acceptable(place: str, asked: str) -> NoReturn:
    """FhirError 406."""
    raise refuse(
        406,
        "not-supported",
        "not-acceptable",
        f"'{asked}' is not a format this server answers in; it answers application/fhir+json and application/fhir+xml.",
        place,
    )


def _too_large(limit: int) -> Exception:
    issue = Issue("too-long", "body-too-large", f"The body is larger than the {limit} bytes accepted here.")
    return FhirError(413, [issue], _CLOSE)
