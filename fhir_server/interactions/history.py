"""History of a resource, a type or everything: newest first.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.caller import Caller, Predicate, concern, permitted
from fhir_server.context import Context
from fhir_server.fhir import dates, results
from fhir_server.fhir.outcome import FhirError, refuse
from fhir_server.fhir.query import SHAPING
from fhir_server.interactions import answers, paging
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply
from fhir_server.store.records import Page

_PARAMETERS = frozenset({"_since", "_at", "_count", paging.PARAMETER})


@dataclass(frozen=True, slots=True)
class _Asked:
    since: int | None
    at: tuple[int, int] | None
    count: int
    token: str | None
    understood: tuple[tuple[str, str], ...]
    shape: tuple[tuple[str, str], ...]


async def history(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str | None,
    resource_id: str | None,
    pairs: Sequence[tuple[str, str]],
) -> Reply:
    """200 with a page of versions. FhirError 404 for a resource that never was, 400 for a wrong parameter."""
    if resource_type is not None:
        known_type(resource_type)
        permitted(predicate, "s" if resource_id is None else "r", resource_type)
    asked = _understand(context, pairs)
    address = "/".join(part for part in (context.settings.base, resource_type, resource_id, "_history") if part)
    bound = [("", address), *asked.understood]
    position = paging.redeem(context, caller, bound, asked.token) if asked.token is not None else None
    page = await context.store.history(
        caller, predicate, resource_type, resource_id,
        since=asked.since, at=asked.at, after=position,
        limit=asked.count or context.settings.max_page_size,
    )  # fmt: skip
    total = len(page.rows) if page.next is None and position is None else None
    if asked.count == 0:
        # Only how many there are is asked, which is told where one page holds them all.
        page = Page((), None)
    for row in page.rows:
        concern(predicate, row.patients)
    shown = (*asked.understood, *asked.shape)
    links = {"self": paging.address(address, shown)}
    if page.next is not None:
        token = paging.issue(context, caller, bound, page.next)
        links["next"] = paging.address(address, [*shown, (paging.PARAMETER, token)])
    return Reply(200, answers.history(context.settings.base, page.rows, links, total))


def _understand(context: Context, pairs: Sequence[tuple[str, str]]) -> _Asked:
    given: dict[str, str] = {}
    shape = tuple(pair for pair in pairs if pair[0] in SHAPING)
    for name, value in pairs:
        if name in SHAPING:
            continue
        if name not in _PARAMETERS:
            text = f"A history has no parameter '{name}'; it has _since, _at and _count."
            raise refuse(400, "not-supported", "unknown-parameter", text, name)
        if name in given:
            raise refuse(400, "invalid", "repeated-parameter", f"{name} may be given once.", name)
        given[name] = value
    since = _span("_since", given["_since"])[0] if "_since" in given else None
    at = _span("_at", given["_at"]) if "_at" in given else None
    settings = context.settings
    count = min(results.count(given["_count"]), settings.max_page_size) if "_count" in given else settings.page_size
    token = given.pop(paging.PARAMETER, None)
    return _Asked(since, at, count, token, tuple(given.items()), shape)


def _span(name: str, text: str) -> tuple[int, int]:
    """From and to of a date or instant, microseconds since 1970."""
    # A bare plus in a query string decodes to a space: 2021-01-14T09:00:00+05:00.
    try:
        found = dates.parse(text.replace(" ", "+"))
    except ValueError as error:
        raise _malformed(name, error) from None
    return dates.microseconds(found.lo), dates.microseconds(found.hi)


def _malformed(name: str, error: ValueError) -> FhirError:
    return refuse(400, "value", "invalid-value", f"{name}: {error}.", name)
