"""Entry: one request inside a batch or transaction, taken apart.

https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.request
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fhir_server.context import Context
from fhir_server.fhir import pairs
from fhir_server.fhir.outcome import FhirError, Issue
from fhir_server.interactions.address import Address, address
from profiles.definitions import RESOURCE_TYPES


class _Raw(msgspec.Struct):
    resource: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _RawBundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []


_raw_bundle = msgspec.json.Decoder(_RawBundle)
_raw_entry = msgspec.json.Decoder(_Raw)

_HEADERS = {
    "If-Match": "ifMatch",
    "If-None-Match": "ifNoneMatch",
    "If-Modified-Since": "ifModifiedSince",
    "If-None-Exist": "ifNoneExist",
}
"""Headers that an entry of a Bundle has as elements."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`number` is the entry's place, `at` what its URL names; `resource` and its JSON `body` are what it sends."""

    number: int
    method: str
    at: Address
    full_url: str | None
    if_match: str | None
    if_none_match: str | None
    if_modified_since: str | None
    if_none_exist: str | None
    resource: dict[str, Any] | None
    body: bytes

    @property
    def type(self) -> str | None:
        """The resource type named."""
        return self.at.type

    @property
    def id(self) -> str | None:
        """The id of the resource named."""
        return self.at.id

    @property
    def criteria(self) -> str | None:
        """What stands behind the question mark, None where there is none."""
        return self.at.criteria

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the URL. FhirError 400 where they are not well encoded."""
        return pairs.pairs(self.at.criteria or "")

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
    return replace(issue, expression=expressions)


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
    method = request["method"]
    made = Entry(
        number, method, address(request["url"], context.settings.base), entry.get("fullUrl"),
        request.get("ifMatch"), request.get("ifNoneMatch"), request.get("ifModifiedSince"),
        request.get("ifNoneExist"), entry.get("resource"), body,
    )  # fmt: skip
    limit = context.settings.max_bundle if made.type == "Bundle" else context.settings.max_resource
    if len(body) > limit:
        text = f"The resource has {len(body)} bytes; at most {limit} are accepted."
        raise made.refuse(413, "too-long", "resource-too-large", text, "resource")
    if made.resource is None and (method == "PUT" or (method == "POST" and not made.at.special)):
        raise made.refuse(400, "required", "missing-resource", f"A {method} needs a resource.", "resource")
    if made.if_none_exist is not None and method != "POST":
        text = f"ifNoneExist belongs to a create; it has no meaning for {method}."
        raise made.refuse(400, "invalid", "misplaced-condition", text, "request.ifNoneExist")
    return made


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
