"""Reply: what an interaction came to, before it becomes an HTTP answer.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.subset import Subset
from fhir_server.store.records import Stored


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and FHIR JSON body; `version` and `updated` become ETag and Last-Modified, `location` is relative to
    the base (`Patient/1/_history/2`). `written`: the body is the resource just written, which `Prefer` may withhold."""

    status: int
    body: bytes | None = None
    version: int | None = None
    updated: int | None = None
    location: str | None = None
    written: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/fhir+json"
    stream: AsyncIterator[bytes] | None = None
    """A body too large to be held at once, in place of `body`; `headers` name its content-length."""
    issues: tuple[Issue, ...] = ()
    """What is to be said of a resource that was written all the same."""


def of_stored(status: int, stored: Stored, *, location: bool = False, written: bool = False) -> Reply:
    """The reply that carries this version of a resource."""
    return Reply(
        status,
        stored.raw,
        stored.version,
        stored.updated,
        f"{stored.type}/{stored.id}/_history/{stored.version}" if location else None,
        written,
    )


def acknowledged(reply: Reply) -> Issue:
    """What an OperationOutcome says of the resource just written."""
    text = "The resource was created." if reply.status == 201 else "The resource was stored."
    return Issue("informational", "stored", text, (), "information")


def unmodified(reply: Reply, if_none_match: str | None, before: int | None) -> bool:
    """Whether the client has this version: by the entity tags it knows, else because it is older than `before`
    (microseconds since 1970)."""
    if if_none_match is not None:
        return is_known(f'"{reply.version}"', if_none_match)
    return before is not None and reply.updated is not None and reply.updated < before


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether an entity tag, in its quotes, is among those the client says it has; weak ones count."""
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return if_none_match.strip() == "*" or tag in tags


def narrowed(stored: Stored, asked: Subset | None) -> Stored:
    """The same version with the elements asked for; None asks for all."""
    return stored if asked is None or stored.raw is None else replace(stored, raw=asked(stored.raw))
