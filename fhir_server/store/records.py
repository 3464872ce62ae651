"""What goes into the store and what comes out: Stored, the writes, Selection and Page.

https://hl7.org/fhir/R4/http.html
"""

from dataclasses import dataclass, field
from typing import Literal

from fhir_server.fhir.condition import Condition
from fhir_server.fhir.index import Entries

ANY_VERSION = -1
"""As the version a write expects: whichever, but there must be one (If-Match: *)."""

Method = Literal["POST", "PUT", "PATCH", "DELETE"]
"""The HTTP method that made a version."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource. `raw` is the exact answer body, compact JSON with id and meta stamped; None when
    this version is a deletion. `updated` is in microseconds since 1970, UTC; `created`: nothing was there before;
    `patients` are those whom what was read is about (`Patient/1`), which not every extract of it tells."""

    type: str
    id: str
    version: int
    updated: int
    raw: bytes | None
    method: Method = "PUT"
    created: bool = False
    patients: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """The precondition of a conditional create: nothing satisfies `where`. `criteria` is its canonical text, the
    unique key of the promise; `domain` keeps callers who see different worlds apart."""

    criteria: str
    where: Condition
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Tie:
    """A relationship with the Organization of this id: for which of `REASONS`, and the resource it is learnt from."""

    organization: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Create:
    """Insert under a new id. With `unless`, answer the one resource that already satisfies it instead; or, with
    `must_create` (transactions, whose other entries refer to the new id), raise ClaimTaken and write nothing.
    `ties` are relationships that a Patient has from the start, besides those the resource itself shows."""

    type: str
    id: str
    body: bytes
    entries: Entries
    unless: Claim | None = None
    must_create: bool = False
    ties: tuple[Tie, ...] = ()


class ClaimTaken(Exception):  # noqa: N818 - not an error: an event to start afresh on
    """A `must_create` found its precondition taken; the whole commit was given up and may be prepared afresh."""


@dataclass(frozen=True, slots=True)
class Update:
    """Replace where `may_replace`, or create under the client's id where `may_create`. `expected` is the version of
    If-Match. `unless` and `must_create` are those of a Create: a conditional update under a client's id. So are `ties`,
    where it creates."""

    type: str
    id: str
    body: bytes
    entries: Entries
    expected: int | None = None
    may_create: bool = True
    method: Literal["PUT", "PATCH"] = "PUT"
    may_replace: bool = True
    unless: Claim | None = None
    must_create: bool = False
    ties: tuple[Tie, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete. Deleting what is deleted or was never there changes nothing and is no error."""

    type: str
    id: str
    expected: int | None = None


Write = Create | Update | Delete


@dataclass(frozen=True, slots=True)
class Committed:
    """What a write came to. `matched`: a conditional create found its resource and wrote nothing."""

    stored: Stored | None
    effect: Literal["created", "updated", "deleted", "matched", "unchanged"]

    @property
    def changed(self) -> bool:
        """Whether the write made a version."""
        return self.effect not in ("matched", "unchanged")


@dataclass(frozen=True, slots=True)
class Once:
    """The promise to do a commit once: recorded with it under `key`, for `seconds`. `fingerprint` tells the request
    from others with the same key. `besides` are outcomes to be recorded after those of the writes, and `numbers` what
    the caller calls all of them."""

    key: str
    fingerprint: str
    seconds: int
    numbers: tuple[int, ...] = ()
    besides: tuple[Committed, ...] = ()


@dataclass(frozen=True, slots=True)
class Recalled:
    """What came of a commit that was done under a `Once`."""

    committed: tuple[Committed, ...]
    numbers: tuple[int, ...]


class AlreadyDone(Exception):  # noqa: N818 - not an error: an event to answer from what is recorded
    """A commit under a `Once` that has been done before; nothing is written."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """A parameter's name, `_id` or `_lastUpdated`; resources without the value come last either way."""

    parameter: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """One page of one type. `after` is the previous page's `next`: a keyset position, never an offset."""

    type: str
    where: Condition
    sort: tuple[SortKey, ...] = ()
    limit: int = 50
    after: tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order; `next` is the position to go on from, None at the end. `positions`: those of the rows, where a
    search has a `sort`."""

    rows: tuple[Stored, ...]
    next: tuple[str | int, ...] | None
    positions: tuple[tuple[str | int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """Which versions of a history: made at `since` or later; current at some instant of `at` = [from, to). Both in
    microseconds since 1970, UTC."""

    since: int | None = None
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a Group: the reference it is known by (`Patient/1`) and its JSON, compact, as it stands in
    `Group.member`."""

    reference: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Members in the order they were added; `next` is the position to go on from, None at the end."""

    members: tuple[Member, ...]
    next: int | None
