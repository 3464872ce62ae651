"""Search: from a query to one page of a searchset.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Sequence

from fhir_server.caller import Caller, Predicate, concern, permitted
from fhir_server.context import Context
from fhir_server.fhir import compartments, json, lists, query, subset
from fhir_server.fhir.coded import Coded
from fhir_server.fhir.condition import NOTHING, All, Condition, patients_sought
from fhir_server.fhir.outcome import refuse
from fhir_server.fhir.query import Criteria, Has, Link, Listed, SearchRequest
from fhir_server.fhir.results import Sort
from fhir_server.interactions import answers, coded, includes, paging
from fhir_server.interactions.incoming import known_type
from fhir_server.interactions.reply import Reply, narrowed
from fhir_server.store.records import Page, Selection, SortKey, Stored

_GATHERED = 10_000
"""Resources an operation may gather; more is a question for another operation."""


async def search(
    context: Context,
    caller: Caller,
    predicate: Predicate,
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    lenient: bool,
    owner: tuple[str, str] | None = None,
) -> Reply:
    """200 with a page; of the compartment of `owner` (`("Patient", "1")`) where one is named.

    FhirError 400 naming the parameter that is unknown, wrong, or too costly; 404 where there is no such compartment.
    """
    known_type(resource_type)
    permitted(predicate, "s", resource_type)
    within = [compartments.compartment(*owner, resource_type)] if owner is not None else []
    path = "/".join((*(owner or ()), resource_type))
    settings = context.settings
    asked = [pair for pair in pairs if pair[0] != paging.PARAMETER]
    token = paging.token(pairs) if len(asked) < len(pairs) else None
    request = query.parse(resource_type, asked, lenient, settings.base, settings.max_page_size)
    asked_for = subset.subset(request.summary, request.elements)
    position = paging.redeem(context, caller, _bound(path, request), token) if token is not None else None
    concern(predicate, patients_sought(request.criteria.where, resource_type))
    where = await resolve(context, caller, predicate, request.criteria)
    where = All((*within, where)) if within else where
    limit = settings.page_size if request.count is None else request.count
    if request.summary == "count" or limit == 0:
        counted = await context.store.count(caller, predicate, resource_type, where)
        return _reply(context, caller, path, request, Page((), None), (), counted)
    selection = Selection(resource_type, where, keys(request.sort), limit, position)
    page = await context.store.search(caller, predicate, selection)
    total = None
    if request.total == "accurate":
        total = await context.store.count(caller, predicate, resource_type, where)
    elif position is None and page.next is None:
        total = len(page.rows)
    included = await includes.follow(context, caller, predicate, request.includes, page.rows)
    for row in (*page.rows, *included):
        concern(predicate, row.patients)
    if asked_for is not None:
        page = Page(tuple(narrowed(row, asked_for) for row in page.rows), page.next)
        # Names of elements are those of the type searched for.
        included = included if request.elements else [narrowed(row, asked_for) for row in included]
    return _reply(context, caller, path, request, page, included, total)


def keys(sort: Sequence[Sort]) -> tuple[SortKey, ...]:
    """What the store sorts by."""
    return tuple(SortKey(key.label, key.descending) for key in sort)


async def gather(
    context: Context, caller: Caller, predicate: Predicate, resource_type: str, where: Condition
) -> list[Stored]:
    """Everything that satisfies the condition, for operations. FhirError 400 `too-costly` beyond 10,000."""
    rows: list[Stored] = []
    position = None
    while len(rows) <= _GATHERED:
        selection = Selection(resource_type, where, limit=context.settings.max_page_size, after=position)
        page = await context.store.search(caller, predicate, selection)
        rows += page.rows
        position = page.next
        if position is None:
            return rows
    raise refuse(400, "too-costly", "too-many-resources", f"More than {_GATHERED:,} {resource_type} resources apply.")


async def resolve(context: Context, caller: Caller, predicate: Predicate, criteria: Criteria) -> Condition:
    """The condition the criteria come to once their chains, reverse chains and lists have been followed.

    Every hop sees only what exists for the caller. FhirError 400 `too-costly` beyond 1,000 resources in a hop, or
    10,000 in lists.
    """
    parts = [criteria.where, *[await _resolve_link(context, caller, predicate, link) for link in criteria.links]]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


async def _resolve_link(context: Context, caller: Caller, predicate: Predicate, link: Link) -> Condition:
    if isinstance(link, Has):
        permitted(predicate, "s", link.inner.type)
        where = await resolve(context, caller, predicate, link.inner)
        return link.condition(await context.store.keys(caller, predicate, link.inner.type, where, link.prefix))
    if isinstance(link, Coded):
        return await coded.resolve(context, caller, predicate, link)
    if isinstance(link, Listed):
        return link.condition(await _entries(context, caller, predicate, link))
    found: list[str] = []
    if len(link.inner) == 1:
        permitted(predicate, "s", link.inner[0].type)
    for inner in link.inner:
        where = await resolve(context, caller, predicate, inner)
        ids = await context.store.ids(caller, predicate, inner.type, where)
        found += [f"{inner.type}/{resource_id}" for resource_id in ids]
    return link.condition(found) if found else NOTHING


async def _entries(context: Context, caller: Caller, predicate: Predicate, link: Listed) -> list[str]:
    """The ids of the resources in the Lists; a List that does not exist for the caller holds none."""
    rows = await context.store.read_many(caller, predicate, [("List", each) for each in link.lists])
    base = context.settings.base
    named = [each for row in rows for each in lists.current(json.parse(row.raw or b"{}"), link.target, base)]
    if len(named) > _GATHERED:
        text = f"The lists name more than {_GATHERED:,} {link.target} resources."
        raise refuse(400, "too-costly", "too-many-resources", text, "_list")
    return named


def _reply(
    context: Context,
    caller: Caller,
    path: str,
    request: SearchRequest,
    page: Page,
    included: Sequence[Stored],
    total: int | None,
) -> Reply:
    address = f"{context.settings.base}/{path}"
    shown = (*request.understood, *request.shape)
    links = {"self": paging.address(address, shown)}
    if page.next is not None:
        token = paging.issue(context, caller, _bound(path, request), page.next)
        links["next"] = paging.address(address, [*shown, (paging.PARAMETER, token)])
    return Reply(200, answers.searchset(context.settings.base, page.rows, included, request.ignored, links, total))


def _bound(path: str, request: SearchRequest) -> list[tuple[str, str]]:
    """What a page token is good for: this search on this type."""
    return [("", path), *request.understood]
