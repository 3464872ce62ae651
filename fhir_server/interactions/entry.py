"""Entry: one request inside a batch or transaction, taken apart.

https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.request
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from fhir_server.context import Context
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.interactions.incoming import known_type, legal_id
from profiles.definitions import RESOURCE_TYPES


class _Raw(msgspec.Struct):
    resource: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _RawBundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []


_raw_bundle = msgspec.json.Decoder(_RawBundle)
_raw_entry = msgspec.json.Decoder(_Raw)

_HEADERS = {"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch", "If-None-Exist": "ifNoneExist"}
"""Headers that an entry of a Bundle has as elements."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`number` is the entry's place; `type`, `id` and `criteria` come from request.url (`Patient?identifier=..`).

    `owner` is whose compartment is searched: of `Patient/1/Immunization` it is `("Patient", "1")`.
    """

    number: int
    method: str
    type: str | None
    id: str | None
    version: str | None
    history: bool
    criteria: str | None
    full_url: str | None
    if_match: str | None
    if_none_match: str | None
    if_none_exist: str | None
    resource: dict[str, Any] | None
    body: bytes
    owner: tuple[str, str] | None = None

    @property
    def expression(self) -> str:
        """Where the entry stands: `Bundle.entry[3]`."""
        return f"Bundle.entry[{self.number}]"

    def refuse(self, status: int, code: str, detail: str, text: str, member: str = "") -> FhirError:
        """A FhirError about this entry, or about a member of it."""
        return FhirError(status, [Issue(code, detail, text, (f"{self.expression}{'.' if member else ''}{member}",))])


def take_apart(
    context: Context, bundle: dict[str, Any], body: bytes, refused: Mapping[int, FhirError]
) -> list[Entry | FhirError]:
    """The entries of a Bundle (`body`: its compact bytes); a FhirError stands where one cannot be understood.

    `refused`, by number, were found wrong before and are not looked into.
    """
    found = bundle.get("entry", [])
    raws = _raw_bundle.decode(body).entry
    entries: list[Entry | FhirError] = []
    for number, (entry, raw) in enumerate(zip(found, raws, strict=True)):
        if number in refused:
            entries.append(refused[number])
            continue
        try:
            resource = _raw_entry.decode(raw).resource
            content = b"" if isinstance(resource, msgspec.UnsetType) else bytes(resource)
            entries.append(_entry(context, number, entry, content))
        except FhirError as error:
            entries.append(within(error, f"Bundle.entry[{number}]"))
    return entries


def within(error: FhirError, place: str) -> FhirError:
    """The same failure, its expressions led back to the entry at `place`."""
    return FhirError(error.status, [_at(issue, place) for issue in error.issues], error.headers)


def _at(issue: Issue, place: str) -> Issue:
    expressions = tuple(_led(expression, place) for expression in issue.expression) or (place,)
    return Issue(issue.code, issue.detail, issue.text, expressions, issue.severity)


def _led(expression: str, place: str) -> str:
    if expression.startswith("Bundle.entry["):
        return expression
    if expression in _HEADERS:
        return f"{place}.request.{_HEADERS[expression]}"
    if expression.startswith("patch"):
        return f"{place}.resource.data"
    head, dot, rest = expression.partition(".")
    return f"{place}.resource{dot}{rest}" if head in RESOURCE_TYPES else f"{place}.request.url"


def _entry(context: Context, number: int, entry: dict[str, Any], body: bytes) -> Entry:
    request = entry.get("request")
    if request is None:
        raise FhirError(
            400, [Issue("required", "missing-request", "The entry has no request.", (f"Bundle.entry[{number}]",))]
        )
    method, url = request["method"], request["url"]
    path, question, criteria = url.removeprefix(context.settings.base + "/").lstrip("/").partition("?")
    segments = [segment for segment in path.split("/") if segment]
    resource_type = known_type(segments[0]) if segments and not segments[0].startswith("_") else None
    history = "_history" in segments
    version = segments[3] if len(segments) == 4 and segments[2] == "_history" else None
    resource_id = segments[1] if len(segments) > 1 and not segments[1].startswith(("_", "$")) else None
    owner = None
    if resource_type is not None and resource_id is not None and len(segments) == 3 and segments[2][0] not in "_$*":
        owner, resource_type, resource_id = (resource_type, resource_id), known_type(segments[2]), None
    made = Entry(
        number, method, resource_type, resource_id, version, history, criteria if question else None,
        entry.get("fullUrl"), request.get("ifMatch"), request.get("ifNoneMatch"), request.get("ifNoneExist"),
        entry.get("resource"), body, owner,
    )  # fmt: skip
    elsewhere = len(segments) > 2 and not history and (owner is None or method not in ("GET", "HEAD"))
    if elsewhere or any(segment.startswith("$") for segment in segments) or len(segments) > 4:
        raise made.refuse(
            400, "not-supported", "unsupported-url", f"'{url}' cannot be called in a Bundle.", "request.url"
        )
    if resource_id is not None and not legal_id(resource_id):
        raise made.refuse(400, "value", "malformed-id", f"'{resource_id}' cannot be an id.", "request.url")
    limit = context.settings.max_bundle if resource_type == "Bundle" else context.settings.max_resource
    if len(body) > limit:
        text = f"The resource has {len(body)} bytes; at most {limit} are accepted."
        raise made.refuse(413, "too-long", "resource-too-large", text, "resource")
    if method in ("POST", "PUT") and made.resource is None:
        raise made.refuse(400, "required", "missing-resource", f"A {method} needs a resource.", "resource")
    return made


def query_pairs(criteria: str) -> list[tuple[str, str]]:
    """The decoded pairs of a query string."""
    return parse_qsl(criteria, keep_blank_values=True)


def identities(entries: Iterable[tuple[Entry, str | None]]) -> FhirError | None:
    """What is wrong when two entries of a transaction act on the same resource; None if no two do."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry, resource_id in entries:
        if entry.type is None or resource_id is None or entry.method in ("GET", "HEAD"):
            continue
        other = seen.setdefault((entry.type, resource_id), entry)
        if other is not entry:
            return entry.refuse(
                400,
                "duplicate",
                "same-resource-twice",
                f"{entry.expression} and {other.expression} both act on {entry.type}/{resource_id}; "
                "a transaction may touch a resource once.",
            )
    return None
