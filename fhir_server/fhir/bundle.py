"""Bundle: searchsets, histories and batch responses, spliced from the bytes of their resources.

https://hl7.org/fhir/R4/bundle.html

Nothing here parses a resource: what was stored is what is sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fhir_server.fhir.json import dump, instant

Mode = Literal["match", "include", "outcome"]
Kind = Literal["searchset", "history", "batch-response", "transaction-response"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `raw` is the resource's JSON; `mode` says why a searchset has it."""

    raw: bytes | None = None
    full_url: str | None = None
    mode: Mode | None = None
    request: "Request | None" = None
    response: "Response | None" = None


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, in a history: `PUT`, `Patient/1`."""

    method: str
    url: str


@dataclass(frozen=True, slots=True)
class Response:
    """What came of it. `status` as in HTTP (`201 Created`); `updated` in microseconds since 1970; `outcome` the JSON of
    an OperationOutcome."""

    status: str
    location: str | None = None
    version: int | None = None
    updated: int | None = None
    outcome: bytes | None = None


def searchset(
    entries: Iterable[Entry], links: Mapping[str, str], total: int | None = None, updated: int | None = None
) -> bytes:
    """A searchset. `links` by relation (`self`, `next`), in that order; `total` only where it is exact."""
    return bundle("searchset", entries, links, total, updated)


def bundle(
    kind: Kind,
    entries: Iterable[Entry],
    links: Mapping[str, str] | None = None,
    total: int | None = None,
    updated: int | None = None,
) -> bytes:
    """A Bundle of this kind as compact JSON; `updated` is when it was made, in microseconds since 1970."""
    parts = [b'{"resourceType":"Bundle"']
    if updated is not None:
        parts.append(b',"meta":{"lastUpdated":"%b"}' % instant(updated).encode())
    parts.append(b',"type":"%b"' % kind.encode())
    if total is not None:
        parts.append(b',"total":%d' % total)
    if links:
        parts.append(b',"link":' + dump([{"relation": relation, "url": url} for relation, url in links.items()]))
    spliced: Sequence[bytes] = [_entry(entry) for entry in entries]
    # An empty array is not valid FHIR: no entries, no member.
    if spliced:
        parts += (b',"entry":[', b",".join(spliced), b"]")
    parts.append(b"}")
    return b"".join(parts)


def outcome(raw: bytes, full_url: str | None = None) -> Entry:
    """An OperationOutcome beside what a searchset found."""
    return Entry(raw, full_url, "outcome")


def _entry(entry: Entry) -> bytes:
    members = []
    if entry.full_url is not None:
        members.append(b'"fullUrl":' + dump(entry.full_url))
    if entry.raw is not None:
        members.append(b'"resource":' + entry.raw)
    if entry.mode is not None:
        members.append(b'"search":{"mode":"%b"}' % entry.mode.encode())
    if entry.request is not None:
        members.append(b'"request":' + dump({"method": entry.request.method, "url": entry.request.url}))
    if entry.response is not None:
        members.append(b'"response":' + _response(entry.response))
    return b"{" + b",".join(members) + b"}"


def _response(response: Response) -> bytes:
    members = [b'"status":' + dump(response.status)]
    if response.location is not None:
        members.append(b'"location":' + dump(response.location))
    if response.version is not None:
        members.append(b'"etag":"W/\\"%d\\""' % response.version)
    if response.updated is not None:
        members.append(b'"lastModified":"%b"' % instant(response.updated).encode())
    if response.outcome is not None:
        members.append(b'"outcome":' + response.outcome)
    return b"{" + b",".join(members) + b"}"
